//! From the JSON of a schema to the tree, noting every violation on the way.

use serde_json::{Map, Value};

use super::junctors;
use super::keywords::{self, Reader};
use super::lists;
use crate::node::{Additional, ListType, Node, Type};
use crate::path::Path;
use crate::{FieldError, Violation, cel_rules};

/// How deep schemas may nest.
const MAX_DEPTH: usize = 96;
/// How many violations are reported; a hostile schema could have any number.
const MAX_VIOLATIONS: usize = 64;

/// What the node is to its parent, for the words of "type is missing".
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    Root,
    Field,
    Item,
}

impl Place {
    fn missing_type(self) -> &'static str {
        match self {
            Self::Root => "must not be empty at the root",
            Self::Field => "must not be empty for specified object fields",
            Self::Item => "must not be empty for specified array items",
        }
    }
}

pub(super) fn root(schema: &Value) -> Result<Node, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut node = compile(schema, Place::Root, &Path::ROOT, &mut violations);
    check_root(&node, schema, &mut violations);
    if violations.is_empty() {
        cel_rules::compile(&mut node, schema, &Path::ROOT, &mut violations);
    }
    if violations.is_empty() { Ok(node) } else { Err(violations) }
}

/// Compiles a schema that comes with this crate; a test makes sure that it has no violations.
pub(super) fn trusted(schema: &Value) -> Node {
    compile(schema, Place::Root, &Path::ROOT, &mut Vec::new())
}

fn compile(schema: &Value, place: Place, path: &Path<'_>, violations: &mut Vec<Violation>) -> Node {
    let Some(map) = schema.as_object() else {
        violations.push(FieldError::invalid(path.to_string(), schema, "must be a schema object"));
        return Node::default();
    };
    if violations.len() >= MAX_VIOLATIONS {
        return Node::default();
    }
    if path.depth() > MAX_DEPTH {
        violations.push(FieldError::forbidden(path.to_string(), "the schema nests too deeply"));
        return Node::default();
    }
    keywords::refuse_unsupported(map, path, violations);
    let mut reader = Reader { map, path, violations };
    let mut node = keywords::shape(&mut reader);
    node.checks = keywords::checks(&mut reader);
    node.list_type = lists::list_type(&mut reader);
    node.default = map.get("default").cloned();
    check_type(&node, place, path, violations);
    children(&mut node, map, place, path, violations);
    node.junctors = junctors::compile(map, path, violations);
    junctors::check_complete(&node, path, violations);
    lists::check(&node, path, violations);
    check_embedded(&node, path, violations);
    if let Some(default) = node.default.as_ref().filter(|_| violations.is_empty()) {
        super::check_default(&node, default, &path.field("default"), violations);
    }
    node
}

fn check_type(node: &Node, place: Place, path: &Path<'_>, violations: &mut Vec<Violation>) {
    let at = || path.field("type").to_string();
    if node.int_or_string && node.kind.is_some() {
        let kind = node.kind.map_or("", Type::as_str);
        violations.push(FieldError::invalid(at(), &kind.into(), "must be empty if x-kubernetes-int-or-string is true"));
    }
    if node.int_or_string && node.preserve_unknown {
        let at = path.field("x-kubernetes-preserve-unknown-fields").to_string();
        violations.push(FieldError::invalid(at, &true.into(), "must be false if x-kubernetes-int-or-string is true"));
    }
    if node.kind.is_none() && !node.int_or_string && !(node.preserve_unknown && place != Place::Root) {
        violations.push(FieldError::required(at(), place.missing_type()));
    }
}

fn children(node: &mut Node, map: &Map<String, Value>, place: Place, path: &Path<'_>, violations: &mut Vec<Violation>) {
    let properties = path.field("properties");
    if let Some(fields) = map.get("properties").and_then(Value::as_object) {
        for (name, schema) in fields {
            let child = compile(schema, Place::Field, &properties.key(name), violations);
            node.properties.insert(name.clone(), child);
        }
    }
    let items = path.field("items");
    match map.get("items") {
        Some(Value::Array(_)) => {
            violations.push(FieldError::forbidden(items.to_string(), "items must be a schema object and not an array"));
        }
        Some(schema) => node.items = Some(Box::new(compile(schema, Place::Item, &items, violations))),
        None if node.kind == Some(Type::Array) => {
            violations.push(FieldError::required(items.to_string(), "must be specified"));
        }
        None => {}
    }
    let additional = path.field("additionalProperties");
    node.additional = match map.get("additionalProperties") {
        None => Additional::Nothing,
        Some(Value::Bool(true)) => Additional::Anything,
        Some(Value::Bool(false)) => {
            violations
                .push(FieldError::forbidden(additional.to_string(), "additionalProperties cannot be set to false"));
            Additional::Nothing
        }
        Some(schema) => Additional::Schema(Box::new(compile(schema, Place::Field, &additional, violations))),
    };
    if matches!(node.additional, Additional::Nothing) {
        return;
    }
    if !node.properties.is_empty() {
        violations.push(FieldError::forbidden(
            additional.to_string(),
            "additionalProperties and properties are mutual exclusive",
        ));
    }
    if place == Place::Root {
        violations.push(FieldError::forbidden(additional.to_string(), "must not be used at the root"));
    }
}

fn check_root(node: &Node, schema: &Value, violations: &mut Vec<Violation>) {
    if let Some(kind) = node.kind.filter(|kind| *kind != Type::Object) {
        violations.push(FieldError::invalid("type", &kind.as_str().into(), "must be object at the root"));
    }
    if node.nullable {
        violations.push(FieldError::forbidden("nullable", "nullable cannot be true at the root"));
    }
    check_implicit_fields(node, &Path::ROOT, violations);
    let Some(metadata) = schema.pointer("/properties/metadata/properties").and_then(Value::as_object) else { return };
    for name in metadata.keys().filter(|name| !matches!(name.as_str(), "name" | "generateName")) {
        violations.push(FieldError::forbidden(
            format!("properties[metadata].properties[{name}]"),
            "must not specify anything other than name and generateName, but metadata is implicitly specified",
        ));
    }
}

fn check_embedded(node: &Node, path: &Path<'_>, violations: &mut Vec<Violation>) {
    if !node.embedded {
        return;
    }
    if node.kind != Some(Type::Object) {
        let kind = node.kind.map_or("", Type::as_str);
        let at = path.field("type").to_string();
        violations.push(FieldError::invalid(
            at,
            &kind.into(),
            "must be object if x-kubernetes-embedded-resource is true",
        ));
    }
    if node.properties.is_empty() && !node.preserve_unknown {
        let words =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        violations.push(FieldError::required(path.field("properties").to_string(), words));
    }
    check_implicit_fields(node, path, violations);
}

/// The fields that every object has may be written in a schema, but only with the type they have anyway.
fn check_implicit_fields(node: &Node, path: &Path<'_>, violations: &mut Vec<Violation>) {
    for (name, kind) in [("apiVersion", Type::String), ("kind", Type::String), ("metadata", Type::Object)] {
        let Some(child) = node.properties.get(name) else { continue };
        if child.kind != Some(kind) {
            let found = child.kind.map_or("", Type::as_str);
            let at = format!("{}.type", path.field("properties").key(name));
            violations.push(FieldError::invalid(at, &found.into(), format!("must be {}", kind.as_str())));
        }
    }
}

/// Keys of a map-list, for the checks in [`lists`].
pub(super) fn map_keys(node: &Node) -> &[String] {
    match &node.list_type {
        ListType::Map(keys) => keys,
        ListType::Atomic | ListType::Set => &[],
    }
}
