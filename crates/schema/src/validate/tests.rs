//! The words of validation, and what an update is forgiven.

use serde_json::{Value, json};

use crate::{Reason, Structural};

fn notebook_server() -> Structural {
    Structural::compile(&json!({"type": "object", "required": ["spec"], "properties": {"spec": {
        "type": "object", "required": ["class"],
        "oneOf": [{"required": ["image"]}, {"required": ["build"]}],
        "properties": {
            "class": {"type": "string", "enum": ["small", "large"]},
            "image": {"type": "string", "minLength": 2, "maxLength": 20},
            "build": {"type": "string"},
            "memory": {"type": "string", "pattern": "^[0-9]+(Mi|Gi)$"},
            "cpu": {"type": "integer", "minimum": 1, "maximum": 8},
            "share": {"type": "number", "exclusiveMinimum": true, "minimum": 0, "multipleOf": 0.25},
            "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "until": {"type": "string", "format": "date-time", "nullable": true},
            "groups": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "mounts": {"type": "array", "minItems": 1, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "mode": {"type": "string", "enum": ["ro", "rw"]}}}},
            "env": {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
            "suspend": {"type": "boolean", "not": {"enum": [true]}},
        },
    }}}))
    .expect("a structural schema")
}

fn words(spec: &Value) -> Vec<String> {
    let mut full = json!({"class": "small", "image": "base"});
    for (name, value) in spec.as_object().into_iter().flatten() {
        full[name] = value.clone();
    }
    notebook_server().validate(&json!({"spec": full}), None).iter().map(ToString::to_string).collect()
}

