//! What must hold for every value, whatever it is.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Columns, Definition, JsonPath, Quantity, Structural};

fn anything() -> impl Strategy<Value = Value> {
    let names =
        prop::sample::select(vec!["spec", "metadata", "labels", "items", "name", "on", "free", "size", "a.b", ""]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9.:+/\\-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
            )),
        ]
    })
}

fn schema() -> Structural {
    Structural::compile(&json!({"type": "object", "properties": {"spec": {"type": "object", "default": {}, "properties": {
        "name": {"type": "string", "default": "10.0.0.1", "maxLength": 9, "format": "ipv4", "nullable": true},
        "on": {"type": "boolean", "default": true},
        "size": {"x-kubernetes-int-or-string": true},
        "labels": {"type": "object", "additionalProperties": {"type": "integer", "multipleOf": 3, "default": 3}},
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
            "type": "object", "properties": {"name": {"type": "string", "default": "d"}, "on": {"type": "boolean", "default": false}},
            "x-kubernetes-validations": [{"rule": "self.name != 'bad' && (!has(self.on) || self.on != oldSelf.on || true)"}]}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-validations": [{"rule": "size(self) < 3"}],
            "properties": {"name": {"type": "string", "pattern": "^a+$"}}},
    }}}}))
    .expect("a structural schema")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pruning_and_defaulting_twice_is_doing_it_once(value in anything()) {
        let schema = schema();
        let mut once = json!({"spec": value});
        schema.prune(&mut once);
        schema.default(&mut once);
        schema.prune_nulls(&mut once);
        let mut twice = once.clone();
        prop_assert_eq!(schema.prune(&mut twice), Vec::<String>::new());
        schema.default(&mut twice);
        schema.prune_nulls(&mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn validation_ends_in_an_answer(new in anything(), old in anything()) {
        let schema = schema();
        schema.validate(&new, Some(&old));
        let (new, old) = (json!({"spec": new}), json!({"spec": old}));
        prop_assert_eq!(schema.validate(&new, Some(&new)).len(), 0, "what did not change is tolerated");
        schema.validate(&new, Some(&old));
    }

    #[test]
    fn no_document_is_too_strange_to_be_refused(value in anything(), text in "\\PC{0,40}") {
        let _ = Structural::compile(&value);
        let _ = Structural::compile(&json!({"type": "object", "properties": value}));
        let _ = Structural::compile(&json!({"type": "object", "x-kubernetes-validations": [{"rule": text}]}));
        let _ = Definition::from_crd(&json!({"metadata": value, "spec": {"versions": [value], "names": value, "group": text}}));
        let _ = Columns::compile(&json!([{"name": "A", "type": "string", "jsonPath": text}, value]));
        let _ = JsonPath::parse(&format!(".{text}")).map(|path| path.first(&value).cloned());
        let _ = text.parse::<Quantity>();
    }
}

#[test]
fn items_whose_keys_are_equal_only_by_mistake_are_each_their_own() {
    let schema = schema();
    for items in [json!([null, {}]), json!([{"on": true}, {"name": "d"}, {}]), json!([3, {"on": false}])] {
        let object = json!({"spec": {"items": items}});
        assert_eq!(schema.validate(&object, Some(&object)), []);
    }
}
