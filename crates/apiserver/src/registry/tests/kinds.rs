//! The built-in kinds.

use super::*;
use crate::registry::events;

#[tokio::test]
async fn secrets_keep_bytes() {
    let bench = Bench::new().await;
    let scope = bench.scope("", "v1", "secrets", Some("ns"));
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"k": "value"}, "data": {"b": "AAE="}});
    let written = bench.create(&scope, secret).await.unwrap().object;
    assert_eq!((&written["data"], &written["type"]), (&json!({"k": "dmFsdWU=", "b": "AAE="}), &json!("Opaque")));
    assert_eq!((written.get("stringData"), written["metadata"].get("generation")), (None, None));
    assert_eq!(
        refused(bench.create(&scope, json!({"metadata": {"name": "t"}, "data": {"k": "no base64!"}})).await).0,
        400
    );
    assert_eq!(refused(bench.create(&scope, json!({"metadata": {"name": "t"}, "data": {"k/k": ""}})).await).0, 422);
    assert_eq!(refused(bench.merge(&scope, "s", json!({"type": "other"})).await).0, 422);
    let frozen = bench.merge(&scope, "s", json!({"immutable": true})).await.unwrap().object;
    assert_eq!(frozen["immutable"], true);
    assert_eq!(refused(bench.merge(&scope, "s", json!({"stringData": {"k": "new"}})).await).0, 422);
    assert_eq!(refused(bench.merge(&scope, "s", json!({"immutable": null})).await).0, 422);
    let selected = ListOptions { selectors: fields("type=Opaque"), ..ListOptions::default() };
    assert_eq!(bench.registry.list(&scope, selected).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn config_maps_have_checked_keys() {
    let bench = Bench::new().await;
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "1"}, "binaryData": {"a": "AA=="}});
    assert!(refused(bench.create(&bench.maps(), map).await).1.contains("duplicate of key present in binaryData"));
}

#[tokio::test]
async fn events_are_one_thing_under_two_names() {
    let bench = Bench::new().await;
    let core = bench.scope("", "v1", "events", Some("ns"));
    let new = bench.scope("events.k8s.io", "v1", "events", Some("ns"));
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "note": "it happened", "reason": "Tested",
        "regarding": {"kind": "Widget", "namespace": "ns", "name": "a"}, "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Test",
        "reportingController": "tester", "reportingInstance": "one", "type": "Normal",
    });
    bench.create(&new, event).await.unwrap();
    let seen = bench.get(&core, "e").await.unwrap();
    assert_eq!(
        (&seen["apiVersion"], &seen["message"], &seen["reportingComponent"]),
        (&json!("v1"), &json!("it happened"), &json!("tester"))
    );
    for (scope, selector) in [(&core, "involvedObject.name=a,involvedObject.kind=Widget"), (&new, "regarding.name=a")] {
        let options = ListOptions { selectors: fields(selector), ..ListOptions::default() };
        assert_eq!(bench.registry.list(scope, options).await.unwrap().items.len(), 1, "{selector}");
    }
    let patched = bench.merge(&core, "e", json!({"count": 2, "message": "again"})).await.unwrap();
    assert!(!patched.created);
    let seen = bench.get(&new, "e").await.unwrap();
    assert_eq!((&seen["note"], &seen["deprecatedCount"], &seen["kind"]), (&json!("again"), &json!(2), &json!("Event")));
    let elsewhere = json!({"metadata": {"name": "x"}, "involvedObject": {"namespace": "other"}});
    assert_eq!(refused(bench.create(&core, elsewhere).await).0, 422);
}

#[tokio::test]
async fn leases_are_locks() {
    let bench = Bench::new().await;
    let scope = bench.scope("coordination.k8s.io", "v1", "leases", Some("ns"));
    let lease = |holder: &str| json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}});
    let held = bench.create(&scope, lease("one")).await.unwrap().object;
    assert_eq!(refused(bench.update(&scope, lease("two")).await).0, 422);
    let mut taken = Value::clone(&held);
    taken["spec"]["holderIdentity"] = "two".into();
    bench.update(&scope, taken.clone()).await.unwrap();
    assert_eq!(refused(bench.update(&scope, taken).await).0, 409);
    assert_eq!(refused(bench.merge(&scope, "l", json!({"spec": {"leaseDurationSeconds": 0}})).await).0, 422);
}

