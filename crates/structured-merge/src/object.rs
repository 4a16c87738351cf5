//! The parts of `metadata` that ownership is concerned with.

use serde_json::{Map, Value};

use crate::MAX_DEPTH;
use crate::error::{Error, Result};
use crate::field_set::FieldSet;
use crate::path::Path;

/// Fields that nobody owns: they say which object this is, or only the server sets them.
const UNOWNED: [&str; 12] = [
    "apiVersion",
    "kind",
    "metadata",
    "metadata.name",
    "metadata.namespace",
    "metadata.creationTimestamp",
    "metadata.selfLink",
    "metadata.uid",
    "metadata.clusterName",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.resourceVersion",
];

/// Fields of `metadata` that an apply patch cannot set; manifests often carry them, `creationTimestamp: null` above all.
const SERVER_SET: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The fields that nobody owns.
pub(crate) fn unowned() -> FieldSet {
    UNOWNED.iter().map(|field| Path::dotted(field)).collect()
}

/// Refuses what cannot be an object.
pub(crate) fn check(object: &Value) -> Result<()> {
    if !object.is_object() {
        return Err(Error::NotAnObject);
    }
    if is_deeper(object, MAX_DEPTH) { Err(Error::TooDeep) } else { Ok(()) }
}

fn is_deeper(value: &Value, limit: usize) -> bool {
    let Some(below) = limit.checked_sub(1) else {
        return true;
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, below)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, below)),
        _ => false,
    }
}

pub(crate) fn managed_fields(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields").filter(|entries| !entries.is_null())
}

/// Removes `metadata.managedFields`.
pub(crate) fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = metadata_mut(&mut object) {
        metadata.remove("managedFields");
    }
    object
}

/// Sets `metadata.managedFields`; an empty list is left out.
pub(crate) fn set_managed_fields(object: &mut Value, entries: Value) {
    let is_empty = entries.as_array().is_none_or(Vec::is_empty);
    if is_empty {
        metadata_mut(object).and_then(|metadata| metadata.remove("managedFields"));
        return;
    }
    if let Some(fields) = object.as_object_mut() {
        fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    }
    metadata_mut(object).and_then(|metadata| metadata.insert("managedFields".to_owned(), entries));
}

/// Removes from an apply patch what only the server sets.
pub(crate) fn without_server_set(applied: &Value) -> Value {
    let mut applied = applied.clone();
    if let Some(metadata) = metadata_mut(&mut applied) {
        metadata.retain(|name, _| !SERVER_SET.contains(&name.as_str()));
    }
    applied
}

pub(crate) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata").and_then(Value::as_object_mut)
}

/// The object without the times in `managedFields`: two that are equal in this form need no write.
pub fn strip_for_comparison(object: &Value) -> Value {
    let mut object = object.clone();
    let entries = metadata_mut(&mut object).and_then(|metadata| metadata.get_mut("managedFields")?.as_array_mut());
    for entry in entries.into_iter().flatten() {
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("time");
        }
    }
    object
}

/// Whether two objects differ in nothing but the times in `managedFields`.
pub fn same_ignoring_times(left: &Value, right: &Value) -> bool {
    strip_for_comparison(left) == strip_for_comparison(right)
}
