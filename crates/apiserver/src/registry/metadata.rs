//! `metadata`: what clients may say there, what only the server sets, and what never changes again.

use std::collections::HashSet;

use essaim_schema::FieldError;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    limits,
    names::{self, NameRule},
    object::{FOREGROUND, ORPHAN, copy_meta, finalizers, is_deleting, meta, metadata_mut, set_meta, top},
};
use crate::ApiError;

/// The forms that fields of `metadata` have.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Number,
    TextMap,
    TextList,
    MapList,
}

const FIELDS: [(&str, Form); 15] = [
    ("annotations", Form::TextMap),
    ("creationTimestamp", Form::Text),
    ("deletionGracePeriodSeconds", Form::Number),
    ("deletionTimestamp", Form::Text),
    ("finalizers", Form::TextList),
    ("generateName", Form::Text),
    ("generation", Form::Number),
    ("labels", Form::TextMap),
    ("managedFields", Form::MapList),
    ("name", Form::Text),
    ("namespace", Form::Text),
    ("ownerReferences", Form::MapList),
    ("resourceVersion", Form::Text),
    ("selfLink", Form::Text),
    ("uid", Form::Text),
];

/// The time as objects show it: whole seconds.
pub(crate) fn seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// Refuses malformed `metadata`, removes what is null, and gives the paths of fields that it does not know.
pub(super) fn check_form(object: &mut Value) -> Result<Vec<String>, ApiError> {
    let metadata = match object.get_mut("metadata") {
        None | Some(Value::Null) => metadata_mut(object),
        Some(Value::Object(metadata)) => metadata,
        Some(other) => return Err(malformed("metadata", "an object", other)),
    };
    metadata.retain(|_, value| !value.is_null());
    let form_of = |name: &str| FIELDS.iter().find(|(field, _)| *field == name).map(|(_, form)| *form);
    let mut unknown = Vec::new();
    metadata.retain(|name, _| {
        form_of(name).is_some() || {
            unknown.push(format!("metadata.{name}"));
            false
        }
    });
    // In Go, null in a map of texts is the empty text.
    for field in ["labels", "annotations"] {
        nulls_are_empty(metadata.get_mut(field));
    }
    for (name, value) in metadata.iter() {
        form_of(name).map_or(Ok(()), |form| form.check(&format!("metadata.{name}"), value))?;
    }
    for field in ["creationTimestamp", "deletionTimestamp"] {
        metadata.get_mut(field).map_or(Ok(()), |value| canonical_time(&format!("metadata.{field}"), value))?;
    }
    for entry in metadata.get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
        entry.get_mut("time").map_or(Ok(()), |value| canonical_time("metadata.managedFields.time", value))?;
    }
    metadata.retain(|name, value| !is_empty_list_or_map(name, value));
    Ok(unknown)
}

/// Puts the empty text in place of each null in a map.
pub(super) fn nulls_are_empty(map: Option<&mut Value>) {
    for value in map.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        if value.is_null() {
            *value = "".into();
        }
    }
}

/// The same instant as the server writes it: clients read `…Z` and send back `…+00:00` or `….000Z`.
fn canonical_time(path: &str, value: &mut Value) -> Result<(), ApiError> {
    let Value::String(text) = value else { return Ok(()) };
    let time: Timestamp = text.parse().map_err(|_| malformed(path, "a time as in RFC 3339", value))?;
    *value = seconds(time).into();
    Ok(())
}

/// Owners and finalizers that are named twice count once: Kubernetes takes such objects, and some controllers write them.
pub(super) fn drop_duplicates(object: &mut Value) {
    for field in ["ownerReferences", "finalizers"] {
        if let Some(Value::Array(list)) = metadata_mut(object).get_mut(field) {
            let mut seen = HashSet::new();
            list.retain(|item| seen.insert(item.to_string()));
        }
    }
}

/// Empty ones count as absent, except that an empty `managedFields` means to forget all owners.
fn is_empty_list_or_map(name: &str, value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty() && name != "managedFields",
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

impl Form {
    fn check(self, path: &str, value: &Value) -> Result<(), ApiError> {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Number, Value::Number(_)) => Ok(()),
            (Self::TextMap, Value::Object(map)) => {
                map.iter().try_for_each(|(key, value)| Self::Text.check(&format!("{path}.{key}"), value))
            }
            (Self::TextList, Value::Array(list)) => list.iter().try_for_each(|item| Self::Text.check(path, item)),
            (Self::MapList, Value::Array(list)) => list.iter().try_for_each(|item| match item {
                Value::Object(_) => Ok(()),
                other => Err(malformed(path, "a list of objects", other)),
            }),
            (form, other) => Err(malformed(path, form.name(), other)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a number",
            Self::TextMap => "an object of strings",
            Self::TextList => "a list of strings",
            Self::MapList => "a list of objects",
        }
    }
}

fn malformed(path: &str, wanted: &str, found: &Value) -> ApiError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    ApiError::bad_request(format!("the object cannot be read: {path} must be {wanted}, found {found}"))
}

/// Fills in what the server sets on a new object, whatever the client said there.
pub(super) fn set_on_create(object: &mut Value, now: Timestamp, generation: bool) {
    let metadata = metadata_mut(object);
    for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion"] {
        metadata.remove(field);
    }
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), seconds(now).into());
    if generation {
        metadata.insert("generation".into(), 1.into());
    }
}

/// Puts back what an update cannot change; what the client left out it gets from the object that stands there.
pub(super) fn set_on_update(object: &mut Value, live: &Value) {
    for field in ["deletionGracePeriodSeconds", "generation", "selfLink", "resourceVersion"] {
        copy_meta(object, field, live);
    }
    for field in ["uid", "creationTimestamp", "deletionTimestamp", "name", "namespace", "generateName"] {
        if meta(object, field).is_empty() {
            copy_meta(object, field, live);
        }
    }
}

