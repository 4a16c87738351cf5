//! Pictures are shared, seldom taken, never older than the owner's own writes; and changes are hinted at.
#![expect(clippy::unwrap_used, clippy::panic, reason = "part of tests, which tell by panicking")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use essaim_api::names::label;
use essaim_backend::swarm::{Action, Changed, Error, Observed, Owner, ServiceSpec, Swarm as _, TaskState};
use essaim_swarm::{Options, Swarm, SwarmOff};
use essaim_testkit::fake_swarm::{FakeNode, FakeOptions, FakeSwarm, Fault};
use futures::{FutureExt, StreamExt, future::join_all, stream::BoxStream};
use jiff::Timestamp;

const AGES: Duration = Duration::from_hours(1);

#[expect(clippy::disallowed_methods, reason = "the test is its own composition root")]
fn options() -> Options {
    Options::new(Timestamp::now, |owner| format!("s-{}", owner.name))
}

async fn site(options: Options) -> (FakeSwarm, Swarm) {
    let fake = FakeSwarm::start(FakeOptions::default()).await.unwrap();
    let swarm = Swarm::connect(Some(&fake.url()), options).unwrap();
    (fake, swarm)
}

fn owner(name: &str) -> Owner {
    Owner { uid: format!("uid-{name}"), namespace: "alice".into(), name: name.into() }
}

fn spec(owner: &Owner) -> ServiceSpec {
    let labels: BTreeMap<String, String> = [(label::MANAGED_BY, label::MANAGER), (label::OWNER_UID, &owner.uid)]
        .map(|(key, value)| (key.into(), value.into()))
        .into();
    ServiceSpec {
        name: format!("s-{}", owner.name),
        container_labels: labels.clone(),
        labels,
        image: "i:1".into(),
        command: vec!["sleep".into()],
        args: Vec::new(),
        env: BTreeMap::new(),
        hostname: "h".into(),
        user: "1:1".into(),
        groups: Vec::new(),
        working_dir: String::new(),
        mounts: Vec::new(),
        secrets: Vec::new(),
        constraints: Vec::new(),
        memory_bytes: None,
        nano_cpus: None,
        networks: Vec::new(),
        host_port: None,
        force_update: 0,
        foreign: BTreeMap::new(),
    }
}

async fn create(swarm: &Swarm, owner: &Owner) {
    swarm.apply(owner, &Action::CreateService(Box::new(spec(owner)))).await.unwrap();
}

