//! Bodies that are as large as is allowed, in shapes that are dear to read, compare or merge: each is answered, and the
//! answer is not that the server failed.

use axum::body::Body;
use serde_json::{Value, json};

use crate::support::{Fixture, json_of, send};

const CONFIG_MAP: &str = "/api/v1/namespaces/default/configmaps/one";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/one";
const WIDGET: &str = "/apis/toys.test/v1/namespaces/default/widgets/one";

async fn write(fixture: &Fixture, path: &str, kind: &str, body: String) -> u16 {
    let headers = [("content-type", &*format!("application/{kind}"))];
    let uri = format!("{path}?fieldManager=one&force=true");
    let uri = if kind.starts_with("apply") { uri } else { uri.replace("&force=true", "") };
    let (method, uri) = match kind {
        "json" => ("POST", uri.replace("/one?", "?")),
        _ => ("PATCH", uri),
    };
    let length = body.len();
    let (code, answer) = json_of(send(fixture.router(), method, &uri, &headers, Body::from(body)).await).await;
    assert!(code < 500, "{kind} of {length} bytes: {code} {answer}");
    code
}

/// One that is made, merged with, and applied by another manager.
async fn all_ways(fixture: &Fixture, path: &str, object: &Value) {
    let text = object.to_string();
    write(fixture, path, "json", text.clone()).await;
    for kind in ["merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"] {
        write(fixture, path, kind, text.clone()).await;
    }
}

#[tokio::test]
async fn many_small_fields_are_answered() {
    let fixture = Fixture::start().await;
    let data = (0..20_000).map(|index| (format!("k{index}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data});
    all_ways(&fixture, CONFIG_MAP, &object).await;
}

#[tokio::test]
async fn long_lists_are_answered() {
    let fixture = Fixture::start().await;
    let conditions =
        (0..10_000).map(|index| json!({"type": format!("t{index}"), "status": "True"})).collect::<Vec<_>>();
    let widget = json!({
        "apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": "one"},
        "spec": {"tags": vec!["x"; 100_000]}, "status": {"conditions": conditions},
    });
    all_ways(&fixture, WIDGET, &widget).await;
    let rules =
        (0..5_000).map(|index| json!({"apiGroups": [""], "resources": [format!("r{index}")], "verbs": ["get"]}));
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "one"}, "rules": rules.collect::<Vec<_>>(),
    });
    all_ways(&fixture, ROLE, &role).await;
}

#[tokio::test]
async fn much_metadata_is_answered() {
    let fixture = Fixture::start().await;
    let owner = |index: u32| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": format!("u{index}")});
    let entry = |index: u32| {
        json!({
            "manager": format!("m{index}"), "operation": "Update", "apiVersion": "v1", "time": "2020-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {format!("f:k{index}"): {}}},
        })
    };
    for (field, value) in [
        ("ownerReferences", (0..4_000).map(owner).collect::<Value>()),
        ("finalizers", (0..10_000).map(|index| json!(format!("essaim.test/f{index}"))).collect()),
        ("managedFields", (0..5_000).map(entry).collect()),
        (
            "labels",
            (0..10_000).map(|index| (format!("l{index}"), json!("v"))).collect::<serde_json::Map<_, _>>().into(),
        ),
    ] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", field: value}});
        all_ways(&fixture, CONFIG_MAP, &object).await;
    }
}

#[tokio::test]
async fn patches_that_move_much_are_answered() {
    let fixture = Fixture::start().await;
    let widget = json!({
        "apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"tags": vec!["x"; 100_000]},
    });
    write(&fixture, WIDGET, "json", widget.to_string()).await;
    for operation in [
        json!({"op": "add", "path": "/spec/tags/0", "value": "y"}),
        json!({"op": "move", "from": "/spec/tags/0", "path": "/spec/tags/-"}),
        json!({"op": "copy", "from": "/spec/tags", "path": "/spec/copy"}),
        json!({"op": "test", "path": "/spec/tags", "value": vec!["x"; 100]}),
    ] {
        write(&fixture, WIDGET, "json-patch+json", json!(vec![operation; 5_000]).to_string()).await;
    }
}

#[tokio::test]
async fn long_selectors_and_deep_accept_headers_are_answered() {
    let fixture = Fixture::start().await;
    for selector in [
        format!("labelSelector={}", "a%21%3Db%2C".repeat(5_000) + "a"),
        format!("labelSelector=a%20in%20({})", vec!["b"; 20_000].join(",")),
        format!("fieldSelector={}", "metadata.name%21%3Db%2C".repeat(2_000) + "metadata.name%3Da"),
        format!("labelSelector={}", "(".repeat(60_000)),
    ] {
        let uri = format!("/api/v1/configmaps?{selector}");
        let accept = "application/json;as=Table;v=v9;g=meta.k8s.io,".repeat(1_000);
        let headers = [("accept", &*format!("{accept}*/*"))];
        let code = send(fixture.router(), "GET", &uri, &headers, Body::empty()).await.status();
        assert!(code.as_u16() < 500, "{code}");
    }
}
