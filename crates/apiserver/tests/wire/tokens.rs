//! Tokens that the server knows by its objects: issued ones, and those of service accounts.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::body::Body;
use essaim_apiserver::{Clock, IssuedTokens, Options, UserInfo};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Fixture, get, json_of, send};

const START: i64 = 1_800_000_000;
const SECRETS: &str = "/api/v1/namespaces/essaim-system/secrets";
const TYPE: &str = "toys.test/token";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1";

/// A clock that stands still until it is moved.
fn held() -> (Arc<AtomicI64>, Clock) {
    let seconds = Arc::new(AtomicI64::new(START));
    let clock = {
        let seconds = seconds.clone();
        Arc::new(move || Timestamp::from_second(seconds.load(Ordering::SeqCst)).unwrap_or_default())
    };
    (seconds, clock)
}

async fn start() -> (Fixture, Arc<AtomicI64>) {
    let (seconds, clock) = held();
    let mut options = Options::new(clock);
    options.issued_tokens = Some(IssuedTokens { namespace: "essaim-system".into(), secret_type: TYPE.into() });
    (Fixture::with(options).await, seconds)
}

/// The Secret of a token that ends an hour after the start.
fn secret(id: &str, token: &str, user: &str, groups: &[&str]) -> Value {
    let expires = Timestamp::from_second(START + 3600).unwrap().to_string();
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("token-{id}")}, "type": TYPE,
        "stringData": {
            "sha256": hex::encode(Sha256::digest(token)), "user": user, "groups": json!(groups).to_string(),
            "expires": expires, "description": "for a test",
        },
    })
}

async fn post(router: axum::Router, path: &str, body: &Value) -> (u16, Value) {
    json_of(send(router, "POST", path, &[], body.to_string()).await).await
}

/// Who the bearer is: the user's name and groups, or the code of the refusal.
async fn who(fixture: &Fixture, token: &str) -> Result<UserInfo, u16> {
    let authorization = format!("Bearer {token}");
    let review = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}).to_string();
    let path = format!("{REVIEWS}/selfsubjectreviews");
    let answer = send(fixture.server.router(), "POST", &path, &[("authorization", &authorization)], review).await;
    match json_of(answer).await {
        (201, review) => Ok(serde_json::from_value(review["status"]["userInfo"].clone()).unwrap()),
        (code, _) => Err(code),
    }
}

#[tokio::test]
async fn an_issued_token_holds_until_it_is_revoked_or_ends() {
    let (fixture, seconds) = start().await;
    let token = "0123456789abcdef.a-long-secret";
    assert_eq!(who(&fixture, token).await, Err(401));
    let made = post(fixture.router(), SECRETS, &secret("0123456789abcdef", token, "alice", &["staff"])).await;
    assert_eq!(made.0, 201, "{}", made.1);
    let alice = who(&fixture, token).await.unwrap();
    assert_eq!(
        (alice.name.as_str(), alice.groups.as_slice()),
        ("alice", &["staff".into(), "system:authenticated".into()][..])
    );
    assert_eq!(alice.extra["authentication.kubernetes.io/credential-id"], ["TOKEN=0123456789abcdef"]);
    for wrong in
        ["0123456789abcdef.another-secret", "0123456789abcdef.", "fedcba9876543210.a-long-secret", "a-long-secret"]
    {
        assert_eq!(who(&fixture, wrong).await, Err(401), "{wrong}");
    }

    let review = json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": token}});
    let (_, answer) = post(fixture.router(), &format!("{REVIEWS}/tokenreviews"), &review).await;
    assert_eq!(answer["status"]["user"]["username"], "alice");

    seconds.store(START + 3600, Ordering::SeqCst);
    assert_eq!(who(&fixture, token).await, Err(401), "it has ended");
    seconds.store(START, Ordering::SeqCst);
    assert!(who(&fixture, token).await.is_ok());
    let path = format!("{SECRETS}/token-0123456789abcdef");
    assert_eq!(send(fixture.router(), "DELETE", &path, &[], Body::empty()).await.status(), 200);
    assert_eq!(who(&fixture, token).await, Err(401), "it was revoked");
}

