//! Quotas: what is charged, who is let in, and that the sums are exact.

mod books;
mod crowds;
mod etcd;
mod histories;
mod looks;
mod stage;

use super::*;
use crate::registry::{Amounts, Growth};
use stage::*;

#[tokio::test]
async fn an_update_is_charged_for_the_difference() {
    let bench = limited(&[("ns", 3), ("ns-replicas", 10)]).await;
    let scope = bench.widgets();
    bench.create(&scope, with_replicas("a", 4)).await.unwrap();
    bench.create(&scope, with_replicas("b", 5)).await.unwrap();
    assert_eq!(charged(&bench.registry, "ns").await, amounts(2, 9));

    let replicas = |number: u32| json!({"spec": {"replicas": number}});
    let (code, message) = refused(bench.merge(&scope, "a", replicas(6)).await);
    let detail = "exceeded quota: ns-replicas, requested: replicas=2, used: replicas=9, limited: replicas=10";
    assert_eq!((code, message), (403, format!("widgets.example.dev \"a\" is forbidden: {detail}")));
    bench.merge(&scope, "a", replicas(5)).await.unwrap();
    bench.merge(&scope, "b", replicas(1)).await.unwrap();
    assert_eq!(charged(&bench.registry, "ns").await, amounts(2, 6));

    // Switched off it counts as a widget only; to switch it on again is a claim like any other.
    bench.merge(&scope, "a", json!({"spec": {"image": "off"}})).await.unwrap();
    assert_eq!(charged(&bench.registry, "ns").await, amounts(2, 1));
    bench.merge(&scope, "b", replicas(8)).await.unwrap();
    assert_eq!(refused(bench.merge(&scope, "a", json!({"spec": {"image": "x"}})).await).0, 403);
    assert_eq!(charged(&bench.registry, "ns").await, amounts(2, 8));
}

#[tokio::test]
async fn a_lower_limit_kills_nothing_and_lets_the_rest_change() {
    let bench = limited(&[("ns", 3), ("ns-replicas", 10)]).await;
    let scope = bench.widgets();
    bench.create(&scope, with_replicas("a", 6)).await.unwrap();
    bench.create(&scope, with_replicas("b", 4)).await.unwrap();
    set_limit(&bench, "ns-replicas", 5).await;
    set_limit(&bench, "ns", 1).await;
    let replicas = |number: u32| json!({"spec": {"replicas": number}});
    bench.merge(&scope, "a", json!({"metadata": {"labels": {"still": "writable"}}})).await.unwrap();
    bench.merge(&scope, "a", replicas(3)).await.unwrap();
    assert_eq!(refused(bench.merge(&scope, "a", replicas(4)).await).0, 403, "what grows is held against the limit");
    bench.delete(&scope, "b").await.unwrap();
    bench.merge(&scope, "a", replicas(5)).await.unwrap();
    assert_eq!(charged(&bench.registry, "ns").await, amounts(1, 5));
}

#[tokio::test]
async fn what_changes_nothing_and_what_is_only_tried_is_not_charged() {
    let bench = limited(&[("ns", 1)]).await;
    let scope = bench.widgets();
    let tried = |value| bench.registry.create(&scope, document(value), &DRY);
    let before = bench.registry.store.revision();
    seen(tried(widget("a", "x")).await).unwrap();
    assert_eq!(bench.registry.store.revision(), before);
    bench.create(&scope, widget("a", "x")).await.unwrap();
    let before = bench.registry.store.revision();
    assert_eq!(refused(seen(tried(widget("b", "x")).await)).0, 403, "a dry run is judged");
    let patch = Patch::Merge(document(json!({"spec": {"replicas": 3}})));
    seen(bench.registry.patch(&scope, "a", Part::Main, patch, &DRY).await).unwrap();
    let gone = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    bench.registry.delete(&scope, "a", &gone).await.unwrap();
    bench.merge(&scope, "a", json!({"spec": {"image": "x"}})).await.unwrap();
    assert_eq!(bench.registry.store.revision(), before);
    assert_eq!(charged(&bench.registry, "ns").await, amounts(1, 1));
}

#[tokio::test]
async fn a_revision_is_lost_only_to_changes_of_the_object() {
    let bench = Arc::new(limited(&[("ns", 100)]).await);
    let mut known = Vec::new();
    for number in 0..40 {
        known.push(bench.create(&bench.widgets(), widget(&format!("w{number}"), "x")).await.unwrap().object);
    }
    let mut writing = JoinSet::new();
    for object in known.clone() {
        let bench = bench.clone();
        writing.spawn(async move {
            let mut object = Value::clone(&object);
            object["spec"]["replicas"] = 3.into();
            bench.update(&bench.widgets(), object).await.map(drop)
        });
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap().unwrap();
    }
    assert_eq!(charged(&bench.registry, "ns").await, amounts(40, 120));
    assert_eq!(refused(bench.update(&bench.widgets(), Value::clone(&known[0])).await).0, 409);
}

