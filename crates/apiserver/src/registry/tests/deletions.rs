//! Deletions.

use super::*;

fn policy(policy: &str) -> DeleteOptions {
    DeleteOptions { propagation_policy: Some(policy.into()), ..DeleteOptions::default() }
}

fn pending(outcome: Deleted) -> Arc<Value> {
    match outcome {
        Deleted::Pending(object) => object.value().unwrap(),
        Deleted::Gone(status) => panic!("gone: {status}"),
    }
}

async fn with_finalizer(bench: &Bench) -> Arc<Value> {
    let mut body = widget("a", "x");
    body["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    bench.create(&bench.widgets(), body).await.unwrap().object
}

#[tokio::test]
async fn a_deletion_names_what_it_deleted() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let created = bench.create(&scope, widget("a", "x")).await.unwrap().object;
    let dry = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    assert!(matches!(bench.registry.delete(&scope, "a", &dry).await.unwrap(), Deleted::Gone(_)));
    let Deleted::Gone(status) = bench.delete(&scope, "a").await.unwrap() else { panic!("it should be gone") };
    let details = json!({"name": "a", "group": "example.dev", "kind": "widgets", "uid": created["metadata"]["uid"]});
    assert_eq!((&status["status"], &status["details"]), (&json!("Success"), &details));
    assert_eq!(bench.delete(&scope, "a").await.unwrap_err().code, 404);
}

#[tokio::test]
async fn preconditions_must_hold() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let created = bench.create(&scope, widget("a", "x")).await.unwrap().object;
    let uid = DeleteOptions { uid: Some("other".into()), ..DeleteOptions::default() };
    let old = DeleteOptions { resource_version: Some("1".into()), ..DeleteOptions::default() };
    for options in [uid, old] {
        assert_eq!(bench.registry.delete(&scope, "a", &options).await.unwrap_err().code, 409);
    }
    let right = DeleteOptions {
        uid: created["metadata"]["uid"].as_str().map(str::to_owned),
        resource_version: Some(revision(&created).into()),
        ..DeleteOptions::default()
    };
    bench.registry.delete(&scope, "a", &right).await.unwrap();
}

#[tokio::test]
async fn finalizers_hold_an_object() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let created = with_finalizer(&bench).await;
    bench.pass(5);
    let marked = pending(bench.delete(&scope, "a").await.unwrap());
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:05Z");
    assert_eq!((&marked["metadata"]["deletionGracePeriodSeconds"], generation(&marked)), (&json!(0), 2));
    bench.pass(5);
    assert_eq!(
        revision(&pending(bench.delete(&scope, "a").await.unwrap())),
        revision(&marked),
        "the second time changes nothing"
    );

    let more =
        bench.merge(&scope, "a", json!({"metadata": {"finalizers": ["example.dev/hold", "example.dev/more"]}})).await;
    let (code, message) = refused(more);
    assert!(
        code == 422 && message.contains("no new finalizers can be added if the object is being deleted"),
        "{message}"
    );

    let begun = revision(&marked).to_owned();
    let timeout = Some(Duration::from_millis(200));
    let mut events =
        bench.watch(&scope, WatchOptions { resource_version: Some(begun), timeout, ..WatchOptions::default() }).await;
    let last = bench.merge(&scope, "a", json!({"metadata": {"finalizers": null}})).await.unwrap().object;
    assert_eq!(last["metadata"]["uid"], created["metadata"]["uid"]);
    assert_eq!(bench.get(&scope, "a").await.unwrap_err().code, 404);
    assert_eq!((events.word().await, events.word().await), ("DELETED a".into(), "END".into()));
    let again = bench.create(&scope, widget("a", "x")).await.unwrap().object;
    assert_ne!(again["metadata"]["uid"], created["metadata"]["uid"]);
}

#[tokio::test]
async fn the_policy_becomes_a_finalizer() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    for (at, (asked, expected)) in [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")].into_iter().enumerate()
    {
        let name = format!("w{at}");
        bench.create(&scope, widget(&name, "x")).await.unwrap();
        let marked = pending(bench.registry.delete(&scope, &name, &policy(asked)).await.unwrap());
        assert_eq!(marked["metadata"]["finalizers"], json!([expected]));
        assert!(matches!(bench.registry.delete(&scope, &name, &policy("Background")).await.unwrap(), Deleted::Gone(_)));
    }
}

#[tokio::test]
async fn a_collection_goes_together() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    for name in ["a", "b", "c"] {
        let mut body = widget(name, if name == "c" { "keep" } else { "drop" });
        body["metadata"]["labels"] = json!({"image": body["spec"]["image"]});
        bench.create(&scope, body).await.unwrap();
    }
    let options = ListOptions { selectors: labels("image=drop"), ..ListOptions::default() };
    let deleted = bench.registry.delete_collection(&scope, options, &DeleteOptions::default()).await.unwrap();
    assert_eq!(deleted.items.len(), 2);
    let left = values(&bench.list(&scope).await);
    assert_eq!((left.len(), &left[0]["metadata"]["name"]), (1, &json!("c")));
}
