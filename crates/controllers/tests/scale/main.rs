//! Five hundred servers: all come up, and then nothing that is asked or written grows with their number.
//!
//! Counts are compared, never times: a slow machine makes the test slower and not red.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "part of tests, which tell by panicking")]
#![expect(clippy::print_stdout, reason = "the figures stand in the output of the test")]

#[path = "../support/stage.rs"]
mod stage;

use std::collections::BTreeMap;

use essaim_api::names::condition;
use essaim_testkit::{
    fake_swarm::{FakeNode, FakeOptions, Requests},
    manifest, wait_until,
};
use kube::api::ListParams;
use stage::Stage;
use tokio::time::Instant;

/// Every round of looks asks for these once, and for nothing else.
const LOOKS: [&str; 4] = ["list services", "list tasks", "list nodes", "list secrets"];
/// Rounds over which a settled site is watched.
const TICKS: u64 = 4;
/// Rounds after which a settled site must have come to rest.
const MOST_UNREST: usize = 50;
/// Servers of one user.
const PER_LOGIN: usize = 20;

/// More passes than this until a server is settled, or more writes to the API for it, mean that something turns in circles.
/// Seen: 2 to 6 passes; 6 to 9 writes (the object, its finalizer, two to four reports with an Event each).
const MOST_PASSES: u64 = 20;
const MOST_WRITES: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_servers_cost_as_many_looks_as_ten() {
    let few = bring_up_and_watch(10).await;
    let many = bring_up_and_watch(500).await;
    assert_eq!(few, many, "requests to the Swarm in each round of looks");
}

/// Brings servers up; gives what each round of looks asks of the Swarm afterwards.
async fn bring_up_and_watch(count: usize) -> BTreeMap<&'static str, u64> {
    let logins: Vec<String> = (0..count.div_ceil(PER_LOGIN)).map(|number| format!("user{number:03}")).collect();
    let logins: Vec<&str> = logins.iter().map(String::as_str).collect();
    let mut stage = Stage::set(machines(), &logins).await;
    stage.create_class(&manifest::class("small")).await;
    stage.start_controllers();
    let (empty, start) = (stage.api.revision(), Instant::now());
    for number in 0..count {
        stage.create_server(&manifest::server(logins[number / PER_LOGIN], &format!("s{number:03}"), "small")).await;
    }
    let made = start.elapsed();
    stage.wait_settled().await;
    println!("{count} servers: made in {made:.1?}, settled after {:.1?}", start.elapsed());
    assert_all_ready(&stage, count).await;
    assert_few_passes(&stage, stage.api.revision() - empty, count);
    let per_tick = watch_settled(&stage).await;
    let looks = stage.fake.requests().of(LOOKS[0]);
    stage.second_pass_does_nothing().await;
    println!("{count} servers: {} rounds of looks for a pass over all", stage.fake.requests().of(LOOKS[0]) - looks);
    per_tick
}

fn assert_few_passes(stage: &Stage, writes: u64, count: usize) {
    let mut passes: Vec<u64> = passes(stage).into_values().collect();
    passes.sort_unstable();
    let (least, median, most) = (passes[0], passes[count / 2], passes[count - 1]);
    let writes = writes.div_ceil(count.try_into().unwrap());
    println!(
        "{count} servers: {least}, {median}, {most} passes each (least, median, most), {writes} writes to the API"
    );
    assert!(most <= MOST_PASSES && writes <= MOST_WRITES);
}

/// As many machines as a site has, and room for all.
fn machines() -> FakeOptions {
    let machines = (1..=18).map(|number| FakeNode::new(&format!("node{number}")).memory(64 << 30));
    FakeOptions { nodes: machines.collect(), ..FakeOptions::default() }
}

async fn assert_all_ready(stage: &Stage, count: usize) {
    let servers = stage.servers().list(&ListParams::default()).await.unwrap();
    let ready = |server| stage::condition(server, condition::READY).is_some_and(|ready| ready.status == "True");
    assert_eq!(servers.iter().filter(|server| ready(server)).count(), count);
}

fn passes(stage: &Stage) -> BTreeMap<String, u64> {
    let entries = stage.journal.entries();
    entries.into_iter().filter(|entry| entry.kind == "NotebookServer").map(|entry| (entry.name, entry.passes)).collect()
}

/// Waits until the last hints are worked off: on a busy machine events of the last reports arrive after everything is settled.
async fn wait_quiet(stage: &Stage) {
    for round in 0.. {
        assert!(round < MOST_UNREST, "servers that are settled are looked at again and again");
        let (before, looks) = (passes(stage), stage.fake.requests().of(LOOKS[0]));
        wait_until("a round of looks", async || (stage.fake.requests().of(LOOKS[0]) > looks + 1).then_some(())).await;
        if passes(stage) == before {
            return;
        }
    }
}

/// Counts over some rounds of a site in which nothing happens.
async fn watch_settled(stage: &Stage) -> BTreeMap<&'static str, u64> {
    wait_quiet(stage).await;
    let revision = stage.api.revision();
    let (before, start, passed) = (stage.fake.requests(), Instant::now(), passes(stage));
    let after = wait_until("some rounds of looks", async || {
        let now = stage.fake.requests();
        (now.of(LOOKS[0]) >= before.of(LOOKS[0]) + TICKS).then_some(now)
    })
    .await;
    assert_eq!(stage.api.revision(), revision, "nothing happened, and yet something was written");
    // A settled server is looked at once a minute.
    let most = 1 + start.elapsed().as_secs() / 60;
    for (name, passes) in passes(stage) {
        assert!(passes <= passed[&name] + most, "{name}: {} passes, then {passes}", passed[&name]);
    }
    per_tick(&before, &after)
}

fn per_tick(before: &Requests, after: &Requests) -> BTreeMap<&'static str, u64> {
    let grown = |kind: &str| after.of(kind) - before.of(kind);
    let ticks = grown(LOOKS[0]);
    let in_looks: u64 = LOOKS.iter().map(|kind| grown(kind)).sum();
    assert_eq!(after.total() - before.total(), in_looks, "something else than looks was asked for");
    // The last round may be under way.
    LOOKS.iter().map(|kind| (*kind, (grown(kind) + ticks / 2) / ticks)).collect()
}
