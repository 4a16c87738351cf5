//! The wire forms: `FieldsV1`, `managedFields`, paths in messages.

use essaim_structured_merge::{
    Error, FieldSet, MAX_DEPTH, ManagedFields, Path, PathElement, same_ignoring_times, strip_for_comparison,
};
use serde_json::{Value, json};

/// `FieldsV1` and the paths it stands for, as messages show them.
const FORMS: [(&str, &[&str]); 12] = [
    ("{}", &[]),
    (r#"{"f:spec":{}}"#, &[".spec"]),
    (r#"{"f:spec":{"f:image":{}}}"#, &[".spec.image"]),
    (r#"{"f:spec":{".":{},"f:image":{}}}"#, &[".spec", ".spec.image"]),
    (r#"{"f:a.b":{"f:":{}}}"#, &[".a.b."]),
    (r#"{"f:l":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}}}}"#, &[r#".l[name="a"]"#, r#".l[name="a"].name"#]),
    (r#"{"f:l":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{}}}"#, &[r#".l[port=80,protocol="TCP"]"#]),
    (r#"{"f:l":{"k:{\"a\":null,\"b\":true,\"c\":1.5}":{}}}"#, &[".l[a=null,b=true,c=1.5]"]),
    (r#"{"f:s":{"v:\"x\"":{},"v:1":{},"v:true":{}}}"#, &[".s[=true]", ".s[=1]", r#".s[="x"]"#]),
    (r#"{"f:s":{"v:\"a\\\"b\"":{}}}"#, &[r#".s[="a\"b"]"#]),
    (r#"{"f:s":{"v:18446744073709551615":{},"v:-1":{}}}"#, &[".s[=-1]", ".s[=18446744073709551615]"]),
    (r#"{"f:l":{"i:0":{},"i:10":{}}}"#, &[".l[0]", ".l[10]"]),
];

#[test]
fn fields_v1_is_read_and_written() {
    for (text, paths) in FORMS {
        let fields: Value = serde_json::from_str(text).unwrap();
        let set = FieldSet::from_fields_v1(&fields).unwrap();
        let shown: Vec<_> = set.paths().iter().map(Path::to_string).collect();
        assert_eq!(shown, paths, "{text}");
        assert_eq!(set.to_fields_v1(), fields, "{text}");
        assert_eq!(set.to_string(), paths.join("\n"));
    }
}

#[test]
fn keys_are_sorted_and_numbers_have_one_spelling() {
    for (given, written) in [
        (r#"k:{"b":1,"a":2}"#, r#"k:{"a":2,"b":1}"#),
        (r#"k:{ "a" : "x" }"#, r#"k:{"a":"x"}"#),
        ("v:1.0", "v:1"),
        ("v:1e2", "v:100"),
        ("v:-0.0", "v:0"),
    ] {
        assert_eq!(PathElement::decode(given).unwrap().encode(), written);
    }
}

#[test]
fn what_is_no_fields_v1_is_refused() {
    for text in [
        "[]",
        "null",
        r#""f:a""#,
        r#"{"":{}}"#,
        r#"{"f":{}}"#,
        r#"{"x:a":{}}"#,
        r#"{"spec":{}}"#,
        r#"{"i:x":{}}"#,
        r#"{"i:-1":{}}"#,
        r#"{"v:":{}}"#,
        r#"{"v:{}":{}}"#,
        r#"{"v:[1]":{}}"#,
        r#"{"k:":{}}"#,
        r#"{"k:[]":{}}"#,
        r#"{"k:{\"a\":{}}":{}}"#,
        r#"{"f:a":null}"#,
        r#"{"f:a":{"f:b":[]}}"#,
    ] {
        let fields: Value = serde_json::from_str(text).unwrap();
        assert!(matches!(FieldSet::from_fields_v1(&fields), Err(Error::FieldsV1 { .. })), "{text}");
    }
}

#[test]
fn fields_v1_that_is_too_deep_is_refused() {
    let nested = |depth| (0..depth).fold(json!({}), |below, _| json!({"f:a": below}));
    assert!(FieldSet::from_fields_v1(&nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(FieldSet::from_fields_v1(&nested(MAX_DEPTH)), Err(Error::TooDeep));
    assert_eq!(FieldSet::from_fields_v1(&nested(300)), Err(Error::TooDeep));
}

#[test]
fn managed_fields_are_written_in_order() {
    let entry = |manager: &str, operation: &str, time: &str| {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": time,
               "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}})
    };
    let mut no_time = entry("c", "Update", "");
    no_time.as_object_mut().unwrap().remove("time");
    let (late, early) = (entry("a", "Update", "2026-01-02T00:00:00Z"), entry("b", "Update", "2026-01-01T00:00:00Z"));
    let applier = entry("z", "Apply", "2026-01-03T00:00:00Z");
    let managed = ManagedFields::decode(&json!([late, no_time, applier, early])).unwrap();
    assert_eq!(managed.encode(), json!([applier, no_time, early, late]));
}

#[test]
fn the_later_of_two_entries_for_one_owner_counts() {
    let entry = |version: &str, field: &str| json!({"manager": "a", "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": {field: {}}});
    let managed = ManagedFields::decode(&json!([entry("v1", "f:x"), entry("v2", "f:y")])).unwrap();
    assert_eq!(managed.encode(), json!([entry("v2", "f:y")]));
}

#[test]
fn what_is_no_managed_fields_entry_is_refused() {
    let valid =
        json!({"manager": "a", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}});
    assert!(ManagedFields::decode(&json!([valid])).is_ok());
    for (field, value) in [
        ("operation", json!("Delete")),
        ("apiVersion", json!("")),
        ("fieldsType", json!("FieldsV2")),
        ("fieldsType", Value::Null),
        ("fieldsV1", json!([])),
        ("fieldsV1", json!({"spec": {}})),
    ] {
        let mut entry = valid.clone();
        entry[field] = value;
        assert!(ManagedFields::decode(&json!([entry])).is_err(), "{entry}");
    }
    assert!(ManagedFields::decode(&json!(["a"])).is_err());
}

#[test]
fn only_times_are_ignored_in_a_comparison() {
    let object = |time: &str, image: &str| json!({"metadata": {"managedFields": [{"manager": "a", "time": time}, 7]}, "spec": {"image": image}});
    assert!(same_ignoring_times(&object("1", "a"), &object("2", "a")));
    assert!(!same_ignoring_times(&object("1", "a"), &object("1", "b")));
    assert_eq!(
        strip_for_comparison(&json!({"metadata": {"managedFields": {}}})),
        json!({"metadata": {"managedFields": {}}})
    );
    assert_eq!(strip_for_comparison(&json!([1])), json!([1]));
}

#[test]
fn nobody_lists_thousands_of_owners() {
    let owner = |at: usize| {
        json!({"manager": format!("m{at}"), "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {format!("f:k{at}"): {}}}})
    };
    let owners = |count: usize| Value::Array((0..count).map(owner).collect());
    assert_eq!(ManagedFields::decode(&owners(500)).unwrap().entries().len(), 500);
    assert!(matches!(ManagedFields::decode(&owners(501)), Err(Error::ManagedFields { index: 500, .. })));
}
