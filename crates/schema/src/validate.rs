//! Checking a value against the tree: shape first, then bounds, then combinations.
//!
//! An update is compared with what was there before: a subtree that did not change is not looked at, so that a stricter
//! schema does not lock objects that were fine when they were written.

mod bounds;
mod junctors;
mod lists;

use serde_json::{Map, Value};

use crate::node::{Node, type_of};
use crate::path::Path;
use crate::structural::object_meta;
use crate::{FieldError, Reason};

/// How many errors are collected; a hostile object could have any number.
const MAX_ERRORS: usize = 100;

pub(crate) fn validate(root: &Node, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    check(root, new, old, &Path::ROOT, &mut errors);
    check_metadata(new, old, &Path::ROOT, &mut errors);
    errors.list
}

/// Checks a value inside an object.
pub(crate) fn validate_below(node: &Node, value: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    check(node, value, None, &Path::ROOT, &mut errors);
    errors.list
}

/// The errors so far.
#[derive(Default)]
struct Errors {
    list: Vec<FieldError>,
}

impl Errors {
    fn push(&mut self, error: FieldError) {
        if !self.full() {
            self.list.push(error);
        }
    }

    fn extend(&mut self, errors: Vec<FieldError>) {
        for error in errors {
            self.push(error);
        }
    }

    fn full(&self) -> bool {
        self.list.len() >= MAX_ERRORS
    }

    /// A rule that the value breaks: `spec.memory in body should …`.
    fn invalid(&mut self, path: &Path<'_>, value: &Value, words: &str) {
        let detail = format!("{} {words}", in_body(path));
        self.push(FieldError::invalid(path.to_string(), value, detail));
    }

    /// A value that is not of the type.
    fn type_invalid(&mut self, path: &Path<'_>, kind: &str, shown: &Value) {
        let detail = format!("{} must be of type {kind}: {shown}", in_body(path));
        self.push(FieldError {
            reason: Reason::TypeInvalid,
            path: path.to_string(),
            bad_value: Some(shown.clone()),
            detail,
        });
    }
}

/// The subject of a sentence about a field.
fn in_body(path: &Path<'_>) -> String {
    if path.depth() == 0 { "\"\"".to_owned() } else { format!("{path} in body") }
}

fn check(node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    if errors.full() || old == Some(new) {
        return;
    }
    if new.is_null() && node.nullable {
        return;
    }
    if !check_type(node, new, path, errors) {
        return;
    }
    bounds::check(&node.checks, new, path, errors);
    match new {
        Value::Object(map) => check_fields(node, map, old, path, errors),
        Value::Array(items) => check_items(node, items, old, path, errors),
        _ => {}
    }
    junctors::check(&node.junctors, new, path, errors);
    if node.embedded {
        check_embedded(new, old, path, errors);
    }
}

/// Whether the value has the node's type; if not, nothing else is worth saying about it.
fn check_type(node: &Node, value: &Value, path: &Path<'_>, errors: &mut Errors) -> bool {
    if node.int_or_string {
        let fits = value.is_string() || value.is_i64() || value.is_u64();
        if !fits {
            errors.type_invalid(path, "integer,string", &type_of(value).into());
        }
        return fits;
    }
    match node.kind {
        Some(kind) if !kind.admits(value) => {
            errors.type_invalid(path, kind.as_str(), &type_of(value).into());
            false
        }
        Some(_) | None => true,
    }
}

fn check_fields(node: &Node, map: &Map<String, Value>, old: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    for name in &node.checks.required {
        if !map.contains_key(name) {
            errors.push(FieldError::required(path.field(name).to_string(), ""));
        }
    }
    let old = old.and_then(Value::as_object);
    for (name, value) in map {
        if let Some(child) = node.child(name) {
            let before = old.and_then(|old| old.get(name));
            check(child, value, before, &path.field(name), errors);
        }
    }
}

fn check_items(node: &Node, items: &[Value], old: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    lists::check(node, items, path, errors);
    let Some(child) = node.items.as_deref() else { return };
    let old = old.and_then(Value::as_array);
    for (index, item) in items.iter().enumerate() {
        check(child, item, node.correlate(item, old), &path.index(index), errors);
    }
}

/// An object inside an object has to say what it is.
fn check_embedded(value: &Value, old: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    for name in ["apiVersion", "kind"] {
        let at = path.field(name).to_string();
        match value.get(name) {
            Some(Value::String(text)) if !text.is_empty() => {}
            None | Some(Value::String(_)) => errors.push(FieldError::required(at, "must not be empty")),
            Some(other) => errors.type_invalid(&path.field(name), "string", &type_of(other).into()),
        }
    }
    check_metadata(value, old, path, errors);
}

fn check_metadata(value: &Value, old: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(metadata) = value.get("metadata") {
        let before = old.and_then(|old| old.get("metadata"));
        check(object_meta(), metadata, before, &path.field("metadata"), errors);
    }
}

#[cfg(test)]
mod tests;
