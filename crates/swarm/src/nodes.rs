//! Machines of the Swarm.

use std::collections::BTreeMap;

use essaim_backend::swarm::Node;
use serde::Deserialize;

/// The parts of Docker's `Node` that matter here; all may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RawNode {
    #[serde(rename = "ID")]
    id: String,
    spec: RawSpec,
    description: RawDescription,
    status: RawStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawSpec {
    labels: Option<BTreeMap<String, String>>,
    availability: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawDescription {
    hostname: String,
    resources: RawResources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawResources {
    memory_bytes: i64,
    #[serde(rename = "NanoCPUs")]
    nano_cpus: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawStatus {
    state: String,
    addr: String,
}

/// All machines in the order of their host names.
pub(crate) fn nodes(raw: Vec<RawNode>) -> Vec<Node> {
    let mut nodes: Vec<Node> = raw.into_iter().map(node).collect();
    nodes.sort_by(|a, b| (&a.hostname, &a.id).cmp(&(&b.hostname, &b.id)));
    nodes
}

fn node(raw: RawNode) -> Node {
    let RawNode { id, spec, description, status } = raw;
    Node {
        id,
        hostname: description.hostname,
        address: status.addr,
        labels: spec.labels.unwrap_or_default(),
        memory_bytes: description.resources.memory_bytes,
        nano_cpus: description.resources.nano_cpus,
        reachable: status.state == "ready",
        schedulable: spec.availability == "active",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_as_docker_writes_it() {
        let raw = serde_json::json!([{
            "ID": "n2",
            "Spec": { "Labels": { "usage_type": "computing" }, "Role": "worker", "Availability": "drain" },
            "Description": { "Hostname": "engine2", "Resources": { "NanoCPUs": 2_000_000_000_i64, "MemoryBytes": 1024 } },
            "Status": { "State": "down", "Message": "heartbeat failure", "Addr": "10.77.0.12" },
        }, { "ID": "n1", "Spec": { "Labels": null, "Availability": "active" }, "Description": { "Hostname": "engine1" }, "Status": { "State": "ready" } }]);
        let nodes = nodes(serde_json::from_value(raw).unwrap());
        assert_eq!(nodes.iter().map(|node| node.hostname.as_str()).collect::<Vec<_>>(), ["engine1", "engine2"]);
        let expected = Node {
            id: "n2".into(),
            hostname: "engine2".into(),
            address: "10.77.0.12".into(),
            labels: [("usage_type".to_owned(), "computing".to_owned())].into(),
            memory_bytes: 1024,
            nano_cpus: 2_000_000_000,
            reachable: false,
            schedulable: false,
        };
        assert_eq!(nodes.get(1), Some(&expected));
        assert!(nodes.first().is_some_and(|node| node.reachable && node.schedulable));
    }
}
