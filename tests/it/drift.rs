//! What hands change outside is put right, and what the specification changes is carried out.

use crate::fixture::{condition, stage, wait_until};

#[test]
fn a_service_removed_by_hand_comes_back() {
    let stage = stage();
    stage.server("removed", "{class: fake}");
    stage.wait_ready("removed");
    let before = stage.inspect("jns-alice_removed")["ID"].clone();
    stage.site.docker(&["service", "rm", "jns-alice_removed"]).unwrap();
    wait_until("the service to come back", || {
        let services = stage.services("removed");
        (services.len() == 1 && stage.inspect(&services[0])["ID"] != before).then_some(())
    });
    stage.wait_ready("removed");
    stage.delete("removed");
}

#[test]
fn a_hand_edit_is_put_right() {
    let stage = stage();
    stage.server("edited", "{class: fake}");
    stage.wait_ready("edited");
    let edits: [&[&str]; 3] = [&["--limit-memory", "32M"], &["--env-add", "INTRUDER=1"], &["--replicas", "2"]];
    for edit in edits {
        let arguments =
            [&["service", "update", "--detach", "--no-resolve-image"], edit, &["jns-alice_edited"]].concat();
        stage.site.docker(&arguments).unwrap();
        wait_until("the edit to be put right", || {
            // For a moment there is no service: the edited container ends before another one begins.
            stage.services("edited").first()?;
            let spec = &stage.try_inspect("jns-alice_edited")?["Spec"];
            let right = spec["TaskTemplate"]["Resources"]["Limits"]["MemoryBytes"] == 64 << 20
                && !spec["TaskTemplate"]["ContainerSpec"]["Env"].to_string().contains("INTRUDER")
                && spec["Mode"]["Replicated"]["Replicas"] == 1;
            right.then_some(())
        });
        stage.wait_ready("edited");
        wait_until("one container", || (stage.containers("edited").len() == 1).then_some(()));
    }
    stage.delete("edited");
}

#[test]
fn changed_memory_waits_for_the_restart_that_the_user_asks_for() {
    let stage = stage();
    stage.server("grown", "{class: fake}");
    stage.wait_ready("grown");
    let container = stage.containers("grown");
    stage.server("grown", "{class: fake, memory: 96Mi}");
    let words = stage.wait_for("grown", "RestartPending", "True", "SpecChanged");
    assert!(words.contains("memory 64Mi becomes 96Mi"), "{words}");
    assert_eq!(stage.containers("grown"), container, "the container was restarted unasked");
    stage.server("grown", "{class: fake, memory: 96Mi, restartedAt: '2026-11-24T10:00:00Z'}");
    wait_until("the new memory", || (stage.get("grown")["status"]["memory"] == "96Mi").then_some(()));
    stage.wait_ready("grown");
    assert_eq!(condition(&stage.get("grown"), "RestartPending").unwrap()["status"], "False");
    assert_ne!(stage.containers("grown"), container);
    stage.delete("grown");
}

#[test]
fn a_settled_server_is_left_alone_and_nothing_is_written() {
    let stage = stage();
    stage.server("settled", "{class: fake}");
    stage.wait_ready("settled");
    let (object, service) = (stage.get("settled"), stage.inspect("jns-alice_settled"));
    // Hints for everybody: a label on a node changes every picture, and a restart passes over every object.
    for change in [["--label-add", "essaim-test=1"], ["--label-rm", "essaim-test"]] {
        let passes = passes_of(&stage, "settled");
        stage.site.docker(&["node", "update", change[0], change[1], "engine1"]).unwrap();
        wait_until("another pass", || (passes_of(&stage, "settled") > passes).then_some(()));
    }
    assert_eq!(stage.get("settled")["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
    assert_eq!(stage.inspect("jns-alice_settled")["Version"], service["Version"]);
    stage.delete("settled");
}

fn passes_of(stage: &crate::fixture::Stage, name: &str) -> u64 {
    let text = stage.essaim.kubectl(&["get", "--raw", "/essaim/v1/reconciles"]).unwrap();
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    entries.iter().find(|entry| entry["name"] == name).map_or(0, |entry| entry["passes"].as_u64().unwrap())
}

#[test]
fn suspend_takes_the_container_and_resume_brings_it_back() {
    let stage = stage();
    stage.server("paused", "{class: fake}");
    stage.wait_ready("paused");
    stage.server("paused", "{class: fake, suspend: true}");
    stage.wait_for("paused", "Suspended", "True", "SuspendedByRequest");
    stage.wait_for("paused", "Ready", "False", "Suspended");
    assert_eq!(stage.containers("paused"), Vec::<String>::new());
    stage.server("paused", "{class: fake, suspend: false}");
    stage.wait_ready("paused");
    stage.delete("paused");
}

#[test]
fn exit_code_0_suspends_with_the_reason_and_a_failure_is_restarted_a_bounded_number_of_times() {
    let stage = stage();
    stage.server("ended", "{class: fake}");
    stage.wait_ready("ended");
    end_container(&stage, "ended", "0");
    stage.wait_for("ended", "Suspended", "True", "ShutDownInJupyter");
    assert_eq!(stage.get("ended")["spec"]["suspend"], true);
    stage.delete("ended");

    stage.server("broken", "{class: fake, image: broken}");
    let words = wait_until("essaim to give up", || {
        let ready = condition(&stage.get("broken"), "Ready")?;
        let message = ready["message"].as_str()?.to_owned();
        message.contains("given up").then_some(message)
    });
    assert!(words.contains("exit code 3"), "{words}");
    assert_eq!(stage.get("broken")["status"]["restarts"], 3);
    stage.delete("broken");
}

fn end_container(stage: &crate::fixture::Stage, name: &str, code: &str) {
    let filter = format!("label=essaim.dev/owner-name={name}");
    for node in stage.site.nodes().unwrap() {
        let ids = stage.site.docker_on(&node.name, &["ps", "--quiet", "--filter", &filter]).unwrap();
        for id in ids.lines() {
            let command = format!("echo {code} > /tmp/exit");
            stage.site.docker_on(&node.name, &["exec", id, "/bin/sh", "-c", &command]).unwrap();
        }
    }
}
