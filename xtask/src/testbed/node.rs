//! The Swarm's nodes, as its manager describes them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::docker::Docker;
use crate::error::Error;

/// A machine of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Swarm's identifier.
    pub id: String,
    /// The host name, by which `cut`, `heal`, `kill` and `start` know it.
    pub name: String,
    /// Where its host-mode ports are published.
    pub address: String,
    /// `ready`, `down`, … in Swarm's words.
    pub state: String,
    /// `active`, `pause` or `drain`.
    pub availability: String,
    /// Node labels.
    pub labels: BTreeMap<String, String>,
    /// The UUIDs of its (pretended) GPUs.
    pub gpus: Vec<String>,
}

impl Node {
    pub(crate) fn is_ready(&self) -> bool {
        self.state == "ready"
    }
}

/// All nodes, ordered by name.
pub(crate) fn list(docker: &Docker) -> Result<Vec<Node>, Error> {
    let ids = docker.text(&["node", "ls", "--quiet"])?;
    let inspected: Vec<Inspected> = docker.command(["node", "inspect"]).args(ids.lines()).json()?;
    let mut nodes: Vec<Node> = inspected.into_iter().map(Node::from).collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

impl From<Inspected> for Node {
    fn from(inspected: Inspected) -> Self {
        let Inspected { id, spec, description, status } = inspected;
        let named = description.resources.generic_resources.into_iter().filter_map(|resource| resource.named);
        Self {
            id,
            name: description.hostname,
            address: status.addr,
            state: status.state,
            availability: spec.availability,
            labels: spec.labels,
            gpus: named.filter(|named| named.kind == "GPU").map(|named| named.value).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    #[serde(rename = "ID")]
    id: String,
    spec: Spec,
    description: Description,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    availability: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    hostname: String,
    #[serde(default)]
    resources: Resources,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    #[serde(default)]
    generic_resources: Vec<GenericResource>,
}

#[derive(Deserialize)]
struct GenericResource {
    #[serde(rename = "NamedResourceSpec")]
    named: Option<NamedResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NamedResource {
    kind: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: String,
    addr: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_from_what_docker_inspects() {
        let inspected: Inspected = serde_json::from_value(serde_json::json!({
            "ID": "n2",
            "Spec": { "Labels": { "gpu_model": "K80" }, "Role": "worker", "Availability": "drain" },
            "Description": { "Hostname": "engine2", "Resources": { "NanoCPUs": 2, "GenericResources": [
                { "NamedResourceSpec": { "Kind": "GPU", "Value": "GPU-1" } },
                { "DiscreteResourceSpec": { "Kind": "SSD", "Value": 3 } },
            ] } },
            "Status": { "State": "down", "Addr": "10.0.0.2" },
        }))
        .unwrap();
        let node = Node::from(inspected);
        assert_eq!((node.name.as_str(), node.address.as_str()), ("engine2", "10.0.0.2"));
        assert_eq!((node.state.as_str(), node.availability.as_str()), ("down", "drain"));
        assert_eq!(node.gpus, ["GPU-1"]);
        assert_eq!(node.labels["gpu_model"], "K80");
    }
}
