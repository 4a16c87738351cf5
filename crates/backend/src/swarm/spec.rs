//! What a Swarm service of ours looks like.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A service with one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its name, deterministic for its owner; at most 63 characters.
    pub name: String,
    /// Labels of the service: changing them restarts nothing.
    pub labels: BTreeMap<String, String>,
    /// Labels of the container, which the machine's own tools see. Changing one restarts the container, so only what is
    /// constant for the owner stands here (its uid, namespace and name).
    pub container_labels: BTreeMap<String, String>,
    /// The image as Docker calls it, without a digest that Docker added.
    pub image: String,
    /// The program; replaces the image's entry point.
    pub command: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment. Invariant: no secret is in it.
    pub env: BTreeMap<String, String>,
    /// Host name of the container.
    pub hostname: String,
    /// Numeric `uid:gid`. Invariant: never root.
    pub user: String,
    /// Supplementary groups, numeric, sorted.
    pub groups: Vec<String>,
    /// Working directory.
    pub working_dir: String,
    /// Directories of the machine, sorted by target.
    pub mounts: Vec<Mount>,
    /// Secrets as files under `/run/secrets`, sorted by file.
    pub secrets: Vec<SecretFile>,
    /// Placement constraints, such as `node.labels.usage_type==computing`, sorted.
    pub constraints: Vec<String>,
    /// Memory limit in bytes; also reserved, so that the Swarm does not overbook a machine.
    pub memory_bytes: Option<i64>,
    /// Processor limit in billionths of a processor.
    pub nano_cpus: Option<i64>,
    /// Overlay networks by name, sorted.
    pub networks: Vec<String>,
    /// A port of the machine that leads to the container.
    pub host_port: Option<HostPort>,
    /// Swarm's counter: raising it starts a new container even if nothing else changed.
    pub force_update: u64,
    /// Settings that a hand edit added and that essaim never makes, by their name in Docker's API; empty in what essaim wants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub foreign: BTreeMap<String, String>,
}

/// A bind mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mount {
    /// Path in the container.
    pub target: String,
    /// Path on the machine.
    pub source: String,
    /// True forbids writing.
    pub read_only: bool,
    /// Whether later mounts of the machine appear.
    pub propagation: Propagation,
}

/// Mount propagation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Docker's default: later mounts do not appear.
    Rprivate,
    /// Later mounts of the machine appear in the container.
    Rslave,
}

/// A secret shown as a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretFile {
    /// File name under `/run/secrets`.
    pub file: String,
    /// Name of the Swarm secret.
    pub secret: String,
    /// Numeric owner of the file.
    pub uid: u32,
    /// Numeric group of the file.
    pub gid: u32,
    /// Permission bits, such as 0o400.
    pub mode: u32,
}

/// A port published on the machine itself (mode `host`), chosen by Docker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// The port in the container.
    pub target: u16,
}
