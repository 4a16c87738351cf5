//! The schemas of a document: the kinds, their lists, and what all documents share.

use serde_json::{Map, Value, json};

use super::{Api, ResourceDoc, meta, reference};
use crate::builtin::{object_meta_json, shared_json};

const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";
const API_VERSION: &str = "Version of the form that this object is written in, such as v1 or example.com/v1.";
const KIND: &str = "Kind of this object, in CamelCase. It cannot be changed.";

/// The types of `meta/v1`.
pub(super) fn shared() -> Map<String, Value> {
    let mut schemas = Map::new();
    for (name, schema) in shared_json().as_object().into_iter().flatten() {
        let full = if name == "Scale" { SCALE.to_owned() } else { meta(name) };
        schemas.insert(full, schema.clone());
    }
    let mut object_meta = object_meta_json().clone();
    for (list, name) in [("ownerReferences", "OwnerReference"), ("managedFields", "ManagedFieldsEntry")] {
        let Some(items) = object_meta.pointer_mut(&format!("/properties/{list}/items")) else { continue };
        let mut entry = std::mem::replace(items, json!({"allOf": [reference(&meta(name))], "default": {}}));
        refer(&mut entry, "time", "Time");
        refer(&mut entry, "fieldsV1", "FieldsV1");
        schemas.insert(meta(name), entry);
    }
    refer(&mut object_meta, "creationTimestamp", "Time");
    refer(&mut object_meta, "deletionTimestamp", "Time");
    schemas.insert(meta("ObjectMeta"), object_meta);
    schemas
}

/// Replaces the schema of a property by a reference that keeps its description.
fn refer(schema: &mut Value, property: &str, name: &str) {
    let Some(found) = schema.pointer_mut(&format!("/properties/{property}")) else { return };
    let description = found.get("description").cloned().unwrap_or_default();
    *found = json!({"allOf": [reference(&meta(name))], "description": description});
}

/// Adds the kind, and its list if it can be listed.
pub(super) fn add(api: &Api<'_>, resource: &ResourceDoc<'_>, schemas: &mut Map<String, Value>) {
    schemas.insert(api.schema_name(resource.kind), object(api, resource));
    if resource.verbs.contains(&"list") {
        let kind = format!("{}List", resource.kind);
        schemas.insert(api.schema_name(&kind), list(api, resource.kind, &kind));
    }
}

/// The schema of a kind with the fields that every object has.
pub(super) fn object(api: &Api<'_>, resource: &ResourceDoc<'_>) -> Value {
    let mut schema = resource.schema.clone();
    complete(&mut schema);
    if let Some(map) = schema.as_object_mut() {
        map.insert("x-kubernetes-group-version-kind".to_owned(), json!([api.group_version_kind(resource.kind)]));
    }
    schema
}

fn complete(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    let properties = map.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else { return };
    properties.insert("apiVersion".to_owned(), json!({"type": "string", "description": API_VERSION}));
    properties.insert("kind".to_owned(), json!({"type": "string", "description": KIND}));
    let description = "Name, labels and the like.";
    properties
        .insert("metadata".to_owned(), json!({"allOf": [reference(&meta("ObjectMeta"))], "description": description}));
}

fn list(api: &Api<'_>, kind: &str, list_kind: &str) -> Value {
    json!({
        "type": "object",
        "description": format!("{list_kind} is a list of {kind}."),
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": API_VERSION},
            "kind": {"type": "string", "description": KIND},
            "metadata": {"allOf": [reference(&meta("ListMeta"))], "description": "Where in time the list stands."},
            "items": {"type": "array", "description": "The objects.", "items": {"allOf": [reference(&api.schema_name(kind))], "default": {}}},
        },
        "x-kubernetes-group-version-kind": [api.group_version_kind(list_kind)],
    })
}

/// The name of the schema of a subresource's body.
pub(super) fn scale() -> &'static str {
    SCALE
}
