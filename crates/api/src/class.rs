//! `NotebookClass`: what may be asked for, written by operations.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    quantity::{Cpu, Memory},
    server::EnvVar,
};

/// What a NotebookServer may ask for, and on which machines it runs.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "essaim.dev",
    version = "v1alpha1",
    kind = "NotebookClass",
    plural = "notebookclasses",
    singular = "notebookclass",
    shortname = "nbc",
    category = "essaim",
    derive = "PartialEq",
    doc = "What a NotebookServer may ask for: images, machines, memory, processors, mounts.",
    printcolumn = r#"{"name":"Images","type":"string","description":"Images to choose from","jsonPath":".spec.images[*].name"}"#,
    printcolumn = r#"{"name":"Default memory","type":"string","description":"Memory of a server that names none","jsonPath":".spec.resources.memory.default"}"#,
    printcolumn = r#"{"name":"Max memory","type":"string","description":"The most a server may ask for","jsonPath":".spec.resources.memory.max"}"#,
    printcolumn = r#"{"name":"Age","type":"date","description":"When it was created","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Description","type":"string","description":"What it is for","jsonPath":".spec.description","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
pub struct NotebookClassSpec {
    /// What this class is for, in a sentence for its users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,

    /// The images to choose from; the first is the default.
    #[schemars(length(min = 1, max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub images: Vec<NotebookImage>,

    /// Labels that a Swarm node must carry, such as `usage_type: computing`.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub placement: std::collections::BTreeMap<String, String>,

    /// Bounds and defaults of what a server may ask for.
    #[serde(default)]
    pub resources: ResourceBounds,

    /// Directories of the machines that every server of this class sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["target"]))]
    pub mounts: Vec<Mount>,

    /// Environment variables for every server of this class; a server's own win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,

    /// When a change that needs a new container takes effect.
    #[serde(default)]
    pub update_strategy: UpdateStrategy,

    /// How often a container that ended with an error is started again before essaim gives up and shows the reason.
    #[serde(default = "default_restart_limit")]
    #[schemars(range(min = 0, max = 20))]
    pub restart_limit: i64,
}

/// An image that a server may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotebookImage {
    /// What servers call it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What Docker calls it, such as `registry.example.org/jupyter:2026.11`.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// What is in it, in a sentence for its users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// The program that starts Jupyter; essaim adds the options of Jupyter Server that it needs. `jupyter lab` if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub command: Vec<String>,
}

/// Bounds and defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceBounds {
    /// Memory of a server.
    #[serde(default)]
    pub memory: MemoryBounds,
    /// Processors of a server.
    #[serde(default)]
    pub cpu: CpuBounds,
}

/// Memory that a server may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryBounds {
    /// For a server that names none. 2Gi if absent.
    #[serde(default = "default_memory")]
    pub default: Memory,
    /// The most that may be asked for. No bound if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Memory>,
}

impl Default for MemoryBounds {
    fn default() -> Self {
        Self { default: default_memory(), max: None }
    }
}

/// Processors that a server may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CpuBounds {
    /// For a server that names none. No limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Cpu>,
    /// The most that may be asked for. No bound if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Cpu>,
}

/// A directory of the machine, shown to the container.
///
/// Source and target are templates: `{login}`, `{initial}` (its first letter), `{uid}`, `{gid}`, `{home}`; with `{group}` there is one
/// mount for each of the user's groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Path on the machine, such as `/pbs/home/{initial}/{login}`.
    #[schemars(length(max = 1024), regex(pattern = r"^/"))]
    pub source: String,
    /// Path in the container.
    #[schemars(length(max = 1024), regex(pattern = r"^/"))]
    pub target: String,
    /// True forbids writing.
    #[serde(default)]
    pub read_only: bool,
    /// Whether mounts that appear on the machine later appear in the container too: `rslave` for automounted trees.
    #[serde(default)]
    pub propagation: Propagation,
}

/// Mount propagation, in Docker's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Later mounts do not appear.
    #[default]
    Rprivate,
    /// Later mounts of the machine appear in the container.
    Rslave,
}

/// When a change that needs a new container takes effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpdateStrategy {
    /// When the user asks for a restart; until then the condition RestartPending says what waits.
    #[default]
    OnRestart,
    /// At once.
    Immediate,
}

fn default_memory() -> Memory {
    Memory::from_bytes(2 << 30)
}

fn default_restart_limit() -> i64 {
    3
}
