//! Faults outside: containers that fail, managers and machines that fall silent.

use std::time::Duration;

use essaim_testkit::{fake_swarm::FakeOptions, manifest};
use jiff::SignedDuration;
use serde_json::json;

use crate::{SERVICE, Stage, condition, site_with_lab};

#[tokio::test]
async fn a_container_that_fails_is_started_again_a_bounded_number_of_times() {
    let mut stage = Stage::set(FakeOptions::default(), &["alice"]).await;
    // The pauses between starts are over before they begin.
    stage.clock.advance(SignedDuration::from_hours(1));
    let mut class = manifest::class("small");
    class.spec.restart_limit = 2;
    stage.create_class(&class).await;
    stage.start_controllers();
    stage.create_server(&manifest::server("alice", "lab", "small")).await;
    for restarts in 0..=2 {
        let ready = |lab: &essaim_api::NotebookServer| {
            lab.status.as_ref().is_some_and(|status| status.restarts == Some(restarts))
                && condition(lab, "Ready").is_some_and(|ready| ready.status == "True")
        };
        stage.wait_lab(&format!("start {restarts}"), ready).await;
        assert!(stage.fake.exit_task(SERVICE, 3));
    }
    let gave_up = |lab: &essaim_api::NotebookServer| {
        condition(lab, "Ready").is_some_and(|ready| ready.message.contains("given up"))
    };
    let lab = stage.wait_lab("essaim to give up", gave_up).await;
    let ready = condition(&lab, "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "ContainerFailed"));
    assert!(ready.message.contains("exit code 3"), "{}", ready.message);
    stage.second_pass_does_nothing().await;
    stage.start_controllers();
    stage.change_lab(json!({ "restartedAt": "2026-01-02T03:04:05Z" })).await;
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_manager_that_stops_is_reported_and_everything_is_as_before_when_it_returns() {
    let mut stage = site_with_lab().await;
    let (service, writes) = (stage.fake.service_spec(SERVICE), stage.swarm_writes());
    stage.fake.stop_manager();
    let lab = stage.wait_for("Ready", "Unknown", "SwarmUnreachable").await;
    assert!(lab.status.unwrap().service.is_some(), "what was known stays");
    // Wanted meanwhile, done afterwards.
    stage.create_server(&manifest::server("alice", "second", "small")).await;
    stage.fake.start_manager().await.unwrap();
    stage.wait_for("Ready", "True", "Serving").await;
    stage.wait_settled().await;
    assert_eq!(stage.fake.service_spec(SERVICE), service);
    assert_eq!(stage.swarm_writes(), writes + 2, "one service and one secret for the second server");
    assert_eq!(stage.fake.service_names().len(), 2);
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_machine_that_falls_silent_is_reported_and_gets_no_second_container() {
    let mut stage = site_with_lab().await;
    let node = stage.lab().await.unwrap().status.unwrap().node.unwrap();
    let writes = stage.swarm_writes();
    stage.fake.set_node_down(&node, true);
    let lab = stage.wait_for("Ready", "Unknown", "NodeUnreachable").await;
    assert!(condition(&lab, "Ready").unwrap().message.contains(&node));
    // Whatever its user asks for, and however long it lasts, nothing is started elsewhere.
    stage.change_lab(json!({ "env": [{ "name": "A", "value": "1" }], "restartedAt": "2026-01-02T03:04:05Z" })).await;
    stage.wait_lab("the change to be seen", |lab| lab.status.as_ref().unwrap().observed_generation == Some(2)).await;
    assert_eq!((stage.swarm_writes(), stage.fake.containers(SERVICE)), (writes, 1));
    stage.second_pass_does_nothing().await;
    stage.start_controllers();
    stage.fake.set_node_down(&node, false);
    let env = "/TaskTemplate/ContainerSpec/Env";
    let changed = |stage: &Stage| {
        let service = stage.fake.service_spec(SERVICE);
        service.is_some_and(|spec| spec.pointer(env).unwrap().as_array().unwrap().contains(&json!("A=1")))
    };
    stage.wait_outside("the change to be made", changed).await;
    stage.settle().await;
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_container_slow_to_stop_is_waited_for() {
    let mut stage = site_with_lab().await;
    stage.fake.configure(|options| options.stop = Duration::from_millis(700));
    stage.change_lab(json!({ "suspend": true })).await;
    stage.wait_for("Suspended", "True", "SuspendedByRequest").await;
    stage.change_lab(json!({ "suspend": false })).await;
    stage.wait_for("Ready", "True", "Serving").await;
    assert_eq!(stage.fake.most_containers(), 1);
    stage.second_pass_does_nothing().await;
}
