//! Documents as kubectl needs them.

use serde_json::{Value, json};

use super::{ALL_VERBS, ResourceDoc, core_schema, document};
use crate::builtin;

fn widgets(schema: &Value) -> Value {
    let resource = ResourceDoc {
        kind: "Widget",
        plural: "widgets",
        namespaced: true,
        schema,
        verbs: ALL_VERBS.to_vec(),
        status: true,
        scale: true,
        strategic_merge: false,
    };
    document("example.com", "v1", &[resource])
}

/// Every reference in the document leads somewhere.
fn dangling(value: &Value, document: &Value, found: &mut Vec<String>) {
    let target = value.get("$ref").and_then(Value::as_str);
    found.extend(target.filter(|target| document.pointer(&target[1..]).is_none()).map(str::to_owned));
    match value {
        Value::Object(map) => map.values().for_each(|value| dangling(value, document, found)),
        Value::Array(items) => items.iter().for_each(|value| dangling(value, document, found)),
        _ => {}
    }
}

#[test]
fn kubectl_finds_field_validation_on_the_patch_of_each_kind() {
    let document = widgets(&json!({"type": "object", "properties": {"spec": {"type": "object"}}}));
    let patch = &document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "example.com", "version": "v1", "kind": "Widget"})
    );
    assert_eq!(patch["x-kubernetes-action"], "patch");
    let names: Vec<&str> =
        patch["parameters"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    let schema = &document["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
    assert!(schema["properties"]["spec"].is_object() && schema["properties"]["metadata"].is_object());
    assert!(document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}/scale"]["get"].is_object());
    assert!(document["paths"]["/apis/example.com/v1/widgets"]["get"].is_object());
}

#[test]
fn no_reference_dangles() {
    let mut found = Vec::new();
    let own = widgets(&json!({"type": "object"}));
    dangling(&own, &own, &mut found);
    let mut groups: Vec<&str> = builtin::all().iter().map(|one| one.group.as_str()).collect();
    groups.dedup();
    for group in groups {
        let docs: Vec<_> = builtin::all().iter().filter(|one| one.group == group).map(builtin::Builtin::doc).collect();
        let document = document(group, "v1", &docs);
        dangling(&document, &document, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn questions_are_created_and_nothing_else() {
    let docs: Vec<_> =
        builtin::all().iter().filter(|one| one.group == "authorization.k8s.io").map(builtin::Builtin::doc).collect();
    let document = document("authorization.k8s.io", "v1", &docs);
    let path = &document["paths"]["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"];
    assert!(path["post"].is_object() && path.get("get").is_none());
    assert!(
        document["paths"]["/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews"]["post"]
            .is_object()
    );
}

#[test]
fn core_kinds_have_a_schema() {
    let schema = core_schema("", "v1", "ConfigMap").expect("built in");
    assert_eq!(schema["properties"]["data"]["additionalProperties"]["type"], "string");
    assert_eq!(core_schema("", "v1", "Pod"), None);
}

#[test]
fn only_kinds_that_take_strategic_merge_patches_offer_them() {
    let schema = json!({"type": "object"});
    for (group, strategic_merge) in [("gateway.networking.k8s.io", false), ("rbac.authorization.k8s.io", true)] {
        let resource = ResourceDoc {
            kind: "Widget",
            plural: "widgets",
            namespaced: false,
            schema: &schema,
            verbs: ALL_VERBS.to_vec(),
            status: false,
            scale: false,
            strategic_merge,
        };
        let document = document(group, "v1", &[resource]);
        let types = &document["paths"][format!("/apis/{group}/v1/widgets/{{name}}")]["patch"]["requestBody"]["content"];
        assert!(types["application/merge-patch+json"].is_object(), "{group}");
        assert_eq!(types["application/strategic-merge-patch+json"].is_object(), strategic_merge, "{group}");
    }
}