async fn eventually(swarm: &Swarm, owner: &Owner, fits: impl Fn(&Observed) -> bool) -> Observed {
    for _ in 0..500 {
        let observed = swarm.observe(owner, Duration::ZERO).await.unwrap();
        if fits(&observed) {
            return observed;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come");
}

async fn hint(changes: &mut BoxStream<'static, Changed>) -> Changed {
    tokio::time::timeout(Duration::from_secs(10), changes.next()).await.unwrap().unwrap()
}

fn runs(observed: &Observed) -> bool {
    observed.services.iter().flat_map(|service| &service.tasks).any(|task| task.state == TaskState::Running)
}

#[tokio::test]
async fn relabelling_sends_back_what_docker_holds() {
    let (fake, swarm) = site(options()).await;
    let owner = owner("a");
    create(&swarm, &owner).await;
    // What this essaim would write differs from what is there, as after an upgrade of either side.
    assert!(fake.edit_service("s-a", |spec| spec["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] = 7.into()));
    let running = |observed: &Observed| observed.services[0].tasks[0].state == TaskState::Running;
    let before = eventually(&swarm, &owner, running).await.services.remove(0);
    let mut labels = before.spec.labels.clone();
    labels.insert(label::GENERATION.into(), "2".into());
    let relabel = |version| Action::RelabelService { id: before.id.clone(), version, labels: labels.clone() };
    assert!(matches!(swarm.apply(&owner, &relabel(before.version - 1)).await, Err(Error::Conflict { .. })));
    swarm.apply(&owner, &relabel(before.version)).await.unwrap();
    swarm.apply(&owner, &relabel(before.version)).await.unwrap();
    let after = swarm.observe(&owner, Duration::ZERO).await.unwrap().services.remove(0);
    assert_eq!(after.spec, ServiceSpec { labels, ..before.spec });
    assert_eq!(after.tasks[0].id, before.tasks[0].id, "labels restart nothing");
}

#[tokio::test]
async fn a_thousand_observers_share_one_round() {
    let (fake, swarm) = site(options()).await;
    let owners: Vec<Owner> = (0..1000).map(|number| owner(&number.to_string())).collect();
    for observed in join_all(owners.iter().map(|owner| swarm.observe(owner, AGES))).await {
        assert_eq!(observed.unwrap().nodes.len(), 3);
    }
    let calls = swarm.calls();
    assert_eq!((calls.list_services, calls.list_tasks, calls.list_nodes, calls.list_secrets), (1, 1, 1, 1));
    assert!(calls.version <= 4 && calls.total() <= 8, "{calls:?}");
    assert_eq!(fake.requests().total(), calls.total());
}

#[tokio::test]
async fn the_number_of_calls_does_not_grow_with_services() {
    let (fake, swarm) = site(options()).await;
    let owners: Vec<Owner> = (0..300).map(|number| owner(&number.to_string())).collect();
    for owner in &owners {
        fake.create_service(raw(owner)).unwrap();
    }
    let before = swarm.calls().total();
    for observed in join_all(owners.iter().map(|owner| swarm.observe(owner, AGES))).await {
        assert_eq!(observed.unwrap().services.len(), 1);
    }
    assert!(swarm.calls().total() - before <= 8);
}

fn raw(owner: &Owner) -> serde_json::Value {
    serde_json::json!({
        "Name": format!("s-{}", owner.name),
        "Labels": { label::MANAGED_BY: label::MANAGER, label::OWNER_UID: owner.uid },
        "TaskTemplate": { "ContainerSpec": { "Image": "i:1" } },
        "Mode": { "Replicated": { "Replicas": 1 } },
    })
}

#[tokio::test]
async fn an_owner_always_sees_its_own_writes_and_others_need_no_new_round() {
    let (_fake, swarm) = site(options()).await;
    let (alice, bob) = (owner("alice"), owner("bob"));
    assert_eq!(swarm.observe(&alice, AGES).await.unwrap().services, []);
    create(&swarm, &alice).await;
    let rounds = swarm.calls().list_services;
    assert_eq!(swarm.observe(&bob, AGES).await.unwrap().services, []);
    assert_eq!(swarm.calls().list_services, rounds, "an hour is not over");
    assert_eq!(swarm.observe(&alice, AGES).await.unwrap().services.len(), 1);
    assert_eq!(swarm.calls().list_services, rounds + 1);
}

#[tokio::test]
async fn an_observer_that_goes_away_does_not_hold_up_the_others() {
    let (fake, swarm) = site(options()).await;
    fake.set_fault(Some(Fault::Silent));
    assert!(swarm.observe(&owner("a"), AGES).now_or_never().is_none());
    let (alice, waiting) = (owner("a"), Duration::from_millis(50));
    assert!(tokio::time::timeout(waiting, swarm.observe(&alice, AGES)).await.is_err());
    fake.set_fault(None);
    let quick = Options { timeout: Duration::from_millis(100), ..options() };
    let swarm = Swarm::connect(Some(&fake.url()), quick).unwrap();
    assert!(swarm.observe(&alice, AGES).await.is_ok());
}

#[tokio::test]
async fn a_failed_look_is_an_error_and_never_an_empty_picture() {
    let (mut fake, swarm) = site(Options { timeout: Duration::from_millis(200), ..options() }).await;
    let alice = owner("alice");
    create(&swarm, &alice).await;
    for fault in [Fault::NoLeader, Fault::Silent] {
        fake.set_fault(Some(fault));
        let look = swarm.observe(&alice, Duration::ZERO).await;
        assert!(matches!(look, Err(Error::Unreachable { .. })), "{fault:?}: {look:?}");
        let change = swarm.apply(&alice, &Action::RemoveService { id: "x".into() }).await;
        assert!(matches!(change, Err(Error::Unreachable { .. })), "{fault:?}: {change:?}");
    }
    fake.set_fault(None);
    fake.stop_manager();
    assert!(matches!(swarm.observe(&alice, Duration::ZERO).await, Err(Error::Unreachable { .. })));
    fake.start_manager().await.unwrap();
    assert_eq!(swarm.observe(&alice, Duration::ZERO).await.unwrap().services.len(), 1);
}

#[tokio::test]
async fn changes_of_containers_nodes_and_the_connection_are_hinted_at() {
    let quick = Options { settled: Duration::from_millis(100), unsettled: Duration::from_millis(20), ..options() };
    let (mut fake, swarm) = site(quick).await;
    let alice = owner("alice");
    swarm.observe(&alice, AGES).await.unwrap();
    let mut changes = swarm.changes();
    create(&swarm, &alice).await;
    assert_eq!(hint(&mut changes).await, Changed::Owner(alice.uid.clone()));
    eventually(&swarm, &alice, runs).await;
    while tokio::time::timeout(Duration::from_millis(300), changes.next()).await.is_ok() {}
    assert!(fake.exit_task("s-alice", 1));
    assert_eq!(hint(&mut changes).await, Changed::Owner(alice.uid.clone()));
    fake.set_node_down("node1", true);
    assert_eq!(hint(&mut changes).await, Changed::Everybody);
    fake.stop_manager();
    assert_eq!(hint(&mut changes).await, Changed::Everybody);
    fake.start_manager().await.unwrap();
    assert_eq!(hint(&mut changes).await, Changed::Everybody);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), changes.next()).await.is_err(),
        "nothing moves, nothing is said"
    );
}

#[tokio::test]
async fn an_owner_that_waits_for_a_name_hears_when_it_is_free() {
    let quick = Options { settled: Duration::from_millis(50), ..options() };
    let (fake, swarm) = site(quick).await;
    let (alice, bob) = (owner("x"), Owner { uid: "uid-other".into(), ..owner("x") });
    fake.create_service(raw(&bob)).unwrap();
    let seen = swarm.observe(&alice, AGES).await.unwrap();
    assert_eq!(seen.services.len(), 1, "the service of somebody else under our name is shown");
    let mut changes = swarm.changes();
    assert!(fake.remove_service("s-x"));
    let mut heard = vec![hint(&mut changes).await];
    while !heard.contains(&Changed::Owner(alice.uid.clone())) {
        heard.push(hint(&mut changes).await);
    }
}

#[tokio::test]
async fn a_consumer_that_is_too_slow_is_told_everybody() {
    let quick = Options { settled: Duration::from_millis(20), unsettled: Duration::from_millis(20), ..options() };
    let (fake, swarm) = site(quick).await;
    swarm.observe(&owner("a"), AGES).await.unwrap();
    let mut changes = swarm.changes();
    for number in 0..1100 {
        fake.create_service(raw(&owner(&number.to_string()))).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(hint(&mut changes).await, Changed::Everybody);
}

#[tokio::test]
async fn nothing_is_asked_while_nobody_listens_and_little_while_nothing_moves() {
    let (_fake, swarm) = site(Options { settled: Duration::from_millis(100), ..options() }).await;
    swarm.observe(&owner("a"), AGES).await.unwrap();
    let before = swarm.calls().total();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(swarm.calls().total(), before);
    let _changes = swarm.changes();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let calls = swarm.calls();
    assert_eq!((calls.total() - before) % 4, 0, "four calls a round: {calls:?}");
    assert!((5..=25).contains(&calls.list_services), "{calls:?}");
}

#[tokio::test]
async fn a_removed_service_leaves_its_container_in_sight_until_it_stopped() {
    let (fake, swarm) = site(options()).await;
    let alice = owner("alice");
    create(&swarm, &alice).await;
    let seen = eventually(&swarm, &alice, runs).await;
    let service = seen.services.first().unwrap();
    let node_id = service.tasks.first().unwrap().node_id.clone().unwrap();
    let node = seen.nodes.iter().find(|node| node.id == node_id).unwrap().hostname.clone();
    fake.set_node_down(&node, true);
    swarm.apply(&alice, &Action::RemoveService { id: service.id.clone() }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let seen = swarm.observe(&alice, AGES).await.unwrap();
    assert_eq!((seen.services.len(), seen.leftover.len()), (0, 1), "the machine is cut off: it may still run");
    fake.set_node_down(&node, false);
    eventually(&swarm, &alice, |seen| seen.leftover.is_empty()).await;
}

#[tokio::test]
async fn a_machine_without_room_keeps_the_next_one_waiting() {
    let nodes = vec![FakeNode::new("small").memory(1 << 30).label("usage_type", "computing")];
    let fake = FakeSwarm::start(FakeOptions { nodes, ..FakeOptions::default() }).await.unwrap();
    let swarm = Swarm::connect(Some(&fake.url()), options()).unwrap();
    for name in ["first", "second"] {
        let owner = owner(name);
        let constraints = vec!["node.labels.usage_type==computing".into()];
        let spec = ServiceSpec { memory_bytes: Some(700 << 20), constraints, ..spec(&owner) };
        swarm.apply(&owner, &Action::CreateService(Box::new(spec))).await.unwrap();
    }
    eventually(&swarm, &owner("first"), runs).await;
    let full = "no suitable node (insufficient resources on 1 node)";
    let waits = |seen: &Observed| {
        seen.services.iter().flat_map(|service| &service.tasks).any(|task| task.error.as_deref() == Some(full))
    };
    eventually(&swarm, &owner("second"), waits).await;
    assert!(fake.remove_service("s-first"));
    eventually(&swarm, &owner("second"), runs).await;
}

#[tokio::test]
async fn streams_end_with_the_backend() {
    let (_fake, swarm) = site(options()).await;
    let mut changes = swarm.changes();
    drop(swarm);
    assert_eq!(changes.next().await, None);
}

#[tokio::test]
async fn off_is_told_by_name() {
    let off = Arc::new(SwarmOff);
    assert!(matches!(off.observe(&owner("a"), AGES).await, Err(Error::Off)));
    assert!(matches!(off.apply(&owner("a"), &Action::RemoveService { id: "x".into() }).await, Err(Error::Off)));
    assert!(off.changes().next().now_or_never().is_none());
}
