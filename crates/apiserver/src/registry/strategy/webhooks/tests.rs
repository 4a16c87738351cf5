//! One fault at a time in a webhook that is right otherwise.

use serde_json::{Value, json};

use super::validate;

fn hook() -> Value {
    json!({
        "name": "sizes.toys.test", "clientConfig": {"url": "https://hooks.example.org/sizes"}, "sideEffects": "None",
        "rules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": ["toys.test"], "apiVersions": ["*"], "resources": ["widgets", "widgets/status"],
            "scope": "Namespaced"}],
        "failurePolicy": "Fail", "matchPolicy": "Exact", "timeoutSeconds": 30, "admissionReviewVersions": ["v1", "v1beta1"],
        "namespaceSelector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "x/y", "operator": "In", "values": ["1", "2"]}]},
        "objectSelector": {"matchExpressions": [{"key": "z", "operator": "Exists"}]},
        "matchConditions": [{"name": "not-system", "expression": "!request.userInfo.username.startsWith('system:')"}],
    })
}

fn says(hook: &Value) -> String {
    let errors = validate(&json!({"webhooks": [hook]}));
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// With this one fault it is refused in these words, and for nothing else.
fn refused(pointer: &str, value: &Value, words: &str) {
    let mut wrong = hook();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    wrong.pointer_mut(parent).unwrap()[last] = value.clone();
    let said = says(&wrong);
    assert!(said.contains(words), "{pointer} = {value}: {said}");
    assert!(!said.contains("; webhooks"), "one fault, one error: {said}");
}

#[test]
fn a_webhook_that_can_be_called_is_valid() {
    assert_eq!(says(&hook()), "");
    assert_eq!(validate(&json!({})), []);
}

#[test]
fn each_fault_is_named_with_its_field() {
    for (pointer, value, words) in [
        ("/name", json!(""), "webhooks[0].name: Required value"),
        (
            "/name",
            json!("a.b"),
            "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots",
        ),
        ("/name", json!("A.b.c"), "webhooks[0].name: Invalid value: \"A.b.c\": a lowercase RFC 1123 subdomain"),
        (
            "/clientConfig",
            json!({"service": {"name": "a", "namespace": "b"}}),
            "webhooks[0].clientConfig.service: Forbidden: this server has no network of services; use url",
        ),
        (
            "/clientConfig/url",
            json!("http://a/"),
            "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme",
        ),
        (
            "/sideEffects",
            json!("Some"),
            "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
        ),
        (
            "/failurePolicy",
            json!("Retry"),
            "webhooks[0].failurePolicy: Unsupported value: \"Retry\": supported values: \"Fail\", \"Ignore\"",
        ),
        ("/matchPolicy", json!("x"), "webhooks[0].matchPolicy: Unsupported value"),
        (
            "/timeoutSeconds",
            json!(31),
            "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds",
        ),
        ("/timeoutSeconds", json!(0), "between 1 and 30"),
        (
            "/admissionReviewVersions",
            json!([]),
            "webhooks[0].admissionReviewVersions: Required value: must specify one of v1",
        ),
        ("/admissionReviewVersions", json!(["v1beta1"]), "must include at least one of v1"),
        (
            "/admissionReviewVersions",
            json!(["v1", "v1"]),
            "webhooks[0].admissionReviewVersions[1]: Invalid value: \"v1\": duplicate version",
        ),
        (
            "/admissionReviewVersions",
            json!(["v1", "1"]),
            "admissionReviewVersions[1]: Invalid value: \"1\": a DNS-1035 label",
        ),
    ] {
        refused(pointer, &value, words);
    }
    for (field, words) in [
        ("sideEffects", "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"),
        ("admissionReviewVersions", "webhooks[0].admissionReviewVersions: Required value: must specify one of v1"),
    ] {
        let mut wrong = hook();
        wrong.as_object_mut().unwrap().remove(field);
        assert_eq!(says(&wrong), words);
    }
}

#[test]
fn each_fault_of_a_rule_is_named() {
    for (pointer, value, words) in [
        ("/rules/0/operations", json!([]), "webhooks[0].rules[0].operations: Required value"),
        ("/rules/0/operations", json!(["*", "CREATE"]), "if '*' is present, must not specify other operations"),
        ("/rules/0/operations", json!(["PATCH"]), "webhooks[0].rules[0].operations[0]: Unsupported value: \"PATCH\""),
        ("/rules/0/apiGroups", json!(["*", ""]), "must not specify other API groups"),
        ("/rules/0/apiVersions", json!(["*", "v1"]), "must not specify other API versions"),
        ("/rules/0/apiVersions", json!([""]), "webhooks[0].rules[0].apiVersions[0]: Required value"),
        ("/rules/0/resources", json!([]), "webhooks[0].rules[0].resources: Required value"),
        ("/rules/0/resources", json!(["a", ""]), "webhooks[0].rules[0].resources[1]: Required value"),
        ("/rules/0/resources", json!(["*/*", "a"]), "if '*/*' is present, must not specify other resources"),
        (
            "/rules/0/resources",
            json!(["*", "a"]),
            "if '*' is present, must not specify other resources without subresources",
        ),
        (
            "/rules/0/resources",
            json!(["a/*", "a/b"]),
            "resources[1]: Invalid value: \"a/b\": if 'a/*' is present, must not specify a/b",
        ),
        ("/rules/0/resources", json!(["*/b", "a/b"]), "if '*/b' is present, must not specify a/b"),
        ("/rules/0/scope", json!("namespaced"), "webhooks[0].rules[0].scope: Unsupported value"),
    ] {
        refused(pointer, &value, words);
    }
}

#[test]
fn each_fault_of_a_selector_or_condition_is_named() {
    let many: Vec<_> = (0..65).map(|at| json!({"name": format!("c{at}"), "expression": "true"})).collect();
    for (pointer, value, words) in [
        (
            "/namespaceSelector/matchLabels",
            json!({"a b": "c"}),
            "webhooks[0].namespaceSelector.matchLabels: Invalid value",
        ),
        (
            "/namespaceSelector/matchExpressions/0/values",
            json!([]),
            "matchExpressions[0].values: Required value: must be specified when",
        ),
        (
            "/namespaceSelector/matchExpressions/0/values",
            json!(["a b"]),
            "matchExpressions[0].values[0]: Invalid value",
        ),
        (
            "/objectSelector/matchExpressions/0/values",
            json!(["x"]),
            "webhooks[0].objectSelector.matchExpressions[0].values: Forbidden: may not be specified",
        ),
        (
            "/objectSelector/matchExpressions/0/operator",
            json!("Is"),
            "matchExpressions[0].operator: Invalid value: \"Is\": not a valid selector operator",
        ),
        ("/objectSelector/matchExpressions/0/key", json!("/"), "matchExpressions[0].key: Invalid value"),
        ("/matchConditions", json!(many), "webhooks[0].matchConditions: Too many: 65: must have at most 64 items"),
        ("/matchConditions/0/name", json!(""), "webhooks[0].matchConditions[0].name: Required value"),
        ("/matchConditions/0/name", json!("a b"), "webhooks[0].matchConditions[0]: Invalid value: \"a b\": name part"),
        ("/matchConditions/0/expression", json!(" "), "webhooks[0].matchConditions[0].expression: Required value"),
        (
            "/matchConditions/0/expression",
            json!("1 +"),
            "webhooks[0].matchConditions[0].expression: Invalid value: \"1 +\": compilation failed",
        ),
        (
            "/matchConditions/0/expression",
            json!("authorizer.path('/a').check('get').allowed()"),
            "undeclared reference to 'authorizer'",
        ),
    ] {
        refused(pointer, &value, words);
    }
}
