//! Machines that drop off the network, engines that restart: reported, never duplicated.

use crate::fixture::{stage_alone, wait_until};

#[test]
fn a_machine_cut_off_is_reported_and_its_server_never_duplicated() {
    let stage = stage_alone();
    stage.server("cut", "{class: fake}");
    stage.wait_ready("cut");
    let container = stage.containers("cut");
    let node = stage.get("cut")["status"]["node"].as_str().unwrap().to_owned();
    if node == "engine1" {
        // The manager itself: cutting it off is the other test's matter. Move the server by asking for another machine.
        stage.site.docker(&["node", "update", "--availability", "pause", "engine1"]).unwrap();
        stage.server("cut", "{class: fake, restartedAt: '2026-11-24T10:00:00Z'}");
        wait_until("the server to move", || (stage.get("cut")["status"]["node"] != "engine1").then_some(()));
        stage.site.docker(&["node", "update", "--availability", "active", "engine1"]).unwrap();
        stage.wait_ready("cut");
    }
    let container = if node == "engine1" { stage.containers("cut") } else { container };
    let node = stage.get("cut")["status"]["node"].as_str().unwrap().to_owned();
    stage.site.cut(&node).unwrap();
    let words = stage.wait_for("cut", "Ready", "Unknown", "NodeUnreachable");
    assert!(words.contains(&node), "{words}");
    // Even an asked restart waits: the container over there may still run.
    stage.server("cut", "{class: fake, restartedAt: '2026-11-24T11:00:00Z'}");
    wait_until("the new specification to be looked at", || {
        let server = stage.get("cut");
        (server["status"]["observedGeneration"] == server["metadata"]["generation"]).then_some(())
    });
    let everywhere = stage.containers("cut");
    stage.site.heal(&node).unwrap();
    assert_eq!(everywhere, container, "a second container was started");
    stage.wait_ready("cut");
    wait_until("one container", || (stage.containers("cut").len() == 1).then_some(()));
    stage.delete("cut");
}

#[test]
fn an_engine_that_restarts_is_waited_for_and_reported_meanwhile() {
    let stage = stage_alone();
    stage.server("patient", "{class: fake}");
    stage.wait_ready("patient");
    stage.site.kill("engine1").unwrap();
    stage.wait_for("patient", "Ready", "Unknown", "SwarmUnreachable");
    stage.site.start("engine1").unwrap();
    stage.wait_ready("patient");
    wait_until("one container", || (stage.containers("patient").len() == 1).then_some(()));
    assert_eq!(stage.services("patient").len(), 1);
    stage.delete("patient");
}
