//! The audit log, as it lies on the disk.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]

use std::{fs, path::Path};

use axum::body::Body;
use essaim_apiserver::{AuditLog, AuditSettings, Options, UserInfo};
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::support::{Fixture, clock, get, send};

/// A server with an audit log in `directory`.
async fn start(directory: &Path) -> Fixture {
    let settings = AuditSettings {
        path: directory.join("audit.log"),
        max_bytes: 1024 * 1024,
        max_files: 2,
        quiet_users: vec!["essaim:gateway".into()],
    };
    let mut options = Options::new(clock());
    options.audit = Some(AuditLog::open(settings).unwrap());
    Fixture::with(options).await
}

/// The lines, once the server is gone and everything is written.
fn lines(fixture: Fixture, directory: &Path) -> Vec<Value> {
    drop(fixture);
    let text = fs::read_to_string(directory.join("audit.log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_request_is_noted_with_who_what_and_how_it_ended() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = start(directory.path()).await;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pass"}, "stringData": {"word": "opensesame"},
    });
    let path = "/api/v1/namespaces/default/secrets";
    let headers = [
        ("impersonate-user", "alice"),
        ("impersonate-group", "system:masters"),
        ("user-agent", "kubectl/v1.33"),
        ("audit-id", "one"),
    ];
    assert_eq!(send(fixture.router(), "POST", path, &headers, secret.to_string()).await.status(), 201);
    let bob = fixture.server.in_process(UserInfo::new("bob", ["staff"]));
    assert_eq!(get(bob, &format!("{path}/pass")).await.0, 403);
    let nobody = fixture.server.router();
    let wrong = [("authorization", "Bearer a-token-that-is-wrong")];
    assert_eq!(send(nobody, "GET", path, &wrong, Body::empty()).await.status(), 401);
    for quiet in ["/healthz", "/api", "/apis/toys.test/v1", "/version"] {
        assert_eq!(send(fixture.router(), "GET", quiet, &[], Body::empty()).await.status(), 200);
    }

    let noted = lines(fixture, directory.path());
    assert_eq!(noted.len(), 3, "{noted:#?}");
    let [made, refused, unknown] = [&noted[0], &noted[1], &noted[2]];
    assert_eq!(
        (&made["kind"], &made["apiVersion"], &made["level"]),
        (&json!("Event"), &json!("audit.k8s.io/v1"), &json!("Metadata"))
    );
    assert_eq!(
        (&made["auditID"], &made["stage"], &made["verb"]),
        (&json!("one"), &json!("ResponseComplete"), &json!("create"))
    );
    assert_eq!((&made["user"]["username"], &made["impersonatedUser"]["username"]), (&json!("root"), &json!("alice")));
    assert_eq!(
        made["objectRef"],
        json!({"resource": "secrets", "namespace": "default", "name": "pass", "apiVersion": "v1"})
    );
    assert_eq!((&made["userAgent"], &made["responseStatus"]["code"]), (&json!("kubectl/v1.33"), &json!(201)));
    assert_eq!(made["annotations"]["authorization.k8s.io/decision"], "allow");
    assert_eq!(
        (&refused["responseStatus"]["code"], &refused["responseStatus"]["reason"]),
        (&json!(403), &json!("Forbidden"))
    );
    assert_eq!(refused["annotations"]["authorization.k8s.io/decision"], "forbid");
    assert_eq!((&unknown["user"], &unknown["responseStatus"]["code"]), (&json!({}), &json!(401)));
    let text = fs::read_to_string(directory.path().join("audit.log")).unwrap();
    for secret in ["opensesame", "b3BlbnNlc2FtZQ", "a-token-that-is-wrong"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_watch_is_noted_when_it_begins_and_when_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = start(directory.path()).await;
    let path = "/apis/toys.test/v1/namespaces/default/widgets?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let response = send(fixture.router(), "GET", path, &[], Body::empty()).await;
    let mut frames = response.into_body().into_data_stream();
    assert!(frames.next().await.is_some(), "the watch goes on while it is noted");
    drop(frames);
    let noted = lines(fixture, directory.path());
    let stages: Vec<_> =
        noted.iter().map(|one| (one["verb"].as_str().unwrap(), one["stage"].as_str().unwrap())).collect();
    assert_eq!(stages, [("watch", "ResponseStarted"), ("watch", "ResponseComplete")]);
    assert_eq!(noted[0]["auditID"], noted[1]["auditID"]);
}

#[tokio::test]
async fn quiet_users_are_noted_where_they_write_or_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = start(directory.path()).await;
    let gateway = || fixture.server.in_process(UserInfo::new("essaim:gateway", ["system:masters"]));
    let stranger = || fixture.server.in_process(UserInfo::new("essaim:gateway", ["nobody"]));
    let namespaces = "/api/v1/namespaces";
    assert_eq!(get(gateway(), namespaces).await.0, 200);
    assert_eq!(get(stranger(), namespaces).await.0, 403);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "made-"}});
    assert_eq!(send(gateway(), "POST", namespaces, &[], namespace.to_string()).await.status(), 201);
    let noted = lines(fixture, directory.path());
    let verbs: Vec<_> = noted.iter().map(|one| one["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["list", "create"]);
    assert!(noted[1]["objectRef"]["name"].as_str().unwrap().starts_with("made-"), "{}", noted[1]);
}
