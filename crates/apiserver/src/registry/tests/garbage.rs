//! Owners and dependents.

use std::sync::{
    OnceLock, Weak,
    atomic::{AtomicBool, Ordering},
};

use super::*;
use crate::registry::{
    AdmissionRequest, Operation,
    garbage::{Graph, Uid},
};

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

/// What the collector knows once it has seen all there is, and then sees nothing new.
async fn picture(bench: &Bench) -> Mutex<Graph> {
    let mut graph = Graph::default();
    for record in bench.registry.records("/registry/").await.unwrap() {
        graph.put(&record.key, &record.value);
    }
    Mutex::new(graph)
}

fn uid(object: &Value) -> Uid {
    object["metadata"]["uid"].as_str().unwrap().into()
}

#[tokio::test]
async fn who_got_another_owner_meanwhile_stays() {
    let bench = Bench::new().await;
    let (one, two) = (owner(&bench, "one").await, owner(&bench, "two").await);
    let child = bench.create(&bench.maps(), owned("child", &[&one], false)).await.unwrap().object;
    let shared = bench.create(&bench.maps(), owned("shared", &[&one, &two], false)).await.unwrap().object;
    bench.delete(&bench.widgets(), "one").await.unwrap();
    let graph = picture(&bench).await;
    bench
        .merge(&bench.maps(), "child", json!({"metadata": {"ownerReferences": [reference(&two, false)]}}))
        .await
        .unwrap();
    bench.merge(&bench.maps(), "shared", json!({"metadata": {"ownerReferences": null}})).await.unwrap();
    for object in [&child, &shared] {
        bench.registry.tend(&graph, uid(object)).await.unwrap();
    }
    bench.get(&bench.maps(), "child").await.unwrap();
    bench.get(&bench.maps(), "shared").await.unwrap();
}

/// Gives an object another owner at the last moment of its deletion.
struct Adoption {
    registry: OnceLock<Weak<Registry>>,
    patch: OnceLock<(Scope, Value)>,
    done: AtomicBool,
}

