//! One picture of the Swarm, indexed so that an owner's share is found without looking at the others'.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use essaim_api::names::label;
use essaim_backend::swarm::{
    Changed, Node, Observed, Owner, Secret, Service, ServiceSpec, Task, TaskState, UpdateStatus,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    from_swarm::{from_swarm, labels},
    nodes::{RawNode, nodes},
    tasks::{RawTask, newest_first, task},
};

/// A picture. Invariant: it comes from one round of successful looks.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    taken_at: Timestamp,
    /// Every service of the Swarm, in the order of names, which are unique.
    services: Vec<Arc<Service>>,
    by_owner: HashMap<String, Share>,
    nodes: Arc<Vec<Node>>,
}

/// What carries one owner's uid.
#[derive(Debug, Default, PartialEq)]
struct Share {
    services: Vec<Arc<Service>>,
    /// Tasks whose service is gone and whose container may still run, newest first.
    leftover: Vec<Task>,
    secrets: Vec<Secret>,
}

/// The answers of one round.
pub(crate) struct Answers {
    pub taken_at: Timestamp,
    pub services: Vec<RawService>,
    pub tasks: Vec<RawTask>,
    pub nodes: Vec<RawNode>,
    pub secrets: Vec<RawSecret>,
}

/// Docker's `Service`; its specification stays raw.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RawService {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) version: RawVersion,
    pub(crate) spec: Value,
    update_status: Option<RawUpdate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RawVersion {
    pub(crate) index: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawUpdate {
    state: String,
    message: String,
}

/// Docker's `Secret`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RawSecret {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) spec: Value,
}

impl RawService {
    /// Ids of the networks that it names.
    pub(crate) fn networks(&self) -> impl Iterator<Item = &str> {
        let networks = self.spec["TaskTemplate"]["Networks"].as_array();
        networks.into_iter().flatten().filter_map(|network| network["Target"].as_str())
    }
}

impl Picture {
    /// Puts the answers together. Services that are as in `previous` are not read again.
    pub(crate) fn new(answers: Answers, networks: &BTreeMap<String, String>, previous: Option<&Picture>) -> Self {
        let Answers { taken_at, services, tasks, nodes: raw_nodes, secrets } = answers;
        let known: HashMap<(&str, u64), &ServiceSpec> = previous
            .iter()
            .flat_map(|picture| &picture.services)
            .map(|service| ((service.id.as_str(), service.version), &service.spec))
            .collect();
        let mut tasks_of = HashMap::<String, Vec<RawTask>>::new();
        for raw in tasks {
            tasks_of.entry(raw.service_id.clone()).or_default().push(raw);
        }
        let mut services: Vec<Arc<Service>> = services
            .into_iter()
            .map(|RawService { id, version: RawVersion { index: version }, spec, update_status }| {
                let spec = known
                    .get(&(id.as_str(), version))
                    .map_or_else(|| from_swarm(&spec, networks), |spec| (*spec).clone());
                let update = update_status
                    .filter(|update| !update.state.is_empty())
                    .map(|RawUpdate { state, message }| UpdateStatus { state, message });
                let mut tasks: Vec<Task> = tasks_of.remove(&id).into_iter().flatten().map(task).collect();
                newest_first(&mut tasks);
                Arc::new(Service { id, version, spec, update, tasks })
            })
            .collect();
        services.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        let by_owner = shares(&services, tasks_of.into_values().flatten(), secrets);
        Picture { taken_at, services, by_owner, nodes: Arc::new(nodes(raw_nodes)) }
    }

    /// What an owner sees, `name` being the name of its service.
    pub(crate) fn observed(&self, owner: &Owner, name: &str) -> Observed {
        let share = self.by_owner.get(&owner.uid);
        let own = share.map(|share| share.services.as_slice()).unwrap_or_default();
        let other = self.named(name).filter(|service| !belongs_to(service, &owner.uid));
        Observed {
            taken_at: self.taken_at,
            services: own.iter().chain(other).map(|service| Service::clone(service)).collect(),
            leftover: share.map(|share| share.leftover.clone()).unwrap_or_default(),
            secrets: share.map(|share| share.secrets.clone()).unwrap_or_default(),
            nodes: Arc::clone(&self.nodes),
        }
    }

    /// The service of this name, whoever made it.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Service>> {
        let index = self.services.binary_search_by(|service| service.spec.name.as_str().cmp(name)).ok()?;
        self.services.get(index)
    }

    /// Whether a container of ours is on its way up or down, so that a picture of a moment later will differ.
    pub(crate) fn is_unsettled(&self) -> bool {
        let shares = self.by_owner.values();
        let mut tasks =
            shares.flat_map(|share| share.services.iter().flat_map(|service| &service.tasks).chain(&share.leftover));
        tasks.any(|task| task.state.may_run() && !(task.wanted && task.state == TaskState::Running))
    }

    /// Whose share differs from an earlier picture.
    pub(crate) fn changed_since(&self, earlier: &Picture) -> Vec<Changed> {
        if self.nodes != earlier.nodes {
            return vec![Changed::Everybody];
        }
        let uids: BTreeSet<&String> = self.by_owner.keys().chain(earlier.by_owner.keys()).collect();
        let differs = |uid: &&&String| self.by_owner.get(**uid) != earlier.by_owner.get(**uid);
        uids.iter().filter(differs).map(|uid| Changed::Owner((*uid).clone())).collect()
    }
}

/// The uid of the owner, as the labels of a service or secret say it.
pub(crate) fn owner_uid(labels: &BTreeMap<String, String>) -> Option<&String> {
    labels.get(label::OWNER_UID)
}

fn belongs_to(service: &Service, uid: &str) -> bool {
    owner_uid(&service.spec.labels).is_some_and(|owner| owner == uid)
}

fn shares(
    services: &[Arc<Service>],
    leftover: impl Iterator<Item = RawTask>,
    secrets: Vec<RawSecret>,
) -> HashMap<String, Share> {
    let mut shares = HashMap::<String, Share>::new();
    for service in services {
        if let Some(uid) = owner_uid(&service.spec.labels) {
            shares.entry(uid.clone()).or_default().services.push(Arc::clone(service));
        }
    }
    for raw in leftover {
        if let Some(uid) = raw.container_label(label::OWNER_UID).cloned() {
            let task = task(raw);
            if task.state.may_run() {
                shares.entry(uid).or_default().leftover.push(task);
            }
        }
    }
    for RawSecret { id, spec } in secrets {
        if let Some(uid) = owner_uid(&labels(&spec["Labels"])) {
            let name = spec["Name"].as_str().unwrap_or_default().to_owned();
            shares.entry(uid.clone()).or_default().secrets.push(Secret { id, name });
        }
    }
    for share in shares.values_mut() {
        newest_first(&mut share.leftover);
        share.secrets.sort_by(|a, b| a.name.cmp(&b.name));
    }
    shares
}
