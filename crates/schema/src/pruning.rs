//! Removing the fields that a schema does not know.

use serde_json::{Map, Value};

use crate::node::{Additional, Node, Type};
use crate::path::Path;
use crate::structural::object_meta;

/// Prunes a whole object; gives the paths of what was removed.
pub(crate) fn prune(root: &Node, object: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    if let Value::Object(map) = object {
        prune_map(root, map, true, &Path::ROOT, &mut removed);
    }
    removed
}

/// Prunes a value inside an object.
pub(crate) fn prune_below(node: &Node, value: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    prune_value(node, value, &Path::ROOT, &mut removed);
    removed
}

fn prune_value(node: &Node, value: &mut Value, path: &Path<'_>, removed: &mut Vec<String>) {
    match value {
        Value::Object(map) if node.kind == Some(Type::Object) || node.kind.is_none() => {
            prune_map(node, map, node.embedded, path, removed);
        }
        Value::Array(items) => {
            let Some(schema) = node.items.as_deref() else { return };
            for (index, item) in items.iter_mut().enumerate() {
                prune_value(schema, item, &path.index(index), removed);
            }
        }
        // A value of another type than the schema's is for validation to refuse.
        _ => {}
    }
}

fn prune_map(node: &Node, map: &mut Map<String, Value>, resource: bool, path: &Path<'_>, removed: &mut Vec<String>) {
    map.retain(|name, value| {
        let here = path.field(name);
        if resource && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            if name == "metadata" {
                prune_value(object_meta(), value, &here, removed);
            }
            return true;
        }
        match (node.properties.get(name), &node.additional) {
            (Some(child), _) => prune_value(child, value, &here, removed),
            (None, Additional::Schema(child)) => prune_value(child, value, &here, removed),
            (None, Additional::Anything) => {}
            (None, Additional::Nothing) if node.preserve_unknown => {}
            (None, Additional::Nothing) => {
                removed.push(here.to_string());
                return false;
            }
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Structural;

    #[test]
    fn unknown_fields_go_and_are_named() {
        let schema = Structural::compile(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "mounts": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                         "properties": {"tight": {"type": "object", "properties": {"a": {"type": "integer"}}}}},
                "template": {"type": "object", "x-kubernetes-embedded-resource": true,
                             "properties": {"spec": {"type": "object"}}},
                "size": {"x-kubernetes-int-or-string": true},
            }},
        }}))
        .expect("a structural schema");
        let mut object = json!({
            "apiVersion": "v1", "kind": "A", "extra": 1,
            "metadata": {"name": "a", "labels": {"x": "y"}, "colour": "red", "ownerReferences": [{"uid": "1", "nick": "n"}],
                         "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]},
            "spec": {
                "mounts": [{"name": "a"}, {"name": "b", "mode": 7}],
                "labels": {"any": "thing"}, "size": "1Gi",
                "free": {"x": {"y": 1}, "tight": {"a": 1, "b": 2}},
                "template": {"apiVersion": "v1", "kind": "B", "metadata": {"name": "b", "nick": 1}, "spec": {"z": 1}},
            },
        });
        let mut removed = schema.prune(&mut object);
        removed.sort();
        assert_eq!(
            removed,
            [
                "extra",
                "metadata.colour",
                "metadata.ownerReferences[0].nick",
                "spec.free.tight.b",
                "spec.mounts[1].mode",
                "spec.template.metadata.nick",
                "spec.template.spec.z",
            ]
        );
        assert_eq!(object["spec"]["free"]["x"], json!({"y": 1}));
        assert_eq!(object["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:spec": {}}));
        assert_eq!(schema.prune(&mut object), Vec::<String>::new(), "a second pass finds nothing");
    }
}