impl Admission for Arc<Adoption> {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Option<Value>, ApiError> {
        if request.operation != Operation::Delete
            || request.kind != "ConfigMap"
            || self.done.swap(true, Ordering::SeqCst)
        {
            return Ok(None);
        }
        let registry = self.registry.get().unwrap().upgrade().unwrap();
        let ((scope, patch), name) = (self.patch.get().unwrap().clone(), request.name.to_owned());
        let patch = Patch::Merge(document(patch));
        aside(registry.patch(&scope, &name, Part::Main, patch, &by("tester")))?;
        Ok(None)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gets_another_owner_while_being_deleted_stays() {
    let adoption =
        Arc::new(Adoption { registry: OnceLock::new(), patch: OnceLock::new(), done: AtomicBool::new(false) });
    let bench = Bench::with(vec![Arc::new(adoption.clone())]).await;
    let (one, two) = (owner(&bench, "one").await, owner(&bench, "two").await);
    let child = bench.create(&bench.maps(), owned("child", &[&one], false)).await.unwrap().object;
    bench.delete(&bench.widgets(), "one").await.unwrap();
    adoption.registry.set(Arc::downgrade(&bench.registry)).unwrap();
    let adopted = json!({"metadata": {"ownerReferences": [reference(&two, false)]}});
    adoption.patch.set((bench.maps(), adopted)).unwrap();
    bench.registry.tend(&picture(&bench).await, uid(&child)).await.unwrap();
    assert!(adoption.done.load(Ordering::SeqCst), "the deletion was tried");
    bench.get(&bench.maps(), "child").await.unwrap();
}

#[tokio::test]
async fn an_owner_counts_only_where_the_reference_says_it_is() {
    let mut bench = Bench::new().await;
    bench.run();
    let one = owner(&bench, "one").await;
    let elsewhere = Scope { namespace: Some("default".into()), ..bench.maps() };
    bench.create(&elsewhere, owned("elsewhere", &[&one], false)).await.unwrap();
    let mut misnamed = Value::clone(&one);
    misnamed["metadata"]["name"] = "other".into();
    bench.create(&bench.maps(), owned("misnamed", &[&misnamed], false)).await.unwrap();
    bench.create(&bench.maps(), owned("right", &[&one], false)).await.unwrap();
    bench.gone(&elsewhere, "elsewhere").await;
    bench.gone(&bench.maps(), "misnamed").await;
    bench.get(&bench.maps(), "right").await.unwrap();
}

#[tokio::test]
async fn what_a_dependent_wants_for_its_own_dependents_is_done() {
    let mut bench = Bench::new().await;
    bench.run();
    let one = owner(&bench, "one").await;
    let mut orphaning = owned("orphaning", &[&one], false);
    orphaning["metadata"]["finalizers"] = json!(["orphan"]);
    let orphaning = bench.create(&bench.maps(), orphaning).await.unwrap().object;
    bench.create(&bench.maps(), owned("orphaned", &[&orphaning], false)).await.unwrap();
    let mut waiting = owned("waiting", &[&one], false);
    waiting["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    let waiting = bench.create(&bench.maps(), waiting).await.unwrap().object;
    let mut held = owned("held", &[&waiting], true);
    held["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    bench.create(&bench.maps(), held).await.unwrap();
    bench.delete(&bench.widgets(), "one").await.unwrap();
    bench.gone(&bench.maps(), "orphaning").await;
    let orphaned = bench.get(&bench.maps(), "orphaned").await.unwrap();
    assert_eq!(orphaned["metadata"].get("ownerReferences"), None);
    bench
        .wait_until(async || {
            bench.get(&bench.maps(), "held").await.unwrap()["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    bench.get(&bench.maps(), "waiting").await.unwrap();
    bench.merge(&bench.maps(), "held", json!({"metadata": {"finalizers": null}})).await.unwrap();
    bench.gone(&bench.maps(), "waiting").await;
}

#[tokio::test]
async fn a_ring_of_owners_does_not_wait_for_itself() {
    let mut bench = Bench::new().await;
    let one = bench.create(&bench.maps(), json!({"metadata": {"name": "one"}})).await.unwrap().object;
    let one = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": one["metadata"]});
    let two = bench.create(&bench.maps(), owned("two", &[&one], true)).await.unwrap().object;
    bench.merge(&bench.maps(), "one", json!({"metadata": {"ownerReferences": [reference(&two, true)]}})).await.unwrap();
    bench.run();
    bench.registry.delete(&bench.maps(), "one", &policy("Foreground")).await.unwrap();
    bench.gone(&bench.maps(), "one").await;
    bench.gone(&bench.maps(), "two").await;
}

#[tokio::test]
async fn the_collectors_own_writes_follow_the_present_schema() {
    let mut bench = Bench::new().await;
    let definitions = bench.definitions();
    let mut old = bench.get(&definitions, "gadgets.example.dev").await.unwrap().as_ref().clone();
    let spec = |properties: Value| json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}});
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    *old.pointer_mut(schema).unwrap() = spec(json!({"a": {"type": "string"}, "gone": {"type": "string"}}));
    let old = bench.update(&definitions, old).await.unwrap().object;
    let scope = bench.gadgets();
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let namespaces = bench.scope("", "v1", "namespaces", None);
    let one = bench.create(&namespaces, owner("one")).await.unwrap().object;
    let two = bench.create(&namespaces, owner("two")).await.unwrap().object;
    for (name, finalizers) in [("shared", json!([])), ("held", json!(["example.dev/hold"]))] {
        let mut body = gadget(name);
        body["spec"] = json!({"a": "1", "gone": "g"});
        body["metadata"]["ownerReferences"] = json!([reference(&one, false), reference(&two, false)]);
        body["metadata"]["finalizers"] = finalizers;
        bench.create(&scope, body).await.unwrap();
    }
    let mut new = Value::clone(&old);
    *new.pointer_mut(schema).unwrap() =
        spec(json!({"a": {"type": "string"}, "new": {"type": "string", "default": "dflt"}}));
    bench.update(&definitions, new).await.unwrap();
    let completed = json!({"a": "1", "new": "dflt"});
    // With the resource of before, as a sweep of many objects has it.
    bench.registry.delete(&scope, "held", &DeleteOptions::default()).await.unwrap();
    assert_eq!(bench.get(&bench.gadgets(), "held").await.unwrap()["spec"], completed);
    bench.run();
    bench.delete(&namespaces, "one").await.unwrap();
    bench
        .wait_until(async || {
            let shared = bench.get(&bench.gadgets(), "shared").await.unwrap();
            assert_eq!(shared["spec"], completed);
            shared["metadata"]["ownerReferences"].as_array().is_some_and(|owners| owners.len() == 1)
        })
        .await;
    assert_eq!(bench.get(&bench.gadgets(), "shared").await.unwrap()["spec"], completed);
}
