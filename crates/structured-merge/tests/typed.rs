//! The parts that apply is made of, where a whole apply does not show what they do.

use essaim_structured_merge::{FieldSet, Path, Schema, compare, fields_of, merge, remove};
use serde_json::{Value, json};

fn schema() -> Schema {
    Schema::from_openapi(&json!({"type": "object", "properties": {
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}}
    }}))
}

fn lines(set: &FieldSet) -> Vec<String> {
    set.paths().iter().map(Path::to_string).collect()
}

/// The old and the new value, and what is added, modified and removed.
type Change = (Value, Value, [&'static [&'static str]; 3]);

#[test]
fn changes_are_found() {
    let (a, big) = (json!({"name": "a", "size": 1}), json!({"name": "a", "size": 2}));
    let changes: [Change; 12] = [
        (json!({}), json!({"map": {}}), [&[".map"], &[], &[]]),
        (json!({}), json!({"map": {"a": "1"}}), [&[".map", ".map.a"], &[], &[]]),
        (json!({"map": null}), json!({"map": {}}), [&[], &[".map"], &[]]),
        (json!({"map": null}), json!({"map": {"a": "1"}}), [&[".map.a"], &[], &[]]),
        (json!({"map": {}}), json!({"map": {"a": "1"}}), [&[".map.a"], &[], &[]]),
        (json!({"map": {"a": "1"}}), json!({}), [&[], &[], &[".map", ".map.a"]]),
        (json!({"map": {"a": "1"}}), json!({"map": "x"}), [&[], &[".map"], &[".map.a"]]),
        (json!({"map": []}), json!({"map": {"a": "1"}}), [&[".map.a"], &[".map"], &[]]),
        (json!({"items": [a]}), json!({"items": [big]}), [&[], &[r#".items[name="a"].size"#], &[]]),
        (json!({"items": [a, a]}), json!({"items": [a, big]}), [&[], &[r#".items[name="a"]"#], &[]]),
        (json!({"set": ["x", "x"]}), json!({"set": ["y"]}), [&[r#".set[="y"]"#], &[], &[r#".set[="x"]"#]]),
        (json!({"set": ["y"]}), json!({"set": ["x", "x", "y"]}), [&[r#".set[="x"]"#], &[], &[]]),
    ];
    for (old, new, expected) in changes {
        let found = compare(schema().root(), &old, &new);
        let found: [Vec<String>; 3] = [&found.added, &found.modified, &found.removed].map(lines);
        assert_eq!(found, expected.map(<[_]>::to_vec), "{old} to {new}");
    }
}

#[test]
fn nobody_owns_a_part_of_a_duplicate() {
    let value = json!({"items": [{"name": "a", "size": 1}, {"name": "a", "size": 2}, {"name": "b"}]});
    let expected = [r#".items[name="a"]"#, r#".items[name="b"]"#, r#".items[name="b"].name"#];
    assert_eq!(lines(&fields_of(schema().root(), &value)), expected);
}

#[test]
fn removal_leaves_the_container_and_what_cannot_be_named() {
    let value = json!({"map": {"a": "1"}, "items": [{"size": 7}, {"name": "a"}]});
    let mut fields: FieldSet = [Path::dotted("map.a")].into_iter().collect();
    fields = fields.union(&FieldSet::from_fields_v1(&json!({"f:items": {"k:{\"name\":\"a\"}": {}}})).unwrap());
    assert_eq!(remove(schema().root(), &value, &fields), json!({"map": {}, "items": [{"size": 7}]}));
}

#[test]
fn another_form_replaces_the_value() {
    for (live, applied) in
        [(json!({"map": {"a": "1"}}), json!({"map": "x"})), (json!({"set": {}}), json!({"set": ["x"]}))]
    {
        assert_eq!(merge(schema().root(), &live, &applied), applied);
    }
}