/// One more than before.
pub(super) fn next_generation(object: &mut Value, live: &Value) {
    let before =
        live.get("metadata").and_then(|metadata| metadata.get("generation")).and_then(Value::as_i64).unwrap_or(0);
    set_meta(object, "generation", before + 1);
}

/// Marks an object as being deleted; the second time changes nothing.
pub(super) fn mark_deleted(object: &mut Value, now: Timestamp) {
    if is_deleting(object) {
        return;
    }
    let metadata = metadata_mut(object);
    metadata.insert("deletionTimestamp".into(), seconds(now).into());
    metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
    if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
        metadata.insert("generation".into(), (generation + 1).into());
    }
}

/// Everything that is wrong with the metadata of an object.
pub(super) fn validate(object: &Value, rule: NameRule) -> Vec<FieldError> {
    let empty = Value::Null;
    let metadata = object.get("metadata").unwrap_or(&empty);
    let mut errors = name(metadata, rule);
    errors.extend(names::labels("metadata.labels", metadata.get("labels")));
    errors.extend(annotations(metadata.get("annotations")));
    let held_by = finalizers(object);
    if held_by.contains(&ORPHAN) && held_by.contains(&FOREGROUND) {
        let detail = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errors.push(FieldError::invalid("metadata.finalizers", &Value::from(held_by.clone()), detail));
    }
    errors.extend(held_by.into_iter().filter_map(finalizer));
    errors.extend(owners(metadata));
    errors
}

/// Everything that is wrong with annotations.
pub(super) fn annotations(annotations: Option<&Value>) -> Vec<FieldError> {
    let too_long = limits::annotations(annotations);
    let names = annotations.and_then(Value::as_object).into_iter().flatten().filter_map(|(key, _)| {
        let wrong = names::qualified(&key.to_ascii_lowercase())?;
        Some(FieldError::invalid("metadata.annotations", &Value::from(key.as_str()), wrong))
    });
    too_long.into_iter().chain(names).collect()
}

fn name(metadata: &Value, rule: NameRule) -> Vec<FieldError> {
    let generate = top(metadata, "generateName");
    let prefix = (!generate.is_empty()).then(|| rule.check(generate, true)).flatten();
    let prefix = prefix.map(|wrong| FieldError::invalid("metadata.generateName", &Value::from(generate), wrong));
    let name = match top(metadata, "name") {
        "" => Some(FieldError::required("metadata.name", "name or generateName is required")),
        name => rule.check(name, false).map(|wrong| FieldError::invalid("metadata.name", &Value::from(name), wrong)),
    };
    prefix.into_iter().chain(name).collect()
}

fn finalizer(finalizer: &str) -> Option<FieldError> {
    let path = "metadata.finalizers";
    let bad = Value::from(finalizer);
    if let Some(wrong) = names::qualified(finalizer) {
        return Some(FieldError::invalid(path, &bad, wrong));
    }
    let known = ["orphan", "foregroundDeletion", "kubernetes"].contains(&finalizer);
    (!known && !finalizer.contains('/'))
        .then(|| FieldError::invalid(path, &bad, "name is neither a standard finalizer name nor is it fully qualified"))
}

fn owners(metadata: &Value) -> Vec<FieldError> {
    let list = metadata.get("ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut errors = Vec::new();
    for owner in list {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if top(owner, field).is_empty() {
                let detail = format!("{field} must not be empty");
                errors.push(FieldError::invalid(format!("metadata.ownerReferences.{field}"), &Value::from(""), detail));
            }
        }
    }
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool).unwrap_or(false);
    if list.iter().filter(controls).count() > 1 {
        let detail = "Only one reference can have Controller set to true";
        errors.push(FieldError::invalid("metadata.ownerReferences", &Value::Array(list.to_vec()), detail));
    }
    errors
}

/// What an update did to metadata that it must not.
pub(super) fn validate_update(object: &Value, live: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"] {
        if meta(object, field) != meta(live, field) {
            let value = Value::from(meta(object, field));
            errors.push(FieldError::invalid(format!("metadata.{field}"), &value, "field is immutable"));
        }
    }
    if is_deleting(live) {
        let before = finalizers(live).into_iter().collect::<HashSet<_>>();
        let added: Vec<_> = finalizers(object).into_iter().filter(|one| !before.contains(one)).collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
            );
            errors.push(FieldError::forbidden("metadata.finalizers", detail));
        }
    }
    errors
}

/// Whether two objects differ anywhere but in `metadata` and, where it is a subresource, in `status`.
pub(super) fn differs_in_substance(left: &Value, right: &Value, ignore_status: bool) -> bool {
    let counts =
        |field: &str| !(matches!(field, "metadata" | "apiVersion" | "kind") || ignore_status && field == "status");
    let (Some(left), Some(right)) = (left.as_object(), right.as_object()) else { return left != right };
    let differs = |one: &Map<String, Value>, other: &Map<String, Value>| {
        one.iter().any(|(field, value)| counts(field) && other.get(field) != Some(value))
    };
    differs(left, right) || differs(right, left)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::validate_update;

    /// With a look through the standing ones for each that is sent this would not end.
    #[test]
    fn finalizers_of_what_is_being_deleted_are_compared_however_many_they_are() {
        let held = (0..200_000).map(|at| format!("a/{at}")).collect::<Vec<_>>();
        let object = |finalizers: &[String]| json!({"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": finalizers}});
        assert!(validate_update(&object(&held[1..]), &object(&held)).is_empty());
        assert_eq!(validate_update(&object(&held), &object(&held[1..])).len(), 1);
    }
}
