//! Whether an apply patch has the form that its schema gives.
//!
//! Only what merging relies on is checked: containers are containers, items can be told apart and are there once, fields are
//! declared. The values themselves are judged by schema validation, after the merge.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::items;
use crate::path::{Path, PathElement};
use crate::schema::{ListKind, ListType, MapType, Others, TypeRef};

/// Refuses a value that cannot be merged.
pub(crate) fn validate(form: &TypeRef, value: &Value) -> Result<()> {
    node(form, value, &mut Path::default())
}

fn node(form: &TypeRef, value: &Value, path: &mut Path) -> Result<()> {
    match (form, value) {
        (TypeRef::Map(map), Value::Object(_)) => fields(map, value, path),
        (TypeRef::List(list), Value::Array(items)) if list.kind != ListKind::Atomic => list_items(list, items, path),
        (TypeRef::Scalar, Value::Array(_) | Value::Object(_)) => Err(mismatch("a scalar", value, path)),
        (TypeRef::Deduced | TypeRef::Scalar, _) | (_, Value::Null) | (TypeRef::List(_), Value::Array(_)) => Ok(()),
        (TypeRef::Map(_), _) => Err(mismatch("a map", value, path)),
        (TypeRef::List(_), _) => Err(mismatch("a list", value, path)),
    }
}

fn fields(map: &MapType, value: &Value, path: &mut Path) -> Result<()> {
    for (name, value) in value.as_object().into_iter().flatten() {
        path.descend(PathElement::field(name), |path| {
            if map.others == Others::Refused && !map.fields.contains_key(name) {
                return Err(invalid("field not declared in schema", path));
            }
            node(map.field(name), value, path)
        })?;
    }
    Ok(())
}

fn list_items(list: &ListType, items: &[Value], path: &mut Path) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let element =
            items::element(list, item).map_err(|message| invalid(format!("item {index}: {message}"), path))?;
        if !seen.insert(element.clone()) {
            return Err(invalid(format!("duplicate entries for key {element}"), path));
        }
        path.descend(element, |path| node(&list.items, item, path))?;
    }
    Ok(())
}

fn mismatch(expected: &str, value: &Value, path: &Path) -> Error {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    invalid(format!("expected {expected}, got {found}"), path)
}

fn invalid(message: impl Into<String>, path: &Path) -> Error {
    Error::Invalid { path: path.to_string(), message: message.into() }
}
