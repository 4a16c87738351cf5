//! `kill -9` between any two steps of a reconcile: no second service, no orphan.
//!
//! A step ends at a checkpoint of the controllers. The platform is started so that it holds at the Nth checkpoint; there it is killed, started
//! again without holding, and must come to the same end as if nothing had happened.

use std::{fs, time::Duration};

use crate::fixture::{Stage, soak, stage, wait_until};

/// A start passes some eight steps until the service exists, then five for each further look.
const START_STEPS: u64 = 12;
/// An end begins with the look of a restarted platform, then removes service, secret and finalizer in passes of their own.
const END_STEPS: u64 = 22;
/// A life that comes to rest without reaching the step was shorter than that.
const AT_REST: Duration = Duration::from_secs(8);

#[test]
fn killed_at_every_step_of_a_start_there_is_one_service() {
    let mut stage = stage();
    let manifest = stage.folder().join("killed.yaml");
    for step in 1..=soak(START_STEPS, 40) {
        let name = format!("start-{step}");
        fs::write(&manifest, Stage::manifest(&name, "{class: fake}")).unwrap();
        let apply = ["apply", "-f", manifest.to_str().unwrap()];
        let held = kill_at(&mut stage, step, &apply);
        // The client may not have got its answer; applying again is what a person would do.
        stage.essaim.kubectl(&apply).unwrap();
        stage.wait_ready(&name);
        assert_eq!(stage.services(&name).len(), 1, "step {step}: one service");
        assert_eq!(stage.containers(&name).len(), 1, "step {step}: one container");
        stage.delete(&name);
        assert!(held || step > 8, "step {step} was never reached: the checkpoints are gone");
    }
}

#[test]
fn killed_at_every_step_of_an_end_nothing_is_left() {
    let mut stage = stage();
    for step in 1..=soak(END_STEPS, 60) {
        let name = format!("end-{step}");
        stage.server(&name, "{class: fake}");
        stage.wait_ready(&name);
        let delete = ["delete", "nbs", &name, "-n", "alice", "--wait=false"];
        let held = kill_at(&mut stage, step, &delete);
        stage.essaim.kubectl(&[&delete[..], &["--ignore-not-found"]].concat()).unwrap();
        wait_until("the deletion to end", || {
            let shown = stage.essaim.kubectl(&["get", "nbs", &name, "-n", "alice", "--ignore-not-found"]).unwrap();
            shown.is_empty().then_some(())
        });
        assert_eq!(stage.leftovers(&name), Vec::<String>::new(), "step {step}: something is left");
        assert!(held || step > 12, "step {step} was never reached: the checkpoints are gone");
    }
}

/// Starts the platform so that it holds at a step, runs kubectl, kills the platform there (or where it came to rest before), and starts it
/// again. Says whether it was held.
fn kill_at(stage: &mut Stage, step: u64, kubectl: &[&str]) -> bool {
    stage.essaim.kill();
    let seen = log(stage).len();
    stage.essaim.launch(&["--hold-at-step".into(), step.to_string()]).unwrap();
    let is_held = |stage: &Stage| log(stage)[seen..].contains("held here until killed");
    wait_until("the API", || {
        (is_held(stage) || stage.essaim.kubectl(&["get", "--raw", "/readyz", "--request-timeout=2s"]).is_ok())
            .then_some(())
    });
    let mut client = stage.essaim.kubectl_in_background(kubectl).unwrap();
    let end = crate::fixture::now() + AT_REST;
    let held = wait_until("the step", || {
        let held = is_held(stage);
        (held || crate::fixture::now() > end).then_some(held)
    });
    stage.essaim.kill();
    client.wait().unwrap();
    stage.essaim.launch(&[]).unwrap();
    stage.essaim.wait_until_ready().unwrap();
    held
}

fn log(stage: &Stage) -> String {
    fs::read_to_string(stage.essaim.log()).unwrap()
}
