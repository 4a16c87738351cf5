//! Create, read, update, delete.

use axum::body::Body;
use essaim_apiserver::UserInfo;
use kube::api::{DeleteParams, ListParams, PostParams, PropagationPolicy};
use serde_json::json;

use crate::support::{Fixture, get, json_of, send, widget};

const WIDGETS: &str = "/apis/toys.test/v1/namespaces/default/widgets";

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let fixture = Fixture::start().await;
    let widgets = fixture.widgets();
    let made = widgets.create(&PostParams::default(), &widget("one", "red")).await.unwrap();
    assert!(made.metadata.uid.is_some() && made.metadata.generation == Some(1));

    let mut found = widgets.get("one").await.unwrap();
    assert_eq!(found.data["spec"]["color"], "red");
    found.data["spec"]["color"] = "blue".into();
    let replaced = widgets.replace("one", &PostParams::default(), &found).await.unwrap();
    assert_eq!(replaced.metadata.generation, Some(2));

    let stale = widgets.replace("one", &PostParams::default(), &found).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.code == 409));

    widgets
        .delete(
            "one",
            &DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() },
        )
        .await
        .unwrap();
    let gone = widgets.get_opt("one").await.unwrap();
    assert!(gone.is_none());
}

#[tokio::test]
async fn lists_are_paged_and_selected() {
    let fixture = Fixture::start().await;
    let widgets = fixture.widgets();
    for (name, color) in [("a", "red"), ("b", "green"), ("c", "blue")] {
        let mut one = widget(name, color);
        one.metadata.labels = Some([("color".to_owned(), color.to_owned())].into());
        widgets.create(&PostParams::default(), &one).await.unwrap();
    }
    let page = widgets.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!((page.items.len(), page.metadata.remaining_item_count), (2, Some(1)));
    let token = page.metadata.continue_.unwrap();
    let rest = widgets.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(rest.items[0].metadata.name.as_deref(), Some("c"));
    assert_eq!(rest.metadata.resource_version, page.metadata.resource_version);

    let chosen = widgets.list(&ListParams::default().labels("color in (red,blue),color!=blue")).await.unwrap();
    assert_eq!(chosen.items.len(), 1);
    let named = widgets.list(&ListParams::default().fields("metadata.name=b")).await.unwrap();
    assert_eq!(named.items[0].data["spec"]["color"], "green");
    let refused = get(fixture.router(), &format!("{WIDGETS}?fieldSelector=spec.nothing%3Dx")).await;
    assert_eq!(refused.0, 400);
}

#[tokio::test]
async fn a_table_has_columns_and_rows() {
    let fixture = Fixture::start().await;
    fixture.widgets().create(&PostParams::default(), &widget("one", "red")).await.unwrap();
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let (status, table) =
        json_of(send(fixture.router(), "GET", &format!("{WIDGETS}?limit=500"), &accept, Body::empty()).await).await;
    assert_eq!((status, &table["kind"]), (200, &json!("Table")));
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][0]["cells"][0], "one");
    assert_eq!(table["rows"][0]["cells"][1], "red");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn bodies_without_a_type_and_in_yaml_are_read() {
    let fixture = Fixture::start().await;
    let body = json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": "plain"}, "spec": {"color": "red"}});
    let (status, _) = json_of(send(fixture.router(), "POST", WIDGETS, &[], body.to_string()).await).await;
    assert_eq!(status, 201);
    let yaml = "apiVersion: toys.test/v1\nkind: Widget\nmetadata: {name: yaml}\nspec:\n  color: red\n  color: blue\n";
    let typed = [("content-type", "application/yaml")];
    let strict = format!("{WIDGETS}?fieldValidation=Strict");
    let (status, refused) = json_of(send(fixture.router(), "POST", &strict, &typed, yaml).await).await;
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().contains("duplicate field \"spec.color\""), "{refused}");
    let warned = send(fixture.router(), "POST", WIDGETS, &typed, yaml).await;
    assert_eq!(warned.status(), 201);
    assert!(warned.headers()["warning"].to_str().unwrap().starts_with("299 - \""));
}

#[tokio::test]
async fn an_unknown_field_is_refused_when_asked_strictly() {
    let fixture = Fixture::start().await;
    let body = json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": "x"}, "spec": {"foo": 1}});
    let (status, refused) = json_of(
        send(fixture.router(), "POST", &format!("{WIDGETS}?fieldValidation=Strict"), &[], body.to_string()).await,
    )
    .await;
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().contains("unknown field \"spec.foo\""), "{refused}");
}