#[tokio::test]
async fn bindings_keep_their_role() {
    let bench = Bench::new().await;
    let scope = bench.scope("rbac.authorization.k8s.io", "v1", "rolebindings", Some("ns"));
    let binding = |role: &str| json!({"metadata": {"name": "system:b"}, "roleRef": {"kind": "Role", "name": role}, "subjects": [{"kind": "User", "name": "u"}]});
    let written = bench.create(&scope, binding("r")).await.unwrap().object;
    assert_eq!(written["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    assert!(refused(bench.update(&scope, binding("other")).await).1.contains("cannot change roleRef"));
    let kind = json!({"metadata": {"name": "c"}, "roleRef": {"kind": "Pod", "name": "x"}});
    assert_eq!(refused(bench.create(&scope, kind).await).0, 422);
}

#[tokio::test]
async fn events_fade() {
    let bench = Bench::new().await;
    let scope = bench.scope("", "v1", "events", Some("ns"));
    let event = |name: &str, time: &str| json!({"metadata": {"name": name}, "involvedObject": {"namespace": "ns"}, "lastTimestamp": time});
    bench.create(&scope, event("old", "2026-01-01T00:00:00Z")).await.unwrap();
    bench.create(&scope, event("young", "2026-01-01T00:30:00Z")).await.unwrap();
    bench.create(&scope, event("changed", "2026-01-01T00:00:00Z")).await.unwrap();
    bench.pass(1800);
    let records = bench.registry.records(events::PREFIX).await.unwrap();
    let mut queue = events::dated(&records, *bench.now.lock().unwrap());
    bench.merge(&scope, "changed", json!({"count": 2})).await.unwrap();
    bench.pass(1800);
    bench.registry.remove_expired(&mut queue).await;
    assert_eq!(bench.get(&scope, "old").await.unwrap_err().code, 404);
    assert_eq!((bench.list(&scope).await.items.len(), queue.len()), (2, 1));
}

#[tokio::test]
async fn secrets_hold_what_their_type_promises() {
    let bench = Bench::new().await;
    let scope = bench.scope("", "v1", "secrets", Some("ns"));
    for (at, (kind, data, accepted)) in [
        ("kubernetes.io/tls", json!({"tls.crt": "", "tls.key": ""}), true),
        ("kubernetes.io/tls", json!({"tls.crt": "a"}), false),
        ("kubernetes.io/ssh-auth", json!({"ssh-privatekey": "k"}), true),
        ("kubernetes.io/ssh-auth", json!({"ssh-privatekey": ""}), false),
        ("kubernetes.io/basic-auth", json!({"password": "p"}), true),
        ("kubernetes.io/basic-auth", json!({"other": "p"}), false),
        ("kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": "{}"}), true),
        ("kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": "{"}), false),
        ("kubernetes.io/dockercfg", json!({"config": "{}"}), false),
        ("kubernetes.io/service-account-token", json!({}), false),
        ("example.dev/anything", json!({}), true),
    ]
    .into_iter()
    .enumerate()
    {
        let secret = json!({"metadata": {"name": format!("s{at}")}, "type": kind, "stringData": data});
        let outcome = bench.create(&scope, secret).await.map_err(|error| error.code);
        assert_eq!(outcome.map(drop).err(), (!accepted).then_some(422), "{kind} {data}");
    }
}

#[tokio::test]
async fn rules_of_roles_say_what_and_where() {
    let bench = Bench::new().await;
    let roles = bench.scope("rbac.authorization.k8s.io", "v1", "roles", Some("ns"));
    let cluster = bench.scope("rbac.authorization.k8s.io", "v1", "clusterroles", None);
    let path = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz"]});
    for (at, (scope, rule, accepted)) in [
        (&roles, json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}), true),
        (&roles, json!({"verbs": [], "apiGroups": [""], "resources": ["secrets"]}), false),
        (&roles, json!({"verbs": ["get"], "resources": ["secrets"]}), false),
        (&roles, json!({"verbs": ["get"], "apiGroups": [""]}), false),
        (&roles, path.clone(), false),
        (&cluster, path, true),
        (&cluster, json!({"verbs": ["get"], "nonResourceURLs": ["/x"], "apiGroups": [""], "resources": ["x"]}), false),
    ]
    .into_iter()
    .enumerate()
    {
        let role = json!({"metadata": {"name": format!("r{at}")}, "rules": [rule]});
        let outcome = bench.create(scope, role).await.map_err(|error| error.code);
        assert_eq!(outcome.map(drop).err(), (!accepted).then_some(422), "{rule}");
    }
}
