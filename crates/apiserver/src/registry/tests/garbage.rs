//! Owners and dependents.

use super::*;

/// A ConfigMap owned by these objects.
fn owned(name: &str, owners: &[&Value], blocks: bool) -> Value {
    let references: Vec<_> = owners.iter().map(|owner| reference(owner, blocks)).collect();
    json!({"metadata": {"name": name, "ownerReferences": references}})
}

fn reference(owner: &Value, blocks: bool) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": blocks,
    })
}

async fn owner(bench: &Bench, name: &str) -> Arc<Value> {
    bench.create(&bench.widgets(), widget(name, "x")).await.unwrap().object
}

fn policy(policy: &str) -> DeleteOptions {
    DeleteOptions { propagation_policy: Some(policy.into()), ..DeleteOptions::default() }
}

#[tokio::test]
async fn dependents_go_after_their_last_owner() {
    let mut bench = Bench::new().await;
    bench.run();
    let (one, two) = (owner(&bench, "one").await, owner(&bench, "two").await);
    bench.create(&bench.maps(), owned("single", &[&one], false)).await.unwrap();
    bench.create(&bench.maps(), owned("shared", &[&one, &two], false)).await.unwrap();
    bench.delete(&bench.widgets(), "one").await.unwrap();
    bench.gone(&bench.maps(), "single").await;
    bench
        .wait_until(async || {
            let shared = bench.get(&bench.maps(), "shared").await.unwrap();
            shared["metadata"]["ownerReferences"].as_array().is_some_and(|owners| owners.len() == 1)
        })
        .await;
    bench.delete(&bench.widgets(), "two").await.unwrap();
    bench.gone(&bench.maps(), "shared").await;
}

#[tokio::test]
async fn a_chain_goes_link_by_link() {
    let mut bench = Bench::new().await;
    bench.run();
    let one = owner(&bench, "one").await;
    let map = bench.create(&bench.maps(), owned("link", &[&one], false)).await.unwrap().object;
    bench.create(&bench.maps(), owned("end", &[&map], false)).await.unwrap();
    bench.delete(&bench.widgets(), "one").await.unwrap();
    bench.gone(&bench.maps(), "end").await;
}

#[tokio::test]
async fn an_owner_that_never_was_counts_as_gone_and_an_unknown_kind_does_not() {
    let mut bench = Bench::new().await;
    bench.run();
    let mut ghost = Value::clone(&*owner(&bench, "one").await);
    ghost["metadata"]["uid"] = "another".into();
    let foreign = json!({"apiVersion": "foreign.test/v1", "kind": "Foreign", "metadata": {"name": "f", "uid": "f"}});
    bench.create(&bench.maps(), owned("kept", &[&foreign], false)).await.unwrap();
    bench.create(&bench.maps(), owned("lost", &[&ghost], false)).await.unwrap();
    bench.gone(&bench.maps(), "lost").await;
    bench.get(&bench.maps(), "kept").await.unwrap();
}

#[tokio::test]
async fn foreground_waits_for_dependents_that_block() {
    let mut bench = Bench::new().await;
    bench.run();
    let one = owner(&bench, "one").await;
    let mut held = owned("held", &[&one], true);
    held["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    bench.create(&bench.maps(), held).await.unwrap();
    bench.registry.delete(&bench.widgets(), "one", &policy("Foreground")).await.unwrap();
    bench
        .wait_until(async || {
            bench.get(&bench.maps(), "held").await.unwrap()["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    bench.get(&bench.widgets(), "one").await.unwrap();
    let patch = Patch::Merge(document(json!({"metadata": {"finalizers": null}})));
    seen(bench.registry.patch(&bench.maps(), "held", Part::Main, patch, &by("tester")).await).unwrap();
    bench.gone(&bench.maps(), "held").await;
    bench.gone(&bench.widgets(), "one").await;
}

#[tokio::test]
async fn orphans_stay() {
    let mut bench = Bench::new().await;
    bench.run();
    let one = owner(&bench, "one").await;
    bench.create(&bench.maps(), owned("child", &[&one], true)).await.unwrap();
    bench.registry.delete(&bench.widgets(), "one", &policy("Orphan")).await.unwrap();
    bench.gone(&bench.widgets(), "one").await;
    let child = bench.get(&bench.maps(), "child").await.unwrap();
    assert_eq!(child["metadata"].get("ownerReferences"), None);
}

#[tokio::test]
async fn what_was_left_over_is_collected_after_a_start() {
    let mut bench = Bench::new().await;
    let one = owner(&bench, "one").await;
    bench.create(&bench.maps(), owned("child", &[&one], false)).await.unwrap();
    bench.delete(&bench.widgets(), "one").await.unwrap();
    bench.run();
    bench.gone(&bench.maps(), "child").await;
}