#[tokio::test]
async fn errors_have_the_status_that_clients_read() {
    let fixture = Fixture::start().await;
    let (code, status) = get(fixture.router(), &format!("{WIDGETS}/none")).await;
    assert_eq!(code, 404);
    assert_eq!(status["message"], "widgets.toys.test \"none\" not found");
    assert_eq!(status["details"], json!({"name": "none", "group": "toys.test", "kind": "widgets"}));
    for (method, uri, code) in [
        ("GET", "/apis/toys.test/v1/gadgets".to_owned(), 404),
        ("GET", "/apis/toys.test/v1/widgets/one".to_owned(), 404),
        ("POST", "/apis/toys.test/v1/widgets".to_owned(), 405),
        ("POST", format!("{WIDGETS}/one"), 405),
        ("HEAD", WIDGETS.to_owned(), 405),
        ("GET", format!("{WIDGETS}?resourceVersionMatch=Exact"), 422),
        ("GET", format!("{WIDGETS}?limit=x"), 400),
        ("GET", "/nowhere".to_owned(), 404),
    ] {
        let response = send(fixture.router(), method, &uri, &[], "{}").await;
        assert_eq!(response.status().as_u16(), code, "{method} {uri}");
        assert!(response.headers().contains_key("audit-id"));
    }
    let large = vec![b' '; 4 * 1024 * 1024];
    assert_eq!(send(fixture.router(), "POST", WIDGETS, &[], large).await.status(), 413);
    let html = send(fixture.router(), "GET", WIDGETS, &[("accept", "text/html")], Body::empty()).await;
    assert_eq!(html.status(), 406);
}

/// What a PUT of an object that is not there is answered, to somebody in these groups.
async fn put(fixture: &Fixture, group: &str, path: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
    let router = fixture.server.in_process(UserInfo::new("bob", [group]));
    json_of(send(router, "PUT", path, &[], body.to_string()).await).await
}

#[tokio::test]
async fn a_put_makes_what_is_not_there_only_where_kubernetes_lets_it() {
    let fixture = Fixture::start().await;
    let masters = "system:masters";
    let (default, rbac) = ("namespaces/default", "/apis/rbac.authorization.k8s.io/v1");
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"});
    let about = json!({"kind": "Pod", "namespace": "default", "name": "p"});
    let time = "2026-01-01T00:00:00.000000Z";
    for (path, body) in [
        (format!("/apis/coordination.k8s.io/v1/{default}/leases/one"), json!({"spec": {"holderIdentity": "a"}})),
        (format!("/api/v1/{default}/events/one"), json!({"involvedObject": about, "reason": "Tried"})),
        (
            format!("/apis/events.k8s.io/v1/{default}/events/two"),
            json!({"regarding": about, "eventTime": time, "reason": "Tried", "action": "try", "type": "Normal",
                "reportingController": "a.test/b", "reportingInstance": "c"}),
        ),
        (format!("{rbac}/{default}/roles/one"), json!({"rules": []})),
        (format!("{rbac}/clusterroles/one"), json!({"rules": []})),
        (format!("{rbac}/{default}/rolebindings/one"), json!({"roleRef": role})),
        (format!("{rbac}/clusterrolebindings/one"), json!({"roleRef": role})),
    ] {
        let (status, made) = put(&fixture, masters, &path, &body).await;
        assert_eq!(status, 201, "{path}: {made}");
        assert_eq!(made["metadata"]["managedFields"][0]["operation"], "Update");
        let (status, same) = put(&fixture, masters, &path, &made).await;
        assert_eq!((status, &same["metadata"]["uid"]), (200, &made["metadata"]["uid"]), "{path}: {same}");
    }
    for path in ["namespaces/new", "namespaces/default/configmaps/one", "namespaces/default/secrets/one"] {
        assert_eq!(put(&fixture, masters, &format!("/api/v1/{path}"), &json!({})).await.0, 404, "{path}");
    }
    let widget = json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"resourceVersion": "1"}});
    assert_eq!(put(&fixture, masters, &format!("{WIDGETS}/one"), &widget).await.0, 404);
    let elsewhere = "/apis/coordination.k8s.io/v1/namespaces/none/leases/one";
    assert_eq!(put(&fixture, masters, elsewhere, &json!({})).await.0, 404, "there is no such namespace");
    let another = json!({"metadata": {"uid": "gone"}, "spec": {}});
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/two";
    assert_eq!(put(&fixture, masters, lease, &another).await.0, 409, "it asks for one that was there before");
}

#[tokio::test]
async fn to_make_something_by_a_put_takes_the_right_to_create_it() {
    let fixture = Fixture::start().await;
    let group = "rbac.authorization.k8s.io";
    let rules = json!([{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]}]);
    let role = json!({"rules": rules});
    let binding = json!({
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "renew"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "staff"}],
    });
    for (kind, body) in [("clusterroles", role), ("clusterrolebindings", binding)] {
        let path = format!("/apis/{group}/v1/{kind}/renew");
        assert_eq!(put(&fixture, "system:masters", &path, &body).await.0, 201);
    }
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/one";
    let (status, refused) = put(&fixture, "staff", path, &json!({"spec": {}})).await;
    assert_eq!(status, 403);
    assert!(refused["message"].as_str().unwrap().contains("cannot create resource \"leases\""), "{refused}");
    assert_eq!(get(fixture.router(), path).await.0, 404);
    let (_, made) = put(&fixture, "system:masters", path, &json!({"spec": {}})).await;
    assert_eq!(put(&fixture, "staff", path, &made).await.0, 200);
}
