//! Who may do what.

use axum::body::Body;
use essaim_apiserver::{Options, RawHandler, StaticToken, UserInfo};
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Fixture, clock, get, json_of, send};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1";

async fn grant(fixture: &Fixture, path: &str, object: Value) {
    let (status, body) = json_of(send(fixture.router(), "POST", path, &[], object.to_string()).await).await;
    assert_eq!(status, 201, "{body}");
}

/// Lets alice read widgets in the namespace `default`.
async fn grant_reading(fixture: &Fixture) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "read"},
        "rules": [{"apiGroups": ["toys.test"], "resources": ["widgets", "widgets/log"], "verbs": ["get", "list"]}],
    });
    grant(fixture, &format!("{rbac}/roles"), role).await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "read"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
    });
    grant(fixture, &format!("{rbac}/rolebindings"), binding).await;
}

#[tokio::test]
async fn a_role_opens_what_it_names_and_nothing_else() {
    let fixture = Fixture::start().await;
    grant_reading(&fixture).await;
    let alice = || fixture.server.in_process(UserInfo::new("alice", ["staff"]));
    assert_eq!(get(alice(), "/apis/toys.test/v1/namespaces/default/widgets").await.0, 200);
    assert_eq!(get(alice(), "/apis/toys.test/v1/namespaces/default/widgets/none").await.0, 404);
    let (code, status) = get(alice(), "/apis/toys.test/v1/namespaces/other/widgets").await;
    assert_eq!(code, 403);
    let refusal = "widgets.toys.test is forbidden: User \"alice\" cannot list resource \"widgets\" in API group \"toys.test\" in the namespace \"other\"";
    assert_eq!(status["message"], refusal);
    assert_eq!(get(alice(), "/apis/toys.test/v1/widgets").await.0, 403);
    assert_eq!(get(alice(), "/apis/toys.test/v1/namespaces/default/widgets?watch=true").await.0, 403);
    assert_eq!(
        get(alice(), "/apis/toys.test/v1/namespaces/default/gadgets/x").await.0,
        403,
        "what is not there is hidden as well"
    );
    assert_eq!(get(alice(), "/apis").await.0, 200, "everybody may discover");
}

#[tokio::test]
async fn reviews_answer_like_the_rules() {
    let fixture = Fixture::start().await;
    grant_reading(&fixture).await;
    let alice = || fixture.server.in_process(UserInfo::new("alice", ["staff"]));
    let review = |verb: &str| {
        let attributes = json!({"verb": verb, "group": "toys.test", "resource": "widgets", "namespace": "default"});
        json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"resourceAttributes": attributes}})
    };
    for (verb, allowed) in [("list", true), ("delete", false)] {
        let path = format!("{REVIEWS}/selfsubjectaccessreviews");
        let (code, answer) = json_of(send(alice(), "POST", &path, &[], review(verb).to_string()).await).await;
        assert_eq!((code, &answer["status"]["allowed"]), (201, &json!(allowed)), "{verb}");
    }
    let rules = json!({"kind": "SelfSubjectRulesReview", "apiVersion": "authorization.k8s.io/v1", "spec": {"namespace": "default"}});
    let (_, answer) =
        json_of(send(alice(), "POST", &format!("{REVIEWS}/selfsubjectrulesreviews"), &[], rules.to_string()).await)
            .await;
    let rows = answer["status"]["resourceRules"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["resources"] == json!(["widgets", "widgets/log"])));
    let who = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"});
    // kubectl 1.27 asks the beta.
    let path = |version: &str| format!("/apis/authentication.k8s.io/{version}/selfsubjectreviews");
    assert_eq!(send(alice(), "POST", &path("v1beta1"), &[], who.to_string()).await.status(), 201);
    let (_, answer) = json_of(send(alice(), "POST", &path("v1"), &[], who.to_string()).await).await;
    assert_eq!(answer["status"]["userInfo"], json!({"username": "alice", "groups": ["staff", "system:authenticated"]}));
}

#[tokio::test]
async fn tokens_identify_and_impersonation_needs_a_right() {
    let mut options = Options::new(clock());
    let token = |token: &str, user| StaticToken { token_sha256: Sha256::digest(token).into(), user };
    options.tokens = vec![
        token("root-token", UserInfo::new("root", ["system:masters"])),
        token("bob-token", UserInfo::new("bob", ["staff"])),
    ];
    let fixture = Fixture::with(options).await;
    let list = async |headers: &[(&str, &str)]| {
        send(fixture.server.router(), "GET", "/api/v1/namespaces", headers, Body::empty()).await.status().as_u16()
    };
    assert_eq!(list(&[]).await, 401);
    assert_eq!(list(&[("authorization", "Bearer wrong")]).await, 401);
    assert_eq!(list(&[("authorization", "Bearer root-token")]).await, 200);
    assert_eq!(list(&[("authorization", "Bearer bob-token")]).await, 403);
    assert_eq!(list(&[("authorization", "Bearer root-token"), ("impersonate-user", "bob")]).await, 403);
    assert_eq!(
        list(&[
            ("authorization", "Bearer bob-token"),
            ("impersonate-user", "root"),
            ("impersonate-group", "system:masters")
        ])
        .await,
        403
    );
}

