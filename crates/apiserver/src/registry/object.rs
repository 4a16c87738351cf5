//! Looking into objects: the parts of `metadata` that the server itself acts on.

use serde_json::{Map, Value};

/// The finalizer by which foreground deletion waits for dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer by which dependents are set free before their owner goes.
pub(super) const ORPHAN: &str = "orphan";

/// A text of `metadata`, empty if it is absent.
pub(super) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// A text at the top, empty if it is absent.
pub(super) fn top<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata`, made if it is absent; what is no map is replaced.
pub(super) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    map_at(object, "metadata")
}

/// The map under a field, made if it is absent; what is no map is replaced.
pub(super) fn map_at<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    as_map(as_map(object).entry(field).or_insert(Value::Null))
}

/// The value as a map; what is no map is replaced by an empty one.
pub(super) fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else { unreachable!("it was made a map above") };
    map
}

/// Sets a text of `metadata`.
pub(super) fn set_meta(object: &mut Value, field: &str, value: impl Into<Value>) {
    metadata_mut(object).insert(field.into(), value.into());
}

/// Puts a field of `metadata` to what it was in another object, absent if it was.
pub(super) fn copy_meta(object: &mut Value, field: &str, from: &Value) {
    match from.get("metadata").and_then(|metadata| metadata.get(field)) {
        Some(value) => drop(metadata_mut(object).insert(field.into(), value.clone())),
        None => drop(metadata_mut(object).remove(field)),
    }
}

/// Puts a field at the top to what it was in another object, absent if it was.
pub(super) fn copy_top(object: &mut Value, field: &str, from: &Value) {
    match from.get(field) {
        Some(value) => drop(as_map(object).insert(field.into(), value.clone())),
        None => drop(as_map(object).remove(field)),
    }
}

/// Whether a deletion was asked for.
pub(super) fn is_deleting(object: &Value) -> bool {
    !meta(object, "deletionTimestamp").is_empty()
}

/// `metadata.finalizers`
pub(super) fn finalizers(object: &Value) -> Vec<&str> {
    texts(object.get("metadata").and_then(|metadata| metadata.get("finalizers")))
}

/// Sets `metadata.finalizers`; none is left out.
pub(super) fn set_finalizers(object: &mut Value, finalizers: &[&str]) {
    if finalizers.is_empty() {
        metadata_mut(object).remove("finalizers");
    } else {
        set_meta(object, "finalizers", finalizers.to_vec());
    }
}

/// `spec.finalizers`, which only namespaces have.
pub(super) fn spec_finalizers(object: &Value) -> Vec<&str> {
    texts(object.get("spec").and_then(|spec| spec.get("finalizers")))
}

/// The texts of a list.
pub(super) fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Removes what refers to an owner.
pub(super) fn remove_owner(object: &mut Value, uid: &str) {
    let metadata = metadata_mut(object);
    if let Some(Value::Array(list)) = metadata.get_mut("ownerReferences") {
        list.retain(|entry| top(entry, "uid") != uid);
        if list.is_empty() {
            metadata.remove("ownerReferences");
        }
    }
}

/// Lets the deletions of all owners go on without this object.
pub(super) fn unblock_owners(object: &mut Value) {
    if let Some(Value::Array(list)) = metadata_mut(object).get_mut("ownerReferences") {
        for entry in list {
            as_map(entry).insert("blockOwnerDeletion".into(), false.into());
        }
    }
}
