//! Tasks: attempts to run a service's container.

use std::collections::BTreeMap;

use essaim_backend::swarm::{Task, TaskState};
use jiff::Timestamp;
use serde::Deserialize;

/// The parts of Docker's `Task` that matter here; all may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RawTask {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "ServiceID")]
    pub(crate) service_id: String,
    #[serde(rename = "NodeID")]
    node_id: String,
    created_at: Timestamp,
    spec: RawSpec,
    status: RawStatus,
    desired_state: String,
    networks_attachments: Option<Vec<RawAttachment>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawSpec {
    container_spec: RawContainerSpec,
    force_update: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawContainerSpec {
    labels: Option<BTreeMap<String, String>>,
}

impl RawTask {
    /// A label of its container; the only one of a task that outlives the service.
    pub(crate) fn container_label(&self, label: &str) -> Option<&String> {
        self.spec.container_spec.labels.as_ref()?.get(label)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawStatus {
    timestamp: Timestamp,
    state: String,
    err: String,
    container_status: Option<RawContainer>,
    port_status: RawPorts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawContainer {
    exit_code: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawPorts {
    ports: Option<Vec<RawPort>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawPort {
    published_port: u16,
    publish_mode: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawAttachment {
    addresses: Option<Vec<String>>,
}

/// The task as the backend trait shows it.
pub(crate) fn task(raw: RawTask) -> Task {
    let RawTask { id, service_id: _, node_id, created_at, spec, status, desired_state, networks_attachments } = raw;
    let RawStatus { timestamp, state, err, container_status, port_status } = status;
    let state = task_state(&state);
    let ended = matches!(state, TaskState::Complete | TaskState::Shutdown | TaskState::Failed);
    Task {
        id,
        state,
        wanted: task_state(&desired_state) <= TaskState::Running,
        node_id: some(node_id),
        created_at,
        since: timestamp,
        error: some(err),
        exit_code: container_status.filter(|_| ended).map(|container| container.exit_code),
        overlay_address: networks_attachments.into_iter().flatten().find_map(first_address),
        host_port: port_status.ports.into_iter().flatten().find_map(|port| published(&port)),
        force_update: spec.force_update,
    }
}

/// Newest first. Of two made in the same instant the one that is wanted counts.
pub(crate) fn newest_first(tasks: &mut [Task]) {
    tasks.sort_by(|a, b| (b.created_at, b.wanted, &b.id).cmp(&(a.created_at, a.wanted, &a.id)));
}

/// Docker's word. One that we do not know belongs to a future engine; as `new` it may still run, which is the careful reading.
fn task_state(word: &str) -> TaskState {
    match word {
        "allocated" => TaskState::Allocated,
        "pending" => TaskState::Pending,
        "assigned" => TaskState::Assigned,
        "accepted" => TaskState::Accepted,
        "preparing" => TaskState::Preparing,
        "ready" => TaskState::Ready,
        "starting" => TaskState::Starting,
        "running" => TaskState::Running,
        "complete" => TaskState::Complete,
        "shutdown" => TaskState::Shutdown,
        "failed" => TaskState::Failed,
        "rejected" => TaskState::Rejected,
        "remove" => TaskState::Remove,
        "orphaned" => TaskState::Orphaned,
        _ => TaskState::New,
    }
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn first_address(attachment: RawAttachment) -> Option<String> {
    let address = attachment.addresses?.into_iter().next()?;
    Some(address.split_once('/').map_or(address.as_str(), |(address, _prefix)| address).to_owned())
}

fn published(port: &RawPort) -> Option<u16> {
    (port.publish_mode == "host" && port.published_port != 0).then_some(port.published_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: serde_json::Value) -> Task {
        task(serde_json::from_value(raw).unwrap())
    }

    #[test]
    fn a_running_task_is_read_as_docker_writes_it() {
        let seen = read(serde_json::json!({
            "ID": "t1", "ServiceID": "s1", "NodeID": "n1", "Slot": 1,
            "CreatedAt": "2026-11-23T12:28:04.445429183Z",
            "Spec": { "ForceUpdate": 3, "Networks": [{ "Target": "net" }] },
            "Status": {
                "Timestamp": "2026-11-23T12:28:05Z", "State": "running", "Message": "started",
                "ContainerStatus": { "ContainerID": "c1", "PID": 12, "ExitCode": 0 },
                "PortStatus": { "Ports": [{ "Protocol": "tcp", "TargetPort": 8888, "PublishedPort": 32768, "PublishMode": "host" }] },
            },
            "DesiredState": "running",
            "NetworksAttachments": [{ "Network": { "ID": "net" }, "Addresses": ["10.79.0.26/20"] }],
        }));
        let expected = Task {
            id: "t1".into(),
            state: TaskState::Running,
            wanted: true,
            node_id: Some("n1".into()),
            created_at: "2026-11-23T12:28:04.445429183Z".parse().unwrap(),
            since: "2026-11-23T12:28:05Z".parse().unwrap(),
            error: None,
            exit_code: None,
            overlay_address: Some("10.79.0.26".into()),
            host_port: Some(32768),
            force_update: 3,
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn an_exit_code_counts_once_the_container_ended() {
        let failed = read(serde_json::json!({
            "Status": { "State": "failed", "Err": "task: non-zero exit (137)", "ContainerStatus": { "ExitCode": 137 } }, "DesiredState": "shutdown",
        }));
        assert_eq!((failed.exit_code, failed.wanted), (Some(137), false));
        assert_eq!(failed.error.as_deref(), Some("task: non-zero exit (137)"));
        let rejected = read(
            serde_json::json!({ "Status": { "State": "rejected", "ContainerStatus": { "ExitCode": 0 } }, "DesiredState": "shutdown" }),
        );
        assert_eq!(rejected.exit_code, None);
    }

    #[test]
    fn a_state_of_a_future_engine_may_still_run() {
        assert!(
            read(serde_json::json!({ "Status": { "State": "hibernating" }, "DesiredState": "running" }))
                .state
                .may_run()
        );
    }

    #[test]
    fn the_newest_task_counts() {
        let at = |id: &str, created: &str| {
            read(serde_json::json!({ "ID": id, "CreatedAt": created, "DesiredState": "running" }))
        };
        let mut tasks = [at("old", "2026-01-01T00:00:00Z"), at("new", "2026-01-01T00:00:01Z")];
        newest_first(&mut tasks);
        assert_eq!(tasks.map(|task| task.id), ["new", "old"]);
    }
}
