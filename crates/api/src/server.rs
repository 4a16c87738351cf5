//! `NotebookServer`: one Jupyter server of one user.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::{Cpu, Memory};

/// A Jupyter server: what its user asks for. It lives in the namespace that bears the user's login.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "essaim.dev",
    version = "v1alpha1",
    kind = "NotebookServer",
    plural = "notebookservers",
    singular = "notebookserver",
    shortname = "nbs",
    category = "all",
    category = "essaim",
    namespaced,
    status = "NotebookServerStatus",
    derive = "PartialEq",
    doc = "A Jupyter server of one user, in the namespace that bears the user's login.",
    validation = Rule::new("self.metadata.name.size() <= 40").message("the name is longer than the 40 characters that Docker Swarm leaves for it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message("the name must be lower case letters, digits and hyphens, because it becomes part of an address and of a Docker Swarm service name"),
    printcolumn = r#"{"name":"Ready","type":"string","description":"Does Jupyter answer?","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","description":"Why it is ready or not","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Class","type":"string","description":"Its NotebookClass","jsonPath":".spec.class"}"#,
    printcolumn = r#"{"name":"Memory","type":"string","description":"Memory limit of the container","jsonPath":".status.memory"}"#,
    printcolumn = r#"{"name":"Node","type":"string","description":"The machine it runs on","jsonPath":".status.node"}"#,
    printcolumn = r#"{"name":"Age","type":"date","description":"When it was created","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"URL","type":"string","description":"Path behind the gateway","jsonPath":".status.url","priority":1}"#,
    printcolumn = r#"{"name":"Restarts","type":"integer","description":"Starts after a failure","jsonPath":".status.restarts","priority":1}"#,
    printcolumn = r#"{"name":"Message","type":"string","description":"The reason in words","jsonPath":".status.conditions[?(@.type==\"Ready\")].message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
pub struct NotebookServerSpec {
    /// Name of the NotebookClass that says what may be asked for and where the server runs.
    // The name becomes part of a path that the controllers ask for, so it must be a name.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub class: String,

    /// Name of one of the class's images. The class's first image if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub image: Option<String>,

    /// Memory limit of the container, within the bounds of the class. The class's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,

    /// Processor limit of the container, within the bounds of the class. The class's default, or no limit, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,

    /// Environment variables for the container. They are visible to operations staff: put no secret here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,

    /// True stops the server and keeps its definition; false starts it again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,

    /// Asks for a restart: any new time starts the container anew, with the specification as it is then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Time>,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!self.name.startsWith('JUPYTER_TOKEN')", "message": "essaim sets the token itself"},
    // With `swarm-resource` in its configuration, NVIDIA's runtime obeys these before NVIDIA_VISIBLE_DEVICES.
    {"rule": "!self.name.startsWith('DOCKER_RESOURCE_')", "message": "essaim grants GPUs itself"}
]))]
pub struct EnvVar {
    /// Its name: letters, digits and underscores.
    #[schemars(length(max = 256), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Its value.
    #[serde(default)]
    #[schemars(length(max = 32768))]
    pub value: String,
}

/// What essaim last saw of a server. It is a report: deleting it loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotebookServerStatus {
    /// The generation of the specification that this report is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Scheduled, Ready, Suspended, RestartPending: each with a reason and a sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// Path of the server behind the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// Host name of the machine that the container runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,

    /// Name of the Swarm service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,

    /// Where the gateway reaches Jupyter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Addresses>,

    /// Memory limit of the running container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,

    /// How often the container was started again after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<i64>,

    /// When the running container started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
}

/// Where Jupyter listens, as `host:port`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// For a gateway on a host: the machine's address and the published port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// For a gateway on the overlay network: the container's address there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
