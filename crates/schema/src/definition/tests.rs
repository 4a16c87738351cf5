//! What is accepted as a CustomResourceDefinition, and what is refused with which words.

use serde_json::{Value, json};

use super::{Conversion, Definition, Scope};

fn crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}, "class": {"type": "string"}}},
                    "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}},
                }}},
                "subresources": {"status": {}, "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
                "additionalPrinterColumns": [{"name": "Class", "type": "string", "jsonPath": ".spec.class"}],
                "selectableFields": [{"jsonPath": ".spec.class"}],
            }],
        },
    })
}

fn refused(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut crd = crd();
    change(&mut crd);
    let errors = Definition::from_crd(&crd).expect_err("refused");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_definition_is_read_with_its_defaults() {
    let definition = Definition::from_crd(&crd()).expect("accepted");
    assert_eq!(definition.names.list_kind, "WidgetList");
    assert_eq!(definition.names.singular, "widget");
    assert_eq!(definition.scope, Scope::Namespaced);
    assert_eq!(definition.conversion, Conversion::None);
    let version = definition.storage_version().expect("one is stored");
    assert!(version.status && version.served && !version.deprecated);
    assert_eq!(version.selectable_fields[0].label, "spec.class");
    let scale = version.scale.as_ref().expect("scale");
    let mut object = json!({});
    assert!(scale.spec_replicas.set(&mut object, json!(3)));
    assert_eq!(scale.spec_replicas.get(&object), Some(&json!(3)));
}

#[test]
fn versions_are_preferred_by_stability_then_number() {
    let mut crd = crd();
    let first = crd["spec"]["versions"][0].clone();
    for name in ["v1", "v2beta1", "foo1", "v10", "v2", "v1beta2"] {
        let mut version = first.clone();
        version["name"] = json!(name);
        version["storage"] = json!(false);
        crd["spec"]["versions"].as_array_mut().expect("a list").push(version);
    }
    let definition = Definition::from_crd(&crd).expect("accepted");
    assert_eq!(definition.served_by_priority(), ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo1"]);
}

#[test]
fn faults_are_named_by_path() {
    assert_eq!(
        refused(|crd| crd["metadata"]["name"] = json!("other.example.com")),
        [r#"metadata.name: Invalid value: "other.example.com": must be spec.names.plural+"."+spec.group"#]
    );
    assert_eq!(
        refused(|crd| crd["spec"]["scope"] = json!("Global")),
        [r#"spec.scope: Unsupported value: "Global": supported values: "Cluster", "Namespaced""#]
    );
    assert_eq!(
        refused(|crd| crd["spec"]["versions"][0]["storage"] = json!(false)),
        [r#"spec.versions: Invalid value: ["v1alpha1"]: must have exactly one version marked as storage version"#]
    );
    assert_eq!(
        refused(
            |crd| crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["class"] =
                json!({})
        ),
        ["spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[class].type: Required value: \
             must not be empty for specified object fields"]
    );
    assert_eq!(
        refused(
            |crd| crd["spec"]["versions"][0]["subresources"]["scale"]["specReplicasPath"] = json!(".status.replicas")
        ),
        [
            r#"spec.versions[0].subresources.scale.specReplicasPath: Invalid value: ".status.replicas": should be a path under .spec"#
        ]
    );
    assert_eq!(
        refused(|crd| crd["spec"]["conversion"] = json!({"strategy": "Webhook"})),
        ["spec.conversion.webhook: Required value: required when strategy is set to Webhook"]
    );
    assert_eq!(refused(|crd| crd["spec"]["names"]["kind"] = json!("")).len(), 1);
    assert!(Definition::from_crd(&json!(null)).is_err());
    assert!(Definition::from_crd(&json!({"spec": {"names": 1, "versions": {}}})).is_err());
}
