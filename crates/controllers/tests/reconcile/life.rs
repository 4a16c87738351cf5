//! A server's ordinary life: made, stopped, started, shut down by its user, deleted.

use essaim_api::names::{FINALIZER, field_manager};
use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

use crate::{SERVICE, site, site_with_lab, stage::condition};

#[tokio::test]
async fn a_server_is_made_and_a_second_pass_does_nothing() {
    let mut stage = site_with_lab().await;
    let status = stage.lab().await.unwrap().status.unwrap();
    assert_eq!(status.url.as_deref(), Some("/user/alice/lab/"));
    assert_eq!(status.service.as_deref(), Some(SERVICE));
    assert!(status.addresses.unwrap().host.unwrap().starts_with("127.0.0.1:"));
    assert_eq!((stage.fake.service_names().len(), stage.fake.secret_names().len()), (1, 1));
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn suspend_stops_and_resume_starts_under_the_same_definition() {
    let mut stage = site_with_lab().await;
    stage.change_lab(json!({ "suspend": true })).await;
    stage.wait_for("Ready", "False", "Suspended").await;
    stage.wait_for("Suspended", "True", "SuspendedByRequest").await;
    stage.wait_outside("no service", |stage| stage.fake.service_names().is_empty()).await;
    stage.change_lab(json!({ "suspend": false })).await;
    let lab = stage.wait_for("Ready", "True", "Serving").await;
    assert_eq!(condition(&lab, "Suspended").unwrap().status, "False");
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn shut_down_in_jupyter_suspends_and_says_who_did_it() {
    let mut stage = site_with_lab().await;
    assert!(stage.fake.exit_task(SERVICE, 0));
    let lab = stage.wait_for("Suspended", "True", "ShutDownInJupyter").await;
    assert!(lab.spec.suspend);
    let ours = |entry: &&_| {
        let entry: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry = entry;
        entry.manager.as_deref() == Some(field_manager::NOTEBOOK_SERVER) && entry.subresource.is_none()
    };
    let fields = lab.managed_fields().iter().filter(ours).find_map(|entry| entry.fields_v1.as_ref());
    assert!(fields.unwrap().0.pointer("/f:spec/f:suspend").is_some());
    stage.wait_for("Ready", "False", "Suspended").await;
    // The reason stands in the object itself: it survives the loss of every status, and of the controllers' memory.
    stage.second_pass_does_nothing().await;
    stage.start_controllers();
    stage.change_lab(json!({ "suspend": false })).await;
    stage.wait_for("Ready", "True", "Serving").await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn deleting_leaves_nothing_outside_nor_in_the_journal() {
    let mut stage = site_with_lab().await;
    assert!(stage.lab().await.unwrap().finalizers().iter().any(|finalizer| finalizer == FINALIZER));
    stage.servers_of("alice").delete("lab", &DeleteParams::default()).await.unwrap();
    essaim_testkit::wait_until("the object to go", async || stage.lab().await.is_none().then_some(())).await;
    assert_eq!(stage.fake.service_names().len() + stage.fake.secret_names().len(), 0);
    stage.wait_outside("the journal to forget it", |stage| !stage.remembers("lab")).await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_server_deleted_while_no_controller_ran_is_taken_away_later() {
    let mut stage = site_with_lab().await;
    stage.stop_controllers().await;
    stage.servers_of("alice").delete("lab", &DeleteParams::default()).await.unwrap();
    stage.start_controllers();
    essaim_testkit::wait_until("the object to go", async || stage.lab().await.is_none().then_some(())).await;
    assert_eq!(stage.fake.service_names().len() + stage.fake.secret_names().len(), 0);
    stage.wait_outside("the journal to forget it", |stage| !stage.remembers("lab")).await;
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_server_made_anew_under_an_old_name_gets_a_service_and_a_secret_of_its_own() {
    let mut stage = site_with_lab().await;
    let (old, secrets) = (stage.lab().await.unwrap().uid(), stage.fake.secret_names());
    stage.servers_of("alice").delete("lab", &DeleteParams::default()).await.unwrap();
    essaim_testkit::wait_until("the object to go", async || stage.lab().await.is_none().then_some(())).await;
    stage.create_server(&essaim_testkit::manifest::server("alice", "lab", "small")).await;
    let lab = stage.wait_for("Ready", "True", "Serving").await;
    assert_ne!(lab.uid(), old);
    assert_eq!(stage.fake.secret_names().len(), 1);
    assert_ne!(stage.fake.secret_names(), secrets);
    stage.second_pass_does_nothing().await;
}

#[tokio::test]
async fn a_user_gets_the_role_in_the_own_namespace_and_nobody_else_does() {
    let mut stage = site().await;
    stage.create_namespace("stranger").await;
    stage.directory.add("late");
    stage.create_namespace("late").await;
    for login in ["alice", "late"] {
        essaim_testkit::wait_until("the role", async || stage.role_binding(login).await).await;
    }
    // The directory does not know this one; its pass has ended when the journal says so.
    stage.wait_outside("a pass over the stranger", |stage| stage.remembers("stranger")).await;
    assert!(stage.role_binding("stranger").await.is_none());
    let binding = stage.role_binding("alice").await.unwrap();
    assert_eq!((binding.role_ref.kind.as_str(), binding.role_ref.name.as_str()), ("ClusterRole", "essaim-user"));
    assert_eq!(binding.subjects.unwrap()[0].name, "alice");
    stage.second_pass_does_nothing().await;
}
