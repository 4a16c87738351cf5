//! Filling in defaults, and dropping nulls that mean "not given".

use serde_json::Value;

use crate::node::{Additional, Node};

pub(crate) fn default(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, child) in &node.properties {
                let Some(given) = &child.default else { continue };
                let missing = map.get(name).is_none_or(|value| value.is_null() && !child.nullable);
                if missing {
                    map.insert(name.clone(), given.clone());
                }
            }
            for (name, value) in map.iter_mut() {
                match (node.properties.get(name), &node.additional) {
                    (Some(child), _) => default(child, value),
                    (None, Additional::Schema(child)) => {
                        replace_null(child, value);
                        default(child, value);
                    }
                    (None, Additional::Nothing | Additional::Anything) => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(child) = node.items.as_deref() else { return };
            for item in items {
                replace_null(child, item);
                default(child, item);
            }
        }
        _ => {}
    }
}

fn replace_null(node: &Node, value: &mut Value) {
    if let (Value::Null, false, Some(given)) = (&*value, node.nullable, &node.default) {
        *value = given.clone();
    }
}

pub(crate) fn prune_nulls(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|name, value| {
            let Some(child) = node.child(name) else { return true };
            if value.is_null()
                && !child.nullable
                && child.default.is_none()
                && (child.kind.is_some() || child.int_or_string)
            {
                return false;
            }
            prune_nulls(child, value);
            true
        }),
        Value::Array(items) => {
            let Some(child) = node.items.as_deref() else { return };
            for item in items {
                prune_nulls(child, item);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Structural;

    #[test]
    fn defaults_reach_every_level_and_null_means_not_given() {
        let schema = Structural::compile(&json!({"type": "object", "properties": {"spec": {"type": "object", "default": {}, "properties": {
            "class": {"type": "string", "default": "standard"},
            "note": {"type": "string", "nullable": true, "default": "none"},
            "free": {"type": "string"},
            "ports": {"type": "array", "items": {"type": "object", "properties": {"protocol": {"type": "string", "default": "TCP"}}}},
            "named": {"type": "object", "additionalProperties": {"type": "object", "properties": {"on": {"type": "boolean", "default": true}}}},
        }}}}))
        .expect("a structural schema");
        let mut empty = json!({});
        schema.default(&mut empty);
        assert_eq!(empty, json!({"spec": {"class": "standard", "note": "none"}}));

        let mut object =
            json!({"spec": {"class": null, "note": null, "free": null, "ports": [{}], "named": {"a": {}}}});
        schema.default(&mut object);
        schema.prune_nulls(&mut object);
        assert_eq!(
            object,
            json!({"spec": {"class": "standard", "note": null, "ports": [{"protocol": "TCP"}], "named": {"a": {"on": true}}}})
        );
    }
}
