//! The reconcilers between an API and a Swarm: every test ends with controllers that know nothing, look at everything, and write nothing.
//!
//! The API is the real server in this process; the Swarm is a fake behind Docker's HTTP API, with essaim's own client in between.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "part of tests, which tell by panicking")]

mod controllers;
mod drift;
mod leader;
mod life;
mod refusals;
#[path = "../support/stage.rs"]
mod stage;
mod trouble;

use essaim_api::{NotebookClass, NotebookServer, names};
use essaim_testkit::{fake_swarm::FakeOptions, manifest, wait_until};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use stage::{Stage, condition};

/// The name of alice's service for her server `lab`.
const SERVICE: &str = "jns-alice_lab";

/// A site with the class `small`, the user alice and running controllers.
async fn site() -> Stage {
    let mut stage = Stage::set(FakeOptions::default(), &["alice"]).await;
    stage.create_class(&manifest::class("small")).await;
    stage.start_controllers();
    stage
}

/// The same with alice's server `lab`, which is Ready.
async fn site_with_lab() -> Stage {
    let stage = site().await;
    stage.create_server(&manifest::server("alice", "lab", "small")).await;
    stage.wait_for("Ready", "True", "Serving").await;
    stage
}

impl Stage {
    /// alice's server `lab`, if it exists.
    async fn lab(&self) -> Option<NotebookServer> {
        self.servers_of("alice").get_opt("lab").await.unwrap()
    }

    /// Changes alice's server `lab` as somebody.
    async fn patch_lab_as(&self, manager: &str, patch: Value) {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        self.servers_of("alice").patch("lab", &params, &Patch::Merge(patch)).await.unwrap();
    }

    /// Changes the specification of alice's server `lab` as its user.
    async fn change_lab(&self, spec: Value) {
        self.patch_lab_as("kubectl", json!({ "spec": spec })).await;
    }

    /// Changes a class.
    async fn patch_class(&self, name: &str, patch: Value) {
        let classes = Api::<NotebookClass>::all(self.api.admin());
        classes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// What gives a login the user's role in the own namespace.
    async fn role_binding(&self, login: &str) -> Option<RoleBinding> {
        let bindings = Api::<RoleBinding>::namespaced(self.api.admin(), login);
        bindings.get_opt(names::USER_ROLE_BINDING).await.unwrap()
    }

    /// Whether the controllers remember an object of this name.
    fn remembers(&self, name: &str) -> bool {
        self.journal.entries().iter().any(|entry| entry.name == name)
    }

    /// Waits until a condition of alice's server `lab` has this status and reason; gives the server.
    async fn wait_for(&self, kind: &str, status: &str, reason: &str) -> NotebookServer {
        self.wait_lab(&format!("{kind}={status} {reason}"), |lab| {
            condition(lab, kind).is_some_and(|found| found.status == status && found.reason == reason)
        })
        .await
    }

    /// Waits until this is so of alice's server `lab`; gives the server.
    async fn wait_lab(&self, what: &str, fits: impl Fn(&NotebookServer) -> bool) -> NotebookServer {
        wait_until(what, async || self.lab().await.filter(|lab| fits(lab))).await
    }

    /// Waits until controllers that remember nothing find nothing to do: what was done by hand a moment ago, and not noticed yet, is not missed.
    async fn settle(&mut self) {
        self.stop_controllers().await;
        self.start_controllers();
        self.wait_settled().await;
    }

    /// Waits until this is so of the world outside.
    async fn wait_outside(&self, what: &str, fits: impl Fn(&Self) -> bool) {
        wait_until(what, async || fits(self).then_some(())).await;
    }
}