#[tokio::test]
async fn whoever_goes_gives_back() {
    let mut bench = limited(&[]).await;
    bench.run();
    let scope = bench.widgets();
    let nothing = async || bench.wait_until(async || charged(&bench.registry, "ns").await.is_empty()).await;
    let held = |name: &str| {
        let mut body = widget(name, "x");
        body["metadata"]["finalizers"] = json!(["example.dev/hold"]);
        body
    };
    let free = json!({"metadata": {"finalizers": null}});

    bench.create(&scope, held("finalizer")).await.unwrap();
    bench.delete(&scope, "finalizer").await.unwrap();
    assert_eq!(charged(&bench.registry, "ns").await, amounts(1, 1), "it is still there");
    bench.merge(&scope, "finalizer", free.clone()).await.unwrap();
    assert!(charged(&bench.registry, "ns").await.is_empty());

    let owner = bench.create(&bench.maps(), json!({"metadata": {"name": "owner"}})).await.unwrap().object;
    let reference = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true,
    });
    for name in ["owned", "owned-too"] {
        let mut body = widget(name, "x");
        body["metadata"]["ownerReferences"] = json!([reference]);
        bench.create(&scope, body).await.unwrap();
    }
    let foreground = DeleteOptions { propagation_policy: Some("Foreground".into()), ..DeleteOptions::default() };
    bench.registry.delete(&bench.maps(), "owner", &foreground).await.unwrap();
    nothing().await;

    bench.create(&scope, widget("leader", "x")).await.unwrap();
    bench.registry.delete(&scope, "leader", &foreground).await.unwrap();
    nothing().await;

    for number in 0..20 {
        bench.create(&scope, widget(&format!("w{number}"), "x")).await.unwrap();
    }
    bench.registry.delete_collection(&scope, ListOptions::default(), &DeleteOptions::default()).await.unwrap();
    assert!(charged(&bench.registry, "ns").await.is_empty());

    bench.create(&scope, widget("a", "x")).await.unwrap();
    bench.create(&scope, held("b")).await.unwrap();
    bench.delete(&bench.scope("", "v1", "namespaces", None), "ns").await.unwrap();
    bench.gone(&scope, "a").await;
    bench.merge(&scope, "b", free).await.unwrap();
    nothing().await;

    bench.gone(&bench.scope("", "v1", "namespaces", None), "ns").await;
    let default = Scope { namespace: Some("default".into()), ..scope };
    bench.create(&default, widget("a", "x")).await.unwrap();
    assert_eq!(charged(&bench.registry, "default").await, amounts(1, 1));
    bench.delete(&bench.definitions(), "widgets.example.dev").await.unwrap();
    bench.gone(&bench.definitions(), "widgets.example.dev").await;
    assert!(charged(&bench.registry, "default").await.is_empty());
}

#[tokio::test]
async fn only_what_is_charged_waits_for_its_turn() {
    let bench = limited(&[("ns", 10)]).await;
    bench.create(&bench.widgets(), widget("a", "x")).await.unwrap();
    let turn = bench.registry.turns.queue(&account("ns")).await;
    bench.create(&bench.maps(), json!({"metadata": {"name": "m"}})).await.unwrap();
    bench.merge(&bench.widgets(), "a", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    let scope = bench.widgets();
    let mut waiting = Box::pin(bench.create(&scope, widget("b", "x")));
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(waited.is_err(), "others come first");
    drop(turn);
    waiting.await.unwrap();
}

#[tokio::test]
async fn warnings_of_all_rules_reach_the_client() {
    struct Talker;
    impl Admission for Talker {
        fn admit(&self, _: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
            Ok(Admitted::unchanged().and_warn("a rule says so"))
        }
    }
    let bench = Bench::over(stored_in_a_file(), vec![Arc::new(Talker)], vec![Arc::new(Widgets::default())]).await;
    set_limit(&bench, "ns", 1).await;
    let written = bench.create(&bench.widgets(), widget("a", "x")).await.unwrap();
    assert_eq!(written.warnings, ["a rule says so", "ns has 1 of 1 widgets"]);
    let unchanged = bench.merge(&bench.widgets(), "a", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    assert_eq!(unchanged.warnings, ["a rule says so"]);
}

#[test]
fn limits_concern_what_grows() {
    let amounts = |pairs: &[(&str, u64)]| pairs.iter().map(|(what, number)| ((*what).to_owned(), *number)).collect();
    let growth = |before: &[(&str, u64)], after: &[(&str, u64)]| Growth {
        name: "alice".into(),
        before: amounts(before),
        after: amounts(after),
    };
    let limits: Amounts = amounts(&[("memory", 8), ("servers", 2)]);
    let within = |growth: Growth| growth.within("staff", &limits);
    assert_eq!(within(growth(&[], &[("servers", 2), ("jobs", 99)])), Ok(()));
    assert_eq!(within(growth(&[("memory", 20), ("servers", 1)], &[("memory", 12), ("servers", 2)])), Ok(()));
    assert_eq!(
        within(growth(&[("memory", 7), ("servers", 2)], &[("memory", 9), ("servers", 3)])).unwrap_err(),
        "exceeded quota: staff, requested: memory=2,servers=1, used: memory=7,servers=2, limited: memory=8,servers=2"
    );
}

#[tokio::test]
async fn what_the_server_does_by_itself_is_charged_and_not_judged() {
    let bench = limited(&[("ns", 1)]).await;
    let scope = bench.widgets();
    bench.create(&scope, widget("a", "x")).await.unwrap();
    let own = WriteOptions { user: None, ..by("server") };
    bench.registry.create(&scope, document(widget("b", "x")), &own).await.unwrap();
    assert_eq!(charged(&bench.registry, "ns").await, amounts(2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_applies_what_somebody_has_just_made_is_not_told_that_there_is_no_place() {
    let bench = Arc::new(limited(&[("ns", 1)]).await);
    for _ in 0..10 {
        let mut applying = JoinSet::new();
        for _ in 0..8 {
            let bench = bench.clone();
            applying.spawn(async move {
                let patch = Patch::Apply(document(widget("last", "x")));
                bench.registry.patch(&bench.widgets(), "last", Part::Main, patch, &by("same")).await.map(drop)
            });
        }
        while let Some(applied) = applying.join_next().await {
            applied.unwrap().unwrap();
        }
        assert_eq!(charged(&bench.registry, "ns").await, amounts(1, 1));
        bench.delete(&bench.widgets(), "last").await.unwrap();
    }
}