#[tokio::test]
async fn a_secret_elsewhere_or_of_another_type_is_no_token() {
    let (fixture, _) = start().await;
    let token = "0123456789abcdef.a-long-secret";
    let here = secret("0123456789abcdef", token, "alice", &[]);
    assert_eq!(post(fixture.router(), "/api/v1/namespaces/default/secrets", &here).await.0, 201);
    let mut opaque = here.clone();
    opaque["type"] = "Opaque".into();
    assert_eq!(post(fixture.router(), SECRETS, &opaque).await.0, 201);
    assert_eq!(who(&fixture, token).await, Err(401));
    let mut broken = secret("1123456789abcdef", token, "alice", &[]);
    broken["stringData"]["expires"] = "tomorrow".into();
    let (code, status) = post(fixture.router(), SECRETS, &broken).await;
    assert_eq!((code, &status["details"]["causes"][0]["field"]), (422, &json!("data.expires")));
}

/// Lets bob write Secrets where the tokens are, and do what `rules` say everywhere.
async fn let_bob(fixture: &Fixture, rules: Value) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "issuer"}, "rules": rules});
    assert_eq!(post(fixture.router(), &format!("{rbac}/clusterroles"), &role).await.0, 201);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "issuer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "issuer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}],
    });
    assert_eq!(post(fixture.router(), &format!("{rbac}/clusterrolebindings"), &binding).await.0, 201);
}

#[tokio::test]
async fn nobody_issues_a_token_for_somebody_whom_they_may_not_impersonate() {
    let (fixture, _) = start().await;
    let_bob(
        &fixture,
        json!([
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["users"], "resourceNames": ["alice"], "verbs": ["impersonate"]},
            {"apiGroups": [""], "resources": ["groups"], "resourceNames": ["staff"], "verbs": ["impersonate"]},
        ]),
    )
    .await;
    let bob = || fixture.server.in_process(UserInfo::new("bob", ["staff"]));
    let (id, token) = ("0123456789abcdef", "0123456789abcdef.a-long-secret");
    for (user, groups) in
        [("root", &[][..]), ("alice", &["system:masters"]), ("system:serviceaccount:default:default", &[])]
    {
        let (code, status) = post(bob(), SECRETS, &secret(id, token, user, groups)).await;
        assert_eq!(code, 403, "{user} {groups:?}: {status}");
        assert!(status["message"].as_str().unwrap().contains("impersonate"), "{status}");
    }
    let (code, body) = post(bob(), SECRETS, &secret(id, token, "alice", &["staff"])).await;
    assert_eq!(code, 201, "{body}");
    assert!(who(&fixture, token).await.is_ok());

    // Nor does a change make another token of it, by whatever kind of patch.
    let path = format!("{SECRETS}/token-{id}");
    let root = json!({"stringData": {"user": "root"}}).to_string();
    for patch in ["application/merge-patch+json", "application/strategic-merge-patch+json"] {
        assert_eq!(
            send(bob(), "PATCH", &path, &[("content-type", patch)], root.clone()).await.status(),
            403,
            "{patch}"
        );
    }
    let mut applied = secret(id, token, "root", &[]);
    applied["metadata"]["namespace"] = "essaim-system".into();
    let apply = [("content-type", "application/apply-patch+yaml")];
    let uri = format!("{path}?fieldManager=bob&force=true");
    assert_eq!(send(bob(), "PATCH", &uri, &apply, applied.to_string()).await.status(), 403);
    // A token of somebody else gets no other digest either.
    let other = "1123456789abcdef.a-long-secret";
    assert_eq!(
        post(fixture.router(), SECRETS, &secret("1123456789abcdef", other, "root", &["system:masters"])).await.0,
        201
    );
    let digest = json!({"stringData": {"sha256": hex::encode(Sha256::digest(token))}}).to_string();
    let path = format!("{SECRETS}/token-1123456789abcdef");
    let merge = [("content-type", "application/merge-patch+json")];
    assert_eq!(send(bob(), "PATCH", &path, &merge, digest).await.status(), 403);
    assert_eq!(get(bob(), &path).await.0, 200, "who may read Secrets sees digests only");
}

