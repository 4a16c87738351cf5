//! `x-kubernetes-list-type`, `x-kubernetes-list-map-keys` and `x-kubernetes-map-type`.

use serde_json::Value;

use super::compile::map_keys;
use super::keywords::Reader;
use crate::node::{ListType, Node, Type};
use crate::path::Path;
use crate::{FieldError, Violation};

pub(super) fn list_type(reader: &mut Reader<'_>) -> ListType {
    let keys = reader.texts("x-kubernetes-list-map-keys");
    let at = reader.path.field("x-kubernetes-list-type").to_string();
    let is_array = reader.map.get("type") == Some(&Value::from("array"));
    let kind = reader.text("x-kubernetes-list-type");
    if let Some(kind) = kind.filter(|_| !is_array) {
        reader.violations.push(FieldError::invalid(at.clone(), &kind.into(), "must be used only with arrays"));
    }
    map_type(reader);
    if !keys.is_empty() && kind != Some("map") {
        let at = reader.path.field("x-kubernetes-list-map-keys").to_string();
        reader.violations.push(FieldError::forbidden(at, "must only be set if x-kubernetes-list-type is \"map\""));
    }
    match kind {
        None | Some("atomic") => ListType::Atomic,
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(keys),
        Some(other) => {
            let supported = ["atomic".into(), "map".into(), "set".into()];
            reader.violations.push(FieldError::not_supported(at, &other.into(), &supported));
            ListType::Atomic
        }
    }
}

fn map_type(reader: &mut Reader<'_>) {
    let Some(kind) = reader.text("x-kubernetes-map-type") else { return };
    let at = reader.path.field("x-kubernetes-map-type").to_string();
    if reader.map.get("type") != Some(&Value::from("object")) {
        reader.violations.push(FieldError::invalid(at, &kind.into(), "must be used only with objects"));
        return;
    }
    if !matches!(kind, "atomic" | "granular") {
        let supported = ["atomic".into(), "granular".into()];
        reader.violations.push(FieldError::not_supported(at, &kind.into(), &supported));
    }
}

/// What the list type asks of the items.
pub(super) fn check(node: &Node, path: &Path<'_>, violations: &mut Vec<Violation>) {
    let Some(items) = node.items.as_deref() else { return };
    match &node.list_type {
        ListType::Atomic => {}
        ListType::Set => check_set(items, path, violations),
        ListType::Map(_) => check_map(node, items, path, violations),
    }
}

fn check_set(items: &Node, path: &Path<'_>, violations: &mut Vec<Violation>) {
    let granular_map = items.kind == Some(Type::Object) && !items.atomic_map;
    let keyed_list = items.kind == Some(Type::Array) && items.list_type != ListType::Atomic;
    if granular_map || keyed_list {
        let kind = items.kind.map_or("", Type::as_str);
        let at = path.field("items").field("type").to_string();
        violations.push(FieldError::invalid(
            at,
            &kind.into(),
            "items of a set must be scalars, atomic lists or atomic maps",
        ));
    }
    if items.nullable {
        let at = path.field("items").field("nullable").to_string();
        violations.push(FieldError::forbidden(at, "cannot be nullable when x-kubernetes-list-type is \"set\""));
    }
}

fn check_map(node: &Node, items: &Node, path: &Path<'_>, violations: &mut Vec<Violation>) {
    let keys = map_keys(node);
    let keys_path = path.field("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        violations
            .push(FieldError::required(keys_path.to_string(), "must not be empty if x-kubernetes-list-type is map"));
    }
    let items_path = path.field("items");
    if items.kind != Some(Type::Object) {
        let kind = items.kind.map_or("", Type::as_str);
        let at = items_path.field("type").to_string();
        violations.push(FieldError::invalid(
            at,
            &kind.into(),
            "must be object if parent array's x-kubernetes-list-type is map",
        ));
        return;
    }
    for (index, key) in keys.iter().enumerate() {
        let Some(field) = items.properties.get(key) else {
            let at = keys_path.index(index).to_string();
            violations.push(FieldError::invalid(
                at,
                &key.as_str().into(),
                "entries must all be names of item properties",
            ));
            continue;
        };
        let properties = items_path.field("properties");
        let field_path = properties.key(key);
        if matches!(field.kind, Some(Type::Object | Type::Array)) {
            let kind = field.kind.map_or("", Type::as_str);
            let words = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            violations.push(FieldError::invalid(field_path.field("type").to_string(), &kind.into(), words));
        }
        if field.default.is_none() && !items.checks.required.contains(key) {
            let words =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            violations.push(FieldError::required(field_path.field("default").to_string(), words));
        }
    }
}
