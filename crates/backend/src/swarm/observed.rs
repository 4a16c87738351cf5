//! What was seen on the Swarm for one owner.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ServiceSpec;

/// One picture. Invariant: it comes from one round of successful looks; a failed round is an error instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// When the round began.
    pub taken_at: Timestamp,
    /// Services that carry the owner's uid, and any other that bears one of the names that the owner's service could have.
    pub services: Vec<Service>,
    /// Tasks whose container carries the owner's uid, whose service is gone, and whose container may still run: being stopped.
    #[serde(default)]
    pub leftover: Vec<Task>,
    /// Secrets that carry the owner's uid.
    pub secrets: Vec<Secret>,
    /// All machines, in the order of their host names.
    pub nodes: Arc<Vec<Node>>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Swarm's id.
    pub id: String,
    /// Swarm's optimistic lock.
    pub version: u64,
    /// What it is.
    pub spec: ServiceSpec,
    /// How the last update went, if there was one.
    #[serde(default)]
    pub update: Option<UpdateStatus>,
    /// Its tasks, newest first. The first is the one that counts.
    pub tasks: Vec<Task>,
}

/// How an update of a service goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// Docker's word: `updating`, `paused`, `completed`, …
    pub state: String,
    /// Docker's sentence.
    pub message: String,
}

/// One attempt to run the service's container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Swarm's id.
    pub id: String,
    /// What it does.
    pub state: TaskState,
    /// Whether the Swarm wants it to run (else it is being stopped or history).
    pub wanted: bool,
    /// id of the machine, once there is one.
    #[serde(default)]
    pub node_id: Option<String>,
    /// When the Swarm made it.
    pub created_at: Timestamp,
    /// When it reached its state.
    pub since: Timestamp,
    /// The Swarm's error, such as `no suitable node (…)` or `invalid mount config …`.
    #[serde(default)]
    pub error: Option<String>,
    /// Exit code of the container, once it ended.
    #[serde(default)]
    pub exit_code: Option<i64>,
    /// Address on the first overlay network, without a prefix length.
    #[serde(default)]
    pub overlay_address: Option<String>,
    /// The port of the machine that leads to the container.
    #[serde(default)]
    pub host_port: Option<u16>,
    /// The service's `force_update` that this task was made for.
    pub force_update: u64,
}

/// A task's state, in Swarm's words and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Just made.
    New,
    /// Networks and addresses are being found for it.
    Allocated,
    /// Waits for a machine.
    Pending,
    /// Has a machine.
    Assigned,
    /// The machine knows.
    Accepted,
    /// Image and mounts are being prepared.
    Preparing,
    /// Could start.
    Ready,
    /// Starts.
    Starting,
    /// The container runs.
    Running,
    /// The container ended with code 0.
    Complete,
    /// The Swarm stopped it.
    Shutdown,
    /// The container ended with an error.
    Failed,
    /// The machine could not start it.
    Rejected,
    /// Being removed with its service.
    Remove,
    /// Its machine has been gone for so long that the Swarm gave it up.
    Orphaned,
}

impl TaskState {
    /// Whether a container may exist and may still come to life or do something.
    pub fn may_run(self) -> bool {
        self <= TaskState::Running
    }
}

/// A secret; its content cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Swarm's id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A machine of the Swarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Swarm's id.
    pub id: String,
    /// Its host name.
    pub hostname: String,
    /// Its address as the manager sees it.
    pub address: String,
    /// Node labels.
    pub labels: BTreeMap<String, String>,
    /// Total memory in bytes.
    pub memory_bytes: i64,
    /// Total processors in billionths.
    pub nano_cpus: i64,
    /// The manager hears from it.
    pub reachable: bool,
    /// It takes new tasks (availability `active`).
    pub schedulable: bool,
}
