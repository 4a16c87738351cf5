//! What hands do to the Swarm is seen.

use essaim_backend::swarm::{Action, Error, Service, ServiceSpec, Swarm};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Case, Hands, Site};
use crate::fake_swarm::FakeSwarm;

/// A change that somebody makes, and whether a specification has a word for it (else it must show up as foreign under this path).
struct Edit {
    path: Option<&'static str>,
    edit: fn(&mut Value),
}

const EDITS: [Edit; 15] = [
    Edit { path: None, edit: |spec| spec["Labels"]["extra"] = json!("label") },
    Edit { path: None, edit: |spec| spec["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["HOME=/elsewhere"]) },
    Edit { path: None, edit: |spec| spec["TaskTemplate"]["ContainerSpec"]["User"] = json!("0:0") },
    Edit { path: None, edit: |spec| spec["TaskTemplate"]["Placement"]["Constraints"] = json!(["node.role==manager"]) },
    Edit {
        path: Some("TaskTemplate.Resources.Reservations.MemoryBytes"),
        edit: |spec| spec["TaskTemplate"]["Resources"]["Reservations"]["MemoryBytes"] = json!(8 << 20),
    },
    Edit {
        path: Some("TaskTemplate.Resources.Limits.Pids"),
        edit: |spec| spec["TaskTemplate"]["Resources"]["Limits"]["Pids"] = json!(100),
    },
    Edit {
        path: Some("TaskTemplate.ContainerSpec.CapabilityAdd"),
        edit: |spec| spec["TaskTemplate"]["ContainerSpec"]["CapabilityAdd"] = json!(["CAP_SYS_PTRACE"]),
    },
    Edit {
        path: Some("TaskTemplate.ContainerSpec.CapabilityDrop"),
        edit: |spec| spec["TaskTemplate"]["ContainerSpec"]["CapabilityDrop"] = json!([]),
    },
    Edit {
        path: Some("TaskTemplate.ContainerSpec.Sysctls.net.ipv4.ip_unprivileged_port_start"),
        edit: |spec| {
            spec["TaskTemplate"]["ContainerSpec"]["Sysctls"] = json!({ "net.ipv4.ip_unprivileged_port_start": "0" });
        },
    },
    Edit {
        path: Some("TaskTemplate.ContainerSpec.Hosts"),
        edit: |spec| spec["TaskTemplate"]["ContainerSpec"]["Hosts"] = json!(["10.0.0.1 elsewhere"]),
    },
    Edit {
        path: Some("TaskTemplate.ContainerSpec.Healthcheck.Test"),
        edit: |spec| spec["TaskTemplate"]["ContainerSpec"]["Healthcheck"] = json!({ "Test": ["NONE"] }),
    },
    Edit {
        path: Some("TaskTemplate.RestartPolicy.Condition"),
        edit: |spec| spec["TaskTemplate"]["RestartPolicy"]["Condition"] = json!("any"),
    },
    Edit { path: Some("Mode.Replicated.Replicas"), edit: |spec| spec["Mode"]["Replicated"]["Replicas"] = json!(0) },
    Edit { path: Some("UpdateConfig.Order"), edit: |spec| spec["UpdateConfig"]["Order"] = json!("start-first") },
    Edit {
        path: Some("TaskTemplate.LogDriver.Name"),
        edit: |spec| spec["TaskTemplate"]["LogDriver"] = json!({ "Name": "json-file" }),
    },
];

pub(super) async fn every_hand_edit_is_seen_and_can_be_undone(swarm: &impl Swarm, site: &Site<'_>) {
    let case = Case::new(swarm, site, "edited");
    let spec = ServiceSpec { memory_bytes: Some(32 << 20), ..case.plain(site) };
    case.apply(Action::CreateService(Box::new(spec.clone()))).await;
    for Edit { path, edit } in EDITS {
        site.hands.edit(&spec.name, edit).await;
        let edited = case
            .eventually("the hand edit", |observed| {
                observed.services.first().filter(|service| service.spec != spec).cloned()
            })
            .await;
        let found: Vec<&str> = edited.spec.foreign.keys().map(String::as_str).collect();
        assert_eq!(found, path.into_iter().collect::<Vec<_>>(), "{:#?}", edited.spec);
        put_right(&case, edited, &spec).await;
    }
    let service = case.service().await;
    case.apply(Action::RemoveService { id: service.id }).await;
    case.eventually("the end of the container", |observed| observed.leftover.is_empty().then_some(())).await;
}

/// Swarm itself raises a service's version while an update goes on, so putting right may take several looks.
async fn put_right<S: Swarm>(case: &Case<'_, S>, mut edited: Service, spec: &ServiceSpec) {
    loop {
        let update =
            Action::UpdateService { id: edited.id.clone(), version: edited.version, spec: Box::new(spec.clone()) };
        match case.swarm.apply(&case.owner, &update).await {
            Ok(()) => break,
            Err(Error::Conflict { .. }) => edited = case.service().await,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(case.service().await.spec, *spec, "the hand edit is undone");
}

pub(super) async fn a_service_of_somebody_else_is_shown_and_never_taken(swarm: &impl Swarm, site: &Site<'_>) {
    let case = Case::new(swarm, site, "squatted");
    let raw = json!({
        "Name": case.name(),
        "TaskTemplate": { "ContainerSpec": { "Image": site.image, "Command": ["sleep", "1000"] } },
        "Mode": { "Global": {} },
        "EndpointSpec": { "Mode": "dnsrr" },
    });
    site.hands.create(raw).await;
    let seen = case.eventually("the other's service", |observed| observed.services.first().cloned()).await;
    assert_eq!(seen.spec.name, case.name());
    assert!(seen.spec.labels.is_empty() && !seen.spec.foreign.is_empty(), "{seen:#?}");
    let create = Action::CreateService(Box::new(case.plain(site)));
    assert!(matches!(case.refusal(create.clone()).await, Error::NameTaken { .. }));
    assert_eq!(case.service().await.version, seen.version, "it was not touched");
    site.hands.remove(&case.name()).await;
    case.eventually("the free name", |observed| observed.services.is_empty().then_some(())).await;
    case.apply(create).await;
    let service = case.service().await;
    case.apply(Action::RemoveService { id: service.id }).await;
}

impl Hands for FakeSwarm {
    fn edit<'a>(&'a self, service: &'a str, edit: fn(&mut Value)) -> BoxFuture<'a, ()> {
        assert!(self.edit_service(service, edit), "no service {service}");
        Box::pin(std::future::ready(()))
    }

    fn create(&self, spec: Value) -> BoxFuture<'_, ()> {
        self.create_service(spec).expect("the fake takes the service");
        Box::pin(std::future::ready(()))
    }

    fn remove<'a>(&'a self, service: &'a str) -> BoxFuture<'a, ()> {
        assert!(self.remove_service(service), "no service {service}");
        Box::pin(std::future::ready(()))
    }
}
