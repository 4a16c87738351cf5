//! Reads structural schemas.
//!
//! Total: the schema was accepted when its CustomResourceDefinition was, so that a part which cannot be used here is deduced
//! rather than refused.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ListKey, ListKind, ListType, MapType, Others, TypeRef, metadata};
use crate::MAX_DEPTH;
use crate::scalar::Scalar;

/// The form of a resource: that of its schema, with the fields every resource has.
pub(super) fn resource(schema: &Value) -> TypeRef {
    let mut root = match read(schema, MAX_DEPTH) {
        TypeRef::Map(map) => map,
        _ => MapType { fields: BTreeMap::new(), others: Others::Deduced, atomic: false },
    };
    root.atomic = false;
    add_resource_fields(&mut root);
    TypeRef::Map(root)
}

fn add_resource_fields(map: &mut MapType) {
    map.fields.insert("apiVersion".to_owned(), TypeRef::Scalar);
    map.fields.insert("kind".to_owned(), TypeRef::Scalar);
    map.fields.insert("metadata".to_owned(), metadata::object_meta());
}

fn read(schema: &Value, depth: usize) -> TypeRef {
    let Some(depth) = depth.checked_sub(1) else {
        return TypeRef::Deduced;
    };
    if says(schema, "x-kubernetes-int-or-string") {
        return TypeRef::Scalar;
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => TypeRef::Map(map(schema, depth)),
        Some("array") => TypeRef::List(list(schema, depth)),
        Some("string" | "integer" | "number" | "boolean") => TypeRef::Scalar,
        _ if schema.get("properties").is_some() => TypeRef::Map(map(schema, depth)),
        _ => TypeRef::Deduced,
    }
}

fn map(schema: &Value, depth: usize) -> MapType {
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields: BTreeMap<_, _> =
        properties.into_iter().flatten().map(|(name, field)| (name.clone(), read(field, depth))).collect();
    let others = match schema.get("additionalProperties") {
        Some(value @ Value::Object(_)) => Others::Typed(Box::new(read(value, depth))),
        Some(Value::Bool(true)) => Others::Deduced,
        _ if says(schema, "x-kubernetes-preserve-unknown-fields") || properties.is_none() => Others::Deduced,
        _ => Others::Refused,
    };
    let atomic = schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic");
    let mut map = MapType { fields, others, atomic };
    if says(schema, "x-kubernetes-embedded-resource") {
        add_resource_fields(&mut map);
    }
    map
}

fn list(schema: &Value, depth: usize) -> ListType {
    let items = schema.get("items").unwrap_or(&Value::Null);
    let kind = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListKind::Set,
        Some("map") => keys(schema, items).map_or(ListKind::Atomic, ListKind::Map),
        _ => ListKind::Atomic,
    };
    ListType { kind, items: Box::new(read(items, depth)) }
}

fn keys(schema: &Value, items: &Value) -> Option<Vec<ListKey>> {
    let names = schema.get("x-kubernetes-list-map-keys")?.as_array()?;
    let names: Option<Vec<_>> = names.iter().map(Value::as_str).collect();
    let key = |name: &str| {
        let default = items.get("properties").and_then(|fields| fields.get(name)?.get("default"));
        ListKey { name: name.to_owned(), default: default.and_then(Scalar::new) }
    };
    names.filter(|names| !names.is_empty()).map(|names| names.into_iter().map(key).collect())
}

fn says(schema: &Value, extension: &str) -> bool {
    schema.get(extension).and_then(Value::as_bool).unwrap_or(false)
}
