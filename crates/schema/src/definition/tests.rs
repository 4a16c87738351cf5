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

fn by_webhook(change: impl FnOnce(&mut Value)) -> Value {
    let mut conversion = json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v2", "v1"], "clientConfig": {"url": "https://[::1]:8443/convert", "caBundle": "Q0E="}}});
    change(&mut conversion);
    conversion
}

#[test]
fn a_conversion_by_webhook_names_its_address() {
    let mut crd = crd();
    crd["spec"]["conversion"] = by_webhook(|_| ());
    let Conversion::Webhook(config) = Definition::from_crd(&crd).expect("accepted").conversion else {
        panic!("it is a webhook");
    };
    assert_eq!(config["url"], "https://[::1]:8443/convert");
}

#[test]
fn faults_of_a_conversion_are_named_by_path() {
    let at = "spec.conversion.webhook";
    let cases: [(&str, Value, String); 7] = [
        ("/strategy", json!("None"), format!("{at}: Forbidden: should not be set when strategy is not set to Webhook")),
        ("/strategy", json!(""), "spec.conversion.strategy: Required value".into()),
        (
            "/strategy",
            json!("Magic"),
            r#"spec.conversion.strategy: Unsupported value: "Magic": supported values: "None", "Webhook""#.into(),
        ),
        ("/webhook", json!(null), format!("{at}: Required value: required when strategy is set to Webhook")),
        (
            "/webhook/clientConfig",
            json!(null),
            format!("{at}.clientConfig: Required value: required when strategy is set to Webhook"),
        ),
        (
            "/webhook/conversionReviewVersions",
            json!(["v1beta1"]),
            format!(r#"{at}.conversionReviewVersions: Invalid value: ["v1beta1"]: must include at least one of v1"#),
        ),
        ("/webhook/conversionReviewVersions", json!([]), format!("{at}.conversionReviewVersions: Required value")),
    ];
    for (path, value, words) in cases {
        let conversion = by_webhook(|conversion| *conversion.pointer_mut(path).expect("it is there") = value);
        assert_eq!(refused(|crd| crd["spec"]["conversion"] = conversion), [words]);
    }
    let twice = by_webhook(|conversion| conversion["webhook"]["conversionReviewVersions"] = json!(["v1", "v1", "V"]));
    let errors = refused(|crd| crd["spec"]["conversion"] = twice);
    assert_eq!(errors[0], format!(r#"{at}.conversionReviewVersions[1]: Invalid value: "v1": duplicate version"#));
    assert!(errors[1].starts_with(&format!(r#"{at}.conversionReviewVersions[2]: Invalid value: "V""#)), "{errors:?}");
    let old = |crd: &mut Value| {
        crd["spec"]["conversion"] = by_webhook(|_| ());
        crd["spec"]["preserveUnknownFields"] = true.into();
    };
    assert!(refused(old).contains(
        &r#"spec.conversion.strategy: Invalid value: "Webhook": must be None if spec.preserveUnknownFields is true"#.into()
    ));
}
