//! What is not as it should be comes back: services, settings, reports, classes.

use essaim_api::UpdateStrategy;
use essaim_testkit::{fake_swarm::FakeOptions, manifest};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{SERVICE, Stage, condition, site_with_lab};

const IMAGE: &str = "/TaskTemplate/ContainerSpec/Image";
const MEMORY: &str = "/TaskTemplate/Resources/Limits/MemoryBytes";

impl Stage {
    /// What the service of alice's server `lab` says at this place.
    fn says(&self, pointer: &str) -> Option<serde_json::Value> {
        self.fake.service_spec(SERVICE)?.pointer(pointer).cloned()
    }
}

#[tokio::test]
async fn a_service_removed_by_hand_returns() {
    let mut stage = site_with_lab().await;
    let started = stage.lab().await.unwrap().status.unwrap().started_at;
    assert!(stage.fake.remove_service(SERVICE));
    stage.wait_outside("the service", |stage| stage.fake.service_spec(SERVICE).is_some()).await;
    stage.settle().await;
    stage.wait_for("Ready", "True", "Serving").await;
    assert!(stage.lab().await.unwrap().status.unwrap().started_at >= started);
    assert_eq!(stage.fake.containers(SERVICE), 1);
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_hand_edit_is_put_right() {
    let mut stage = site_with_lab().await;
    assert!(stage.fake.edit_service(SERVICE, |spec| *spec.pointer_mut(IMAGE).unwrap() = json!("other:9")));
    stage.wait_outside("the image", |stage| stage.says(IMAGE) == Some(json!("base:1"))).await;
    stage.settle().await;
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_report_deleted_by_hand_is_written_again() {
    let mut stage = site_with_lab().await;
    let before = stage.lab().await.unwrap().status.unwrap();
    // What `kubectl patch --subresource=status` does.
    let emptied = Patch::Merge(json!({ "status": null }));
    stage.servers_of("alice").patch_status("lab", &PatchParams::default(), &emptied).await.unwrap();
    let lab = stage.wait_for("Ready", "True", "Serving").await;
    let after = lab.status.unwrap();
    assert_eq!((after.service, after.addresses, after.node), (before.service, before.addresses, before.node));
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_change_of_the_class_waits_for_a_restart() {
    let mut stage = site_with_lab().await;
    let class = json!({ "spec": { "resources": { "memory": { "default": "96Mi" } } } });
    stage.patch_class("small", class).await;
    let lab = stage.wait_for("RestartPending", "True", "SpecChanged").await;
    assert!(condition(&lab, "RestartPending").unwrap().message.contains("memory 64Mi becomes 96Mi"));
    assert_eq!(condition(&lab, "Ready").unwrap().status, "True");
    assert_eq!(stage.says(MEMORY), Some(json!(64 << 20)));
    stage.change_lab(json!({ "restartedAt": "2026-01-02T03:04:05Z" })).await;
    stage.wait_outside("the new memory", |stage| stage.says(MEMORY) == Some(json!(96 << 20))).await;
    stage.wait_for("RestartPending", "False", "UpToDate").await;
    stage.settle().await;
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_class_may_have_its_changes_done_at_once() {
    let mut stage = Stage::set(FakeOptions::default(), &["alice"]).await;
    let mut class = manifest::class("small");
    class.spec.update_strategy = UpdateStrategy::Immediate;
    stage.create_class(&class).await;
    stage.start_controllers();
    stage.create_server(&manifest::server("alice", "lab", "small")).await;
    stage.wait_for("Ready", "True", "Serving").await;
    stage.patch_class("small", json!({ "spec": { "env": [{ "name": "COLOUR", "value": "blue" }] } })).await;
    let blue = |stage: &Stage| {
        let env = stage.says("/TaskTemplate/ContainerSpec/Env");
        env.is_some_and(|env| env.as_array().unwrap().contains(&json!("COLOUR=blue")))
    };
    stage.wait_outside("the new environment", blue).await;
    stage.settle().await;
    stage.wait_for("Ready", "True", "Serving").await;
    assert_eq!(condition(&stage.lab().await.unwrap(), "RestartPending").unwrap().status, "False");
    stage.second_pass_does_nothing().await;
}
