//! The configuration as clients write and read it.

use serde_json::json;

use super::{CONFIGURATIONS, Site, allow};
use crate::support::{get, json_of, send};

#[tokio::test]
async fn a_configuration_gets_its_defaults_and_counts_its_generations() {
    let site = Site::answering(allow).await;
    site.configure(json!({})).await;
    let path = format!("{CONFIGURATIONS}/site");
    let (_, stored) = get(site.root(), &path).await;
    let hook = &stored["webhooks"][0];
    for (field, value) in [
        ("failurePolicy", json!("Fail")),
        ("matchPolicy", json!("Equivalent")),
        ("namespaceSelector", json!({})),
        ("objectSelector", json!({})),
        ("timeoutSeconds", json!(10)),
    ] {
        assert_eq!(hook[field], value, "{field}");
    }
    assert_eq!((&hook["rules"][0]["scope"], &stored["metadata"]["generation"]), (&json!("*"), &json!(1)));
    let patch = json!({"webhooks": [{"name": "sizes.toys.test", "timeoutSeconds": 5}]});
    let headers = [("content-type", "application/strategic-merge-patch+json")];
    let (status, patched) = json_of(send(site.root(), "PATCH", &path, &headers, patch.to_string()).await).await;
    assert_eq!(status, 200, "{patched}");
    assert_eq!((&patched["webhooks"][0]["timeoutSeconds"], &patched["metadata"]["generation"]), (&json!(5), &json!(2)));
    assert_eq!(patched["webhooks"][0]["clientConfig"], hook["clientConfig"], "merged by name");
}

#[tokio::test]
async fn webhooks_of_two_managers_are_applied_side_by_side() {
    let site = Site::answering(allow).await;
    let path = format!("{CONFIGURATIONS}/site");
    let headers = [("content-type", "application/apply-patch+yaml")];
    for (manager, name) in [("one", "one.toys.test"), ("two", "two.toys.test")] {
        let applied = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "webhooks": [{"name": name, "clientConfig": site.hook.config(), "sideEffects": "None", "admissionReviewVersions": ["v1"]}]});
        let uri = format!("{path}?fieldManager={manager}&fieldValidation=Strict");
        let answer = send(site.root(), "PATCH", &uri, &headers, applied.to_string()).await;
        assert!(answer.status().is_success(), "{:?}", json_of(answer).await);
    }
    let (_, stored) = get(site.root(), &path).await;
    assert_eq!(stored["webhooks"].as_array().unwrap().len(), 2);
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let (_, table) = json_of(send(site.root(), "GET", CONFIGURATIONS, &accept, String::new()).await).await;
    assert_eq!(table["columnDefinitions"][1]["name"], "Webhooks");
    assert_eq!(table["rows"][0]["cells"].as_array().unwrap()[..2], [json!("site"), json!(2)]);
}

#[tokio::test]
async fn what_could_not_be_called_is_refused_by_name() {
    let site = Site::answering(allow).await;
    for (fields, words) in [
        (
            json!({"clientConfig": {"service": {"name": "a", "namespace": "b"}}}),
            "this server has no network of services; use url",
        ),
        (json!({"clientConfig": {"url": "http://localhost/"}}), "'https' is the only allowed URL scheme"),
        (json!({"sideEffects": "Unknown"}), "supported values: \\\"None\\\", \\\"NoneOnDryRun\\\""),
        (
            json!({"matchConditions": [{"name": "a", "expression": "authorizer == null"}]}),
            "undeclared reference to 'authorizer'",
        ),
        (json!({"name": null}), "webhooks[0].name: Required value"),
    ] {
        let (status, answer) = site.try_configure(fields.clone()).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer["message"].to_string().contains(words), "{fields}: {answer}");
    }
    let hook = json!({"name": "a.b.c", "clientConfig": site.hook.config(), "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    let twice = json!({"metadata": {"name": "twice"}, "webhooks": [hook, hook]}).to_string();
    let (status, answer) = json_of(send(site.root(), "POST", CONFIGURATIONS, &[], twice).await).await;
    assert_eq!((status, &answer["details"]["causes"][0]["reason"]), (422, &json!("FieldValueDuplicate")), "{answer}");
}

#[tokio::test]
async fn the_kind_is_found_by_discovery() {
    let site = Site::answering(allow).await;
    let (_, group) = get(site.root(), "/apis/admissionregistration.k8s.io/v1").await;
    let names: Vec<_> = group["resources"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["validatingwebhookconfigurations"]);
    let (status, document) = get(site.root(), "/openapi/v3/apis/admissionregistration.k8s.io/v1").await;
    assert_eq!(status, 200);
    assert!(document.to_string().contains("matchConditions"));
}
