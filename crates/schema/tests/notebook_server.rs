//! One realistic resource, through everything the API server does with a schema.

use essaim_schema::{Definition, FieldError, openapi};
use serde_json::{Value, json};

fn definition() -> Result<Definition, Vec<FieldError>> {
    Definition::from_crd(&serde_json::from_str(include_str!("notebook_server.json")).unwrap_or_default())
}

fn server(spec: &Value) -> Value {
    json!({"apiVersion": "example.org/v1alpha1", "kind": "NotebookServer", "metadata": {"name": "demo", "creationTimestamp": "2026-03-01T10:00:00Z"}, "spec": spec})
}

/// What the API server does on a write.
fn written(definition: &Definition, mut object: Value, old: Option<&Value>) -> (Value, Vec<String>) {
    let schema = &definition.versions[0].schema;
    let mut words: Vec<String> =
        schema.prune(&mut object).iter().map(|path| format!("unknown field \"{path}\"")).collect();
    schema.default(&mut object);
    schema.prune_nulls(&mut object);
    words.extend(schema.validate(&object, old).iter().map(ToString::to_string));
    (object, words)
}

#[test]
fn a_short_manifest_becomes_a_whole_object() {
    let definition = definition().expect("accepted");
    let (object, words) = written(
        &definition,
        server(&json!({"class": "standard", "gpu": {"model": "V100"}, "idle": {"timeout": "2h"}})),
        None,
    );
    assert_eq!(words, Vec::<String>::new());
    assert_eq!(object["spec"]["memory"], "2Gi");
    assert_eq!(object["spec"]["gpu"]["count"], 1);
    let now = "2026-03-01T12:05:00Z".parse().expect("a time");
    let cells = definition.versions[0].columns.cells(&object, now);
    assert_eq!(cells, [json!("demo"), json!(null), json!("2Gi"), json!(1), json!("125m")]);
}

#[test]
fn mistakes_are_answered_in_the_words_of_kubernetes() {
    let definition = definition().expect("accepted");
    for (spec, expected) in [
        (json!({"class": "a", "memroy": "1Gi"}), "unknown field \"spec.memroy\""),
        (json!({}), "spec.class: Required value"),
        (
            json!({"class": "a", "memory": "2GB"}),
            r#"spec.memory: Invalid value: "2GB": spec.memory in body should match '^[0-9]+(Mi|Gi)$'"#,
        ),
        (
            json!({"class": "a", "memory": "512Gi"}),
            r#"spec.memory: Invalid value: "object": memory 512Gi is more than any machine has"#,
        ),
        (json!({"class": "a", "gpu": {}}), r#"spec.gpu: Invalid value: "object": a GPU needs a model"#),
        (
            json!({"class": "a", "idle": {"timeout": "1m"}}),
            r#"spec.idle.timeout: Invalid value: "string": between 10m and 168h"#,
        ),
        (json!({"class": "a", "env": [{"name": "X"}, {"name": "X"}]}), r#"spec.env[1]: Duplicate value: {"name":"X"}"#),
    ] {
        assert_eq!(written(&definition, server(&spec), None).1, [expected], "{spec}");
    }
    let (old, _) = written(&definition, server(&json!({"class": "a"})), None);
    let (_, words) = written(&definition, server(&json!({"class": "b"})), Some(&old));
    assert_eq!(words, ["spec.class: Forbidden: class is immutable"]);
}

#[test]
fn its_document_carries_schema_and_parameters() {
    let definition = definition().expect("accepted");
    let document = openapi::document("example.org", "v1alpha1", &[definition.versions[0].doc(&definition)]);
    let schema = &document["components"]["schemas"]["org.example.v1alpha1.NotebookServer"];
    assert_eq!(schema["properties"]["spec"]["properties"]["memory"]["default"], "2Gi");
    let path = "/apis/example.org/v1alpha1/namespaces/{namespace}/notebookservers/{name}";
    let parameters = document["paths"][path]["patch"]["parameters"].as_array().expect("a list");
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
}