#[tokio::test]
async fn impersonation_takes_a_right_for_every_part() {
    let (fixture, _) = start().await;
    let_bob(&fixture, json!([
        {"apiGroups": [""], "resources": ["users"], "resourceNames": ["alice"], "verbs": ["impersonate"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["uids"], "resourceNames": ["7"], "verbs": ["impersonate"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"], "resourceNames": ["read"], "verbs": ["impersonate"]},
    ]))
    .await;
    let review = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"});
    let ask = async |headers: &[(&str, &str)]| {
        let bob = fixture.server.in_process(UserInfo::new("bob", ["staff"]));
        let path = format!("{REVIEWS}/selfsubjectreviews");
        json_of(send(bob, "POST", &path, headers, review.to_string()).await).await
    };
    let whole = [("impersonate-user", "alice"), ("impersonate-uid", "7"), ("impersonate-extra-scopes", "read")];
    let (code, answer) = ask(&whole).await;
    assert_eq!(code, 201, "{answer}");
    let user =
        json!({"username": "alice", "uid": "7", "groups": ["system:authenticated"], "extra": {"scopes": ["read"]}});
    assert_eq!(answer["status"]["userInfo"], user);
    for beyond in [
        ("impersonate-uid", "8"),
        ("impersonate-extra-scopes", "write"),
        ("impersonate-extra-other", "read"),
        ("impersonate-group", "staff"),
    ] {
        assert_eq!(ask(&[("impersonate-user", "alice"), beyond]).await.0, 403, "{beyond:?}");
    }
    assert_eq!(ask(&[("impersonate-uid", "7")]).await.0, 400);
}

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";

/// Asks for a token of the account `default`.
async fn request_token(fixture: &Fixture, spec: Value) -> (u16, Value) {
    let request = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec});
    post(fixture.router(), &format!("{ACCOUNTS}/default/token"), &request).await
}

#[tokio::test]
async fn a_service_account_logs_in_with_its_token_until_it_ends_or_the_account_goes() {
    let (fixture, seconds) = start().await;
    let (code, answer) = request_token(&fixture, json!({"expirationSeconds": 600})).await;
    assert_eq!(code, 201, "{answer}");
    let ends = Timestamp::from_second(START + 600).unwrap().to_string();
    assert_eq!(answer["status"]["expirationTimestamp"], ends.as_str());
    let token = answer["status"]["token"].as_str().unwrap().to_owned();
    let robot = who(&fixture, &token).await.unwrap();
    assert_eq!(robot.name, "system:serviceaccount:default:default");
    assert_eq!(robot.groups, ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]);
    let (_, account) = get(fixture.router(), &format!("{ACCOUNTS}/default")).await;
    assert_eq!(account["metadata"]["uid"], robot.uid.as_str());

    seconds.store(START + 611, Ordering::SeqCst);
    assert_eq!(who(&fixture, &token).await, Err(401), "it has ended");
    seconds.store(START, Ordering::SeqCst);
    assert!(who(&fixture, &token).await.is_ok());
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged: String = signature.chars().rev().collect();
    assert_eq!(who(&fixture, &format!("{head}.{forged}")).await, Err(401));

    assert_eq!(
        send(fixture.router(), "DELETE", &format!("{ACCOUNTS}/default"), &[], Body::empty()).await.status(),
        200
    );
    assert_eq!(who(&fixture, &token).await, Err(401), "the account is gone, or another one of the same name");
}

