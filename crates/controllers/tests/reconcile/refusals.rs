//! What cannot be carried out says why, touches nothing, and comes up once the cause is gone.

use essaim_testkit::manifest;
use serde_json::json;

use crate::{SERVICE, condition, site};

#[tokio::test]
async fn an_unknown_class_is_named_and_the_server_starts_when_it_comes() {
    let mut stage = site().await;
    stage.create_server(&manifest::server("alice", "lab", "large")).await;
    let lab = stage.wait_for("Ready", "False", "ClassNotFound").await;
    assert!(condition(&lab, "Ready").unwrap().message.contains("\"large\""));
    assert_eq!(stage.fake.service_names().len(), 0);
    stage.create_class(&manifest::class("large")).await;
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn an_unknown_login_gets_no_container() {
    let mut stage = site().await;
    stage.create_namespace("mallory").await;
    stage.create_server(&manifest::server("mallory", "lab", "small")).await;
    let refused = essaim_testkit::wait_until("the refusal", async || {
        let server = stage.servers_of("mallory").get("lab").await.unwrap();
        condition(&server, "Ready").filter(|ready| ready.reason == "UnknownLogin").cloned()
    })
    .await;
    assert!(refused.message.contains("unknown login") && refused.message.contains("mallory"));
    assert_eq!(stage.fake.service_names().len() + stage.fake.secret_names().len(), 0);
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_directory_that_falls_silent_stops_nobody() {
    let mut stage = crate::site_with_lab().await;
    stage.directory.set_silent(true);
    stage.patch_class("small", json!({ "spec": { "description": "changed" } })).await;
    let lab = stage.wait_for("RestartPending", "True", "DirectoryUnavailable").await;
    assert_eq!(condition(&lab, "Ready").unwrap().status, "True");
    assert_eq!(stage.fake.containers(SERVICE), 1);
    stage.directory.set_silent(false);
    stage.patch_class("small", json!({ "spec": { "description": "changed again" } })).await;
    stage.wait_for("RestartPending", "False", "UpToDate").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_name_that_something_else_bears_is_not_touched_and_taken_when_free() {
    let mut stage = site().await;
    let foreign = json!({
        "Name": SERVICE, "Mode": { "Replicated": { "Replicas": 1 } },
        "TaskTemplate": { "ContainerSpec": { "Image": "somebody-else:1" } },
    });
    stage.fake.create_service(foreign).unwrap();
    let before = stage.fake.service_spec(SERVICE);
    stage.create_server(&manifest::server("alice", "lab", "small")).await;
    stage.wait_for("Ready", "False", "NameTaken").await;
    assert_eq!(stage.fake.service_spec(SERVICE), before);
    assert!(stage.fake.remove_service(SERVICE));
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}