#[tokio::test]
async fn raw_handlers_pass_the_same_rules() {
    let mut options = Options::new(clock());
    let log = RawHandler::new("/apis/toys.test/v1/namespaces/{namespace}/widgets/{name}/log", async |request| {
        let body = format!("{} reads {}/{}", request.user.name, request.param("namespace"), request.param("name"));
        Ok(http::Response::new(body.into()))
    });
    let panics = RawHandler::new("/extra/panics", async |_| panic!("on purpose"));
    options.raw_handlers = vec![log, panics];
    let fixture = Fixture::with(options).await;
    grant_reading(&fixture).await;
    let alice = || fixture.server.in_process(UserInfo::new("alice", ["staff"]));
    let read = send(alice(), "GET", "/apis/toys.test/v1/namespaces/default/widgets/one/log", &[], Body::empty()).await;
    assert_eq!(read.status(), StatusCode::OK);
    assert_eq!(get(alice(), "/apis/toys.test/v1/namespaces/other/widgets/one/log").await.0, 403);
    assert_eq!(get(alice(), "/extra/panics").await.0, 403);
    let (code, status) = get(fixture.router(), "/extra/panics").await;
    assert_eq!((code, &status["reason"]), (500, &json!("InternalError")), "a panic is an answer");
}

#[tokio::test]
async fn an_apply_makes_something_new_only_for_those_who_may_create() {
    let fixture = Fixture::start().await;
    grant_reading(&fixture).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let allow = async |verbs: &[&str]| {
        let merge = [("content-type", "application/merge-patch+json")];
        let rules = json!({"rules": [{"apiGroups": ["toys.test"], "resources": ["widgets"], "verbs": verbs}]});
        let role = send(fixture.router(), "PATCH", &format!("{rbac}/roles/read"), &merge, rules.to_string()).await;
        assert_eq!(role.status(), 200);
    };
    let apply = async |color: &str| {
        let widget = json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"color": color}});
        let alice = fixture.server.in_process(UserInfo::new("alice", ["staff"]));
        let path = "/apis/toys.test/v1/namespaces/default/widgets/one?fieldManager=alice";
        let headers = [("content-type", "application/apply-patch+yaml")];
        json_of(send(alice, "PATCH", path, &headers, widget.to_string()).await).await
    };
    allow(&["patch"]).await;
    let (code, status) = apply("red").await;
    assert_eq!(code, 403);
    assert!(status["message"].as_str().unwrap().contains("cannot create resource"), "{status}");
    allow(&["patch", "create"]).await;
    assert_eq!(apply("red").await.0, 201);
    allow(&["patch"]).await;
    assert_eq!(apply("blue").await.0, 200);
}

/// Lets alice write roles and bindings in the namespace `default`, and read widgets there.
async fn grant_granting(fixture: &Fixture) {
    grant_reading(fixture).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "grant"},
        // All verbs would be `escalate` and `bind` as well.
        "rules": [{
            "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"],
            "verbs": ["get", "create", "update", "patch"],
        }],
    });
    grant(fixture, &format!("{rbac}/roles"), role).await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "grant"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "grant"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
    });
    grant(fixture, &format!("{rbac}/rolebindings"), binding).await;
}

#[tokio::test]
async fn nobody_gives_more_rights_than_they_have() {
    let fixture = Fixture::start().await;
    grant_granting(&fixture).await;
    let alice = || fixture.server.in_process(UserInfo::new("alice", ["staff"]));
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = |name: &str, verbs: &[&str]| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
            "rules": [{"apiGroups": ["toys.test"], "resources": ["widgets"], "verbs": verbs}],
        })
    };
    let post = async |path: &str, body: Value| {
        json_of(send(alice(), "POST", &format!("{rbac}/{path}"), &[], body.to_string()).await).await
    };
    assert_eq!(post("roles", role("mine", &["get"])).await.0, 201);
    let (code, status) = post("roles", role("more", &["delete"])).await;
    assert_eq!(code, 403);
    assert!(status["message"].as_str().unwrap().contains("not currently held"), "{status}");

    let grow = json!([{"op": "add", "path": "/rules/0/verbs/-", "value": "delete"}]).to_string();
    let patch = [("content-type", "application/json-patch+json")];
    let patched = send(alice(), "PATCH", &format!("{rbac}/roles/mine"), &patch, grow).await;
    assert_eq!(patched.status(), 403, "no patch goes around it");

    let binding = |kind: &str, name: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": format!("to-{name}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
        })
    };
    assert_eq!(post("rolebindings", binding("Role", "read")).await.0, 201);
    assert_eq!(post("rolebindings", binding("ClusterRole", "cluster-admin")).await.0, 403);
    assert_eq!(post("rolebindings", binding("Role", "none")).await.0, 404);
}
