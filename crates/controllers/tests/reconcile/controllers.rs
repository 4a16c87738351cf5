//! The controllers themselves: refused writes, panics, a restarted API.

use std::sync::atomic::Ordering;

use essaim_controllers::Outcome;
use essaim_testkit::manifest;
use http::{Method, StatusCode};
use kube::api::DeleteParams;

use crate::{SERVICE, Stage, site, site_with_lab};

/// Refuses every write of a report.
fn no_reports(method: &Method, path: &str) -> Option<StatusCode> {
    (method == Method::PATCH && path.ends_with("/status")).then_some(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Refuses everything but reports.
fn no_finalizers(method: &Method, path: &str) -> Option<StatusCode> {
    (method == Method::PATCH && path.ends_with("/notebookservers/lab")).then_some(StatusCode::CONFLICT)
}

/// Refuses to tell about classes.
fn no_classes(method: &Method, path: &str) -> Option<StatusCode> {
    (method == Method::GET && path.ends_with("/notebookclasses/small")).then_some(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Stage {
    /// Waits until passes over alice's server `lab` failed so often in a row; gives the words of the last failure.
    async fn wait_failures(&self, times: u32) -> String {
        essaim_testkit::wait_until("failed passes", async || {
            let entries = self.journal.entries();
            let entry = entries.into_iter().find(|entry| entry.name == "lab" && entry.failures >= times)?;
            let Outcome::Failed(words) = entry.outcome else { return None };
            Some(words)
        })
        .await
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_written_is_tried_again_and_what_was_made_is_made_once() {
    let mut stage = site().await;
    stage.api.refuse(Some(no_reports));
    stage.create_server(&manifest::server("alice", "lab", "small")).await;
    assert!(stage.wait_failures(3).await.contains("cannot write the status"));
    assert_eq!((stage.fake.service_names().len(), stage.fake.requests().of("create service")), (1, 1));
    stage.api.refuse(None);
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn nothing_is_made_before_the_finalizer_is_on() {
    let mut stage = site().await;
    stage.api.refuse(Some(no_finalizers));
    stage.create_server(&manifest::server("alice", "lab", "small")).await;
    assert!(stage.wait_failures(3).await.contains("cannot write the finalizer"));
    assert_eq!(stage.swarm_writes(), 0);
    stage.api.refuse(None);
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn an_object_that_goes_without_a_last_pass_is_forgotten() {
    let mut stage = site().await;
    stage.api.refuse(Some(no_finalizers));
    stage.create_server(&manifest::server("alice", "lab", "small")).await;
    stage.wait_failures(1).await;
    // Without a finalizer it goes at once, and nobody announces it.
    stage.servers_of("alice").delete("lab", &DeleteParams::default()).await.unwrap();
    assert!(stage.lab().await.is_none());
    stage.wait_outside("the journal to forget it", |stage| !stage.remembers("lab")).await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_class_that_cannot_be_read_is_not_a_missing_class() {
    let mut stage = site_with_lab().await;
    stage.stop_controllers().await;
    stage.api.refuse(Some(no_classes));
    let revision = stage.api.revision();
    stage.start_controllers();
    assert!(stage.wait_failures(2).await.contains("cannot read the class"));
    assert_eq!(stage.api.revision(), revision, "nothing is known, so nothing is reported");
    assert_eq!(stage.fake.containers(SERVICE), 1);
    stage.api.refuse(None);
    stage.wait_settled().await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_pass_that_panics_is_a_failed_pass_and_the_controller_goes_on() {
    let mut stage = site().await;
    stage.panic_once.store(true, Ordering::SeqCst);
    stage.create_server(&manifest::server("alice", "lab", "small")).await;
    stage.wait_for("Ready", "True", "Serving").await;
    assert!(!stage.panic_once.load(Ordering::SeqCst), "no pass panicked");
    stage.create_server(&manifest::server("alice", "second", "small")).await;
    stage.wait_settled().await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn an_api_server_that_restarts_is_found_again() {
    let mut stage = site_with_lab().await;
    stage.api.restart().await;
    stage.create_server(&manifest::server("alice", "second", "small")).await;
    stage.wait_settled().await;
    stage.servers_of("alice").delete("lab", &DeleteParams::default()).await.unwrap();
    essaim_testkit::wait_until("the object to go", async || stage.lab().await.is_none().then_some(())).await;
    assert_eq!(stage.fake.service_names(), ["jns-alice_second"]);
    stage.second_pass_does_nothing().await;
}