#[test]
fn every_fault_is_worded_as_kubernetes_words_it() {
    for (spec, expected) in [
        (json!({"class": "huge"}), r#"spec.class: Unsupported value: "huge": supported values: "small", "large""#),
        (
            json!({"memory": "2GB"}),
            r#"spec.memory: Invalid value: "2GB": spec.memory in body should match '^[0-9]+(Mi|Gi)$'"#,
        ),
        (
            json!({"cpu": "two"}),
            r#"spec.cpu: Invalid value: "string": spec.cpu in body must be of type integer: "string""#,
        ),
        (json!({"cpu": 0}), "spec.cpu: Invalid value: 0: spec.cpu in body should be greater than or equal to 1"),
        (json!({"cpu": 9}), "spec.cpu: Invalid value: 9: spec.cpu in body should be less than or equal to 8"),
        (json!({"share": 0}), "spec.share: Invalid value: 0: spec.share in body should be greater than 0"),
        (json!({"share": 0.3}), "spec.share: Invalid value: 0.3: spec.share in body should be a multiple of 0.25"),
        (
            json!({"image": "b"}),
            r#"spec.image: Invalid value: "b": spec.image in body should be at least 2 chars long"#,
        ),
        (json!({"image": "b".repeat(21)}), "spec.image: Too long: may not be more than 20 bytes"),
        (
            json!({"port": true}),
            r#"spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean""#,
        ),
        (
            json!({"until": "soon"}),
            r#"spec.until: Invalid value: "soon": spec.until in body must be of type date-time: "soon""#,
        ),
        (json!({"groups": ["a", "a"]}), r#"spec.groups[1]: Duplicate value: "a""#),
        (json!({"groups": ["a", "b", "c"]}), "spec.groups: Too many: 3: must have at most 2 items"),
        (json!({"mounts": []}), "spec.mounts: Invalid value: []: spec.mounts in body should have at least 1 items"),
        (json!({"mounts": [{"name": "a"}, {"name": "a"}]}), r#"spec.mounts[1]: Duplicate value: {"name":"a"}"#),
        (json!({"mounts": [{}]}), "spec.mounts[0].name: Required value"),
        (
            json!({"mounts": [{"name": "a", "mode": "x"}]}),
            r#"spec.mounts[0].mode: Unsupported value: "x": supported values: "ro", "rw""#,
        ),
        (
            json!({"env": {"A": 1}}),
            r#"spec.env.A: Invalid value: "integer": spec.env.A in body must be of type string: "integer""#,
        ),
        (json!({"env": {"A": "1", "B": "2"}}), "spec.env: Too many: 2: must have at most 1 properties"),
        (json!({"template": {"kind": "A"}}), "spec.template.apiVersion: Required value: must not be empty"),
        (
            json!({"suspend": true}),
            "spec.suspend: Invalid value: true: spec.suspend in body must not validate the schema (not)",
        ),
        (
            json!({"class": null}),
            r#"spec.class: Invalid value: "null": spec.class in body must be of type string: "null""#,
        ),
    ] {
        assert_eq!(words(&spec), [expected], "{spec}");
    }
    assert_eq!(
        words(&json!({"until": null, "port": 80, "cpu": 2.0, "share": 0.75, "env": {"A": "1"}})),
        Vec::<String>::new()
    );
    let both = words(&json!({"build": "here"}));
    assert!(
        both[0].ends_with("spec in body must validate one and only one schema (oneOf). Found 2 valid alternatives"),
        "{both:?}"
    );
    let missing = notebook_server().validate(&json!({}), None);
    assert_eq!(
        (missing[0].path.as_str(), missing[0].reason, missing[0].message().as_str()),
        ("spec", Reason::Required, "Required value")
    );
}

#[test]
fn metadata_has_its_types_everywhere() {
    let errors = notebook_server()
        .validate(&json!({"metadata": {"labels": {"a": 1}}, "spec": {"class": "small", "image": "base"}}), None);
    assert_eq!(errors[0].path, "metadata.labels.a");
}

#[test]
fn what_was_wrong_before_and_did_not_change_is_tolerated() {
    let schema = notebook_server();
    let old = json!({"spec": {"class": "huge", "image": "base", "mounts": [{"name": "a", "mode": "x"}, {"name": "b"}], "groups": ["a", "a"]}});
    let mut new = old.clone();
    new["spec"]["cpu"] = json!(2);
    assert_eq!(schema.validate(&new, Some(&old)), []);
    new["spec"]["mounts"] = json!([{"name": "b", "mode": "rw"}, {"name": "a", "mode": "x"}]);
    assert_eq!(schema.validate(&new, Some(&old)), [], "items of a map are found again by their keys");
    new["spec"]["mounts"][0]["mode"] = json!("y");
    new["spec"]["class"] = json!("tiny");
    let paths: Vec<String> = schema.validate(&new, Some(&old)).into_iter().map(|error| error.path).collect();
    assert_eq!(paths, ["spec.class", "spec.mounts[0].mode"]);
}

#[test]
fn conditions_may_not_shape_and_shapes_must_be_whole() {
    let refused = |schema: Value| -> Vec<String> {
        let violations = Structural::compile(&schema).expect_err("refused");
        violations.iter().map(ToString::to_string).collect()
    };
    for (schema, expected) in [
        (json!({}), "type: Required value: must not be empty at the root"),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            r#"type: Invalid value: "array": must be object at the root"#,
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "#/x", "type": "string"}}}),
            "properties[a].$ref: Forbidden: $ref is not supported",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array"}}}),
            "properties[a].items: Required value: must be specified",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "colour"}}}),
            r#"properties[a].type: Unsupported value: "colour": supported values: "array", "boolean", "integer", "number", "object", "string""#,
        ),
        (
            json!({"type": "object", "anyOf": [{"properties": {"b": {"minimum": 1}}}]}),
            "properties[b]: Required value: because it is defined in anyOf[0].properties[b]",
        ),
        (
            json!({"type": "object", "allOf": [{"type": "object"}]}),
            "allOf[0].type: Forbidden: must be empty to be structural",
        ),
        (
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
            "properties[metadata].properties[labels]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "default": 1}}}),
            r#"properties[a].default: Invalid value: "integer": "" must be of type string: "integer""#,
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}}}),
            "properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ),
    ] {
        assert_eq!(refused(schema)[0], expected);
    }
    let lists = refused(
        json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k", "z"], "items": {"type": "object", "properties": {"k": {"type": "string"}}}}}}),
    );
    assert_eq!(lists.len(), 2, "{lists:?}");
    let mut deep = json!({"type": "string"});
    for _ in 0..60 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    assert!(refused(deep)[0].contains("too deeply"));
}