#[tokio::test]
async fn a_token_for_another_audience_is_good_for_reviews_of_that_audience_only() {
    let (fixture, _) = start().await;
    let (_, answer) = request_token(&fixture, json!({"audiences": ["vault", "queue"]})).await;
    let token = answer["status"]["token"].as_str().unwrap().to_owned();
    assert_eq!(who(&fixture, &token).await, Err(401));
    let review = async |audiences: Value| {
        let spec = json!({"token": token, "audiences": audiences});
        let review = json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": spec});
        post(fixture.router(), &format!("{REVIEWS}/tokenreviews"), &review).await.1["status"].clone()
    };
    let good = review(json!(["queue", "other"])).await;
    assert_eq!((&good["authenticated"], &good["audiences"]), (&json!(true), &json!(["queue"])));
    assert_eq!(good["user"]["username"], "system:serviceaccount:default:default");
    for wrong in [json!(["other"]), json!([])] {
        assert_eq!(review(wrong.clone()).await["authenticated"], false, "{wrong}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_granted_says_what_is_wrong() {
    let (fixture, _) = start().await;
    for (spec, field) in [
        (json!({"expirationSeconds": 599}), "spec.expirationSeconds"),
        (json!({"expirationSeconds": 4_294_967_297_i64}), "spec.expirationSeconds"),
        (json!({"boundObjectRef": {"kind": "Pod", "name": "p"}}), "spec.boundObjectRef"),
        (json!({"audiences": [""]}), "spec.audiences"),
    ] {
        let (code, status) = request_token(&fixture, spec.clone()).await;
        assert_eq!((code, &status["details"]["causes"][0]["field"]), (422, &json!(field)), "{spec}");
    }
    // What lasts too long is shortened, and the answer says so.
    let (_, long) = request_token(&fixture, json!({"expirationSeconds": 4_294_967_296_i64})).await;
    let year = Timestamp::from_second(START + 365 * 24 * 3600).unwrap().to_string();
    assert_eq!(long["status"]["expirationTimestamp"], year.as_str());
    let request = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"});
    assert_eq!(post(fixture.router(), &format!("{ACCOUNTS}/nobody/token"), &request).await.0, 404);
    assert_eq!(post(fixture.router(), &format!("{ACCOUNTS}/default/token?dryRun=All"), &request).await.0, 400);
    assert_eq!(get(fixture.router(), &format!("{ACCOUNTS}/default/token")).await.0, 405);
    let alice = fixture.server.in_process(UserInfo::new("alice", ["staff"]));
    assert_eq!(post(alice, &format!("{ACCOUNTS}/default/token"), &request).await.0, 403);
}

#[tokio::test]
async fn every_namespace_has_its_default_account() {
    let (fixture, _) = start().await;
    let account = |namespace: &str| format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "alice"}});
    assert_eq!(post(fixture.router(), "/api/v1/namespaces", &namespace).await.0, 201);
    for name in ["default", "kube-system", "alice"] {
        assert_eq!(get(fixture.router(), &account(name)).await.0, 200, "{name}");
    }
    let (_, first) = get(fixture.router(), &account("alice")).await;
    assert_eq!(send(fixture.router(), "DELETE", &account("alice"), &[], Body::empty()).await.status(), 200);
    for _ in 0..500 {
        let (code, again) = get(fixture.router(), &account("alice")).await;
        if code == 200 && again["metadata"]["uid"] != first["metadata"]["uid"] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the account was not made again");
}

#[tokio::test]
async fn the_token_subresource_is_discovered() {
    let (fixture, _) = start().await;
    let (_, list) = get(fixture.router(), "/api/v1").await;
    let row = list["resources"].as_array().unwrap().iter().find(|row| row["name"] == "serviceaccounts/token").unwrap();
    assert_eq!((&row["kind"], &row["verbs"]), (&json!("TokenRequest"), &json!(["create"])));
}
