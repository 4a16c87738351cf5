//! `allOf`, `anyOf`, `oneOf` and `not`: conditions on the value, which may bound it but not shape it.

use serde_json::{Map, Value};

use super::keywords::{self, Reader};
use crate::node::{Junctors, Node};
use crate::path::Path;
use crate::{FieldError, Violation};

const MAX_DEPTH: usize = 96;

pub(super) fn compile(map: &Map<String, Value>, path: &Path<'_>, violations: &mut Vec<Violation>) -> Junctors {
    let int_or_string = map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    let mut junctors = Junctors {
        all_of: list(map, "allOf", false, path, violations),
        any_of: list(map, "anyOf", int_or_string && is_int_or_string(map.get("anyOf")), path, violations),
        one_of: list(map, "oneOf", false, path, violations),
        not: None,
    };
    if let Some(schema) = map.get("not").filter(|schema| !schema.is_null()) {
        junctors.not = Some(Box::new(condition(schema, false, &path.field("not"), violations)));
    }
    junctors
}

fn list(
    map: &Map<String, Value>,
    name: &str,
    typed: bool,
    path: &Path<'_>,
    violations: &mut Vec<Violation>,
) -> Vec<Node> {
    let path = path.field(name);
    let int_or_string = map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    match map.get(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(schemas)) => {
            let each = |(index, schema): (usize, &Value)| {
                // The one exception: allOf may begin with the pair of types when anyOf says something else.
                let pair_inside =
                    name == "allOf" && int_or_string && index == 0 && is_int_or_string(schema.get("anyOf"));
                if pair_inside {
                    return Node::default();
                }
                condition(schema, typed, &path.index(index), violations)
            };
            schemas.iter().enumerate().map(each).collect()
        }
        Some(other) => {
            violations.push(FieldError::invalid(path.to_string(), other, "must be a list of schemas"));
            Vec::new()
        }
    }
}

/// `[{type: integer}, {type: string}]`, which int-or-string nodes may repeat.
fn is_int_or_string(schemas: Option<&Value>) -> bool {
    schemas == Some(&serde_json::json!([{"type": "integer"}, {"type": "string"}]))
}

/// One condition. Only value bounds may stand in it, at any depth.
fn condition(schema: &Value, typed: bool, path: &Path<'_>, violations: &mut Vec<Violation>) -> Node {
    let Some(map) = schema.as_object() else {
        violations.push(FieldError::invalid(path.to_string(), schema, "must be a schema object"));
        return Node::default();
    };
    if path.depth() > MAX_DEPTH {
        violations.push(FieldError::forbidden(path.to_string(), "the schema nests too deeply"));
        return Node::default();
    }
    keywords::refuse_unsupported(map, path, violations);
    refuse_shape(map, typed, path, violations);
    let mut reader = Reader { map, path, violations };
    let shape = keywords::shape(&mut reader);
    let checks = keywords::checks(&mut reader);
    let mut node = Node { kind: shape.kind, checks, preserve_unknown: true, nullable: true, ..Node::default() };
    if let Some(fields) = map.get("properties").and_then(Value::as_object) {
        let properties = path.field("properties");
        for (name, schema) in fields {
            node.properties.insert(name.clone(), condition(schema, false, &properties.key(name), violations));
        }
    }
    if let Some(schema) = map.get("items") {
        node.items = Some(Box::new(condition(schema, false, &path.field("items"), violations)));
    }
    node.junctors = compile(map, path, violations);
    node
}

fn refuse_shape(map: &Map<String, Value>, typed: bool, path: &Path<'_>, violations: &mut Vec<Violation>) {
    for (name, value) in map {
        let empty = matches!(value, Value::Null | Value::Bool(false)) || value.as_str() == Some("");
        let shapes = match name.as_str() {
            "type" => !typed,
            "description" | "default" | "nullable" | "title" | "additionalProperties" => true,
            name => name.starts_with("x-kubernetes-"),
        };
        if shapes && !empty {
            violations.push(FieldError::forbidden(path.field(name).to_string(), "must be empty to be structural"));
        }
    }
}

/// Whatever a condition speaks of must be part of the shape outside it.
pub(super) fn check_complete(node: &Node, path: &Path<'_>, violations: &mut Vec<Violation>) {
    let junctors = &node.junctors;
    for (name, conditions) in [("allOf", &junctors.all_of), ("anyOf", &junctors.any_of), ("oneOf", &junctors.one_of)] {
        for (index, condition) in conditions.iter().enumerate() {
            complete(node, condition, path, &format!("{name}[{index}]"), violations);
        }
    }
    if let Some(condition) = junctors.not.as_deref() {
        complete(node, condition, path, "not", violations);
    }
}

fn complete(shape: &Node, condition: &Node, path: &Path<'_>, seen: &str, violations: &mut Vec<Violation>) {
    for (name, inner) in &condition.properties {
        let seen = format!("{seen}.properties[{name}]");
        let properties = path.field("properties");
        let at = properties.key(name);
        if let Some(child) = shape.properties.get(name) {
            complete(child, inner, &at, &seen, violations);
        } else {
            violations.push(FieldError::required(at.to_string(), format!("because it is defined in {seen}")));
        }
    }
    if let Some(inner) = condition.items.as_deref() {
        let seen = format!("{seen}.items");
        let at = path.field("items");
        if let Some(child) = shape.items.as_deref() {
            complete(child, inner, &at, &seen, violations);
        } else {
            violations.push(FieldError::required(at.to_string(), format!("because it is defined in {seen}")));
        }
    }
    let nested = &condition.junctors;
    let all = nested.all_of.iter().chain(&nested.any_of).chain(&nested.one_of).chain(nested.not.as_deref());
    for inner in all {
        complete(shape, inner, path, seen, violations);
    }
}
