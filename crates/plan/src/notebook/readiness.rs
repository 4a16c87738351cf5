//! How a server that has a service is doing, in words that a person understands.

use essaim_api::{
    Memory, NotebookServerStatus, find_condition,
    names::{condition, label, reason},
};
use essaim_backend::swarm::{Node, Observed, Service, Task, TaskState};
use jiff::Timestamp;

use super::{
    Probe, Reason,
    alive::{cut_off, is_evicted, node_of},
};

const UNKNOWN_MACHINE: &str = "an unknown machine";

/// The two questions that everybody asks: does it have a machine, and does Jupyter answer?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    /// True, false, or `None` where it cannot be known.
    pub(super) scheduled: (Option<bool>, Reason),
    /// True, false, or `None` where it cannot be known.
    pub(super) ready: (Option<bool>, Reason),
    /// Jupyter is about to answer: worth asking often.
    pub(super) probing: bool,
    /// Nothing will change by itself soon.
    pub(super) settled: bool,
}

impl Readiness {
    /// There is no service.
    pub(super) fn not_scheduled(why: Reason) -> Self {
        Self { scheduled: (Some(false), why.clone()), ready: (Some(false), why), probing: false, settled: false }
    }

    /// The same, but the container is about to be replaced.
    pub(super) fn restarting(self) -> Self {
        let why = Reason::new(reason::RESTARTING, "the container is being started anew");
        Self { ready: (Some(false), why), probing: false, settled: false, ..self }
    }

    fn on_machine(hostname: &str, ready: Option<bool>, why: Reason) -> Self {
        let assigned = Reason::new(reason::ASSIGNED, format!("runs on {hostname}"));
        Self { scheduled: (Some(true), assigned), ready: (ready, why), probing: false, settled: ready == Some(true) }
    }
}

/// What the judgement rests on, apart from the service itself.
pub(super) struct Surroundings<'a> {
    pub(super) observed: &'a Observed,
    pub(super) probe: &'a Probe,
    pub(super) reported: &'a NotebookServerStatus,
    /// Starts after a failure before giving up; `None` where nothing would be started again anyway.
    pub(super) restart_limit: Option<i64>,
    pub(super) now: Timestamp,
}

/// Judges the newest task of a service.
pub(super) fn of(service: &Service, surroundings: &Surroundings<'_>) -> Readiness {
    let Surroundings { observed, probe, reported, restart_limit, now } = surroundings;
    let Some(task) = service.tasks.first() else {
        return Readiness::not_scheduled(Reason::new(
            reason::CREATING,
            "the Swarm has the service and starts no container yet",
        ));
    };
    if let Some(node) = cut_off(&service.tasks, observed, *now) {
        return Readiness::on_machine(&node.hostname, None, silent(node));
    }
    let node = node_of(task, observed);
    if task.state.may_run() {
        return match node {
            Some(node) if !task.wanted => {
                let why = Reason::new(reason::STOPPING, format!("the container is being stopped on {}", node.hostname));
                Readiness::on_machine(&node.hostname, Some(false), why)
            }
            Some(node) => on_its_way(task, node, probe, reported),
            None => without_machine(service, task, observed),
        };
    }
    let hostname = node.map_or(UNKNOWN_MACHINE, |node| node.hostname.as_str());
    let mut ended = Readiness::on_machine(hostname, Some(false), ended(service, task, hostname, *restart_limit));
    ended.settled = true;
    ended
}

/// Why nothing is started while a machine cannot be asked, and what ends the wait.
pub(super) fn silent(node: &Node) -> Reason {
    let message = format!(
        "{} does not answer the Swarm; the server may still run there, so no second one is started until it is back, or operations removed it from the Swarm",
        node.hostname
    );
    Reason::new(reason::NODE_UNREACHABLE, message)
}

fn on_its_way(task: &Task, node: &Node, probe: &Probe, reported: &NotebookServerStatus) -> Readiness {
    let hostname = &node.hostname;
    if task.state != TaskState::Running {
        let message = format!("{hostname} prepares the container: image, mounts, network");
        return Readiness::on_machine(hostname, Some(false), Reason::new(reason::PREPARING, message));
    }
    match probe {
        Probe::Answered => Readiness::on_machine(hostname, Some(true), Reason::new(reason::SERVING, "Jupyter answers")),
        Probe::Silent(words) if was_ready(task, reported) => {
            let message = format!("Jupyter answered before and does not now: {words}");
            Readiness {
                probing: false,
                ..Readiness::on_machine(hostname, Some(false), Reason::new(reason::NOT_ANSWERING, message))
            }
        }
        Probe::Silent(_) | Probe::NotTried => {
            let message = format!("the container runs on {hostname}; Jupyter is starting");
            Readiness {
                probing: true,
                ..Readiness::on_machine(hostname, Some(false), Reason::new(reason::STARTING, message))
            }
        }
    }
}

/// Whether this very container was reported to serve; only the words of the message depend on it.
fn was_ready(task: &Task, reported: &NotebookServerStatus) -> bool {
    let same = reported.started_at.as_ref().is_some_and(|time| time.0.as_second() == task.since.as_second());
    let ready = find_condition(&reported.conditions, condition::READY);
    same && ready.is_some_and(|ready| [reason::SERVING, reason::NOT_ANSWERING].contains(&ready.reason.as_str()))
}

fn without_machine(service: &Service, task: &Task, observed: &Observed) -> Readiness {
    if task.state < TaskState::Pending {
        let message = match &task.error {
            Some(error) => format!("the Swarm finds no address for the container: {error}"),
            None => {
                "the Swarm finds an address for the container; if this lasts, the network has no free one".to_owned()
            }
        };
        return Readiness::not_scheduled(Reason::new(reason::CREATING, message));
    }
    if task.error.is_none() {
        return Readiness::not_scheduled(Reason::new(reason::CREATING, "the Swarm looks for a machine"));
    }
    let lacking: Vec<String> =
        observed.nodes.iter().map(|node| format!("{}: {}", node.hostname, lacks(service, node))).collect();
    let message = format!("no machine fits; {}", lacking.join("; "));
    Readiness::not_scheduled(Reason::new(reason::NO_MACHINE_FITS, message))
}

/// What a machine lacks to take this service. Swarm's own text counts machines and does not say what is missing.
fn lacks(service: &Service, node: &Node) -> String {
    if !node.reachable {
        return "does not answer".into();
    }
    if !node.schedulable {
        return "takes no new servers (drained or paused)".into();
    }
    if let Some(constraint) = service.spec.constraints.iter().find(|constraint| !satisfies(node, constraint)) {
        return format!("is not {}", constraint.trim_start_matches("node.labels."));
    }
    match service.spec.memory_bytes {
        Some(wanted) if wanted > node.memory_bytes => {
            format!("has {} of memory in all, {} are asked for", coarse(node.memory_bytes), Memory::from_bytes(wanted))
        }
        _ => "has not enough memory or processors free".into(),
    }
}

fn satisfies(node: &Node, constraint: &str) -> bool {
    match constraint.trim_start_matches("node.labels.").split_once("==") {
        Some((key, value)) => node.labels.get(key).is_some_and(|label| label == value),
        None => true,
    }
}

/// Whole mebibytes: a machine's memory is never a round number.
fn coarse(bytes: i64) -> Memory {
    Memory::from_bytes(bytes >> 20 << 20)
}

fn ended(service: &Service, task: &Task, hostname: &str, restart_limit: Option<i64>) -> Reason {
    let error = task.error.as_deref().unwrap_or("no reason was given");
    let after = after_restarts(service, restart_limit);
    match task.state {
        TaskState::Complete => Reason::new(reason::SHUT_DOWN_IN_JUPYTER, "its user chose Shut Down in Jupyter"),
        TaskState::Rejected if is_evicted(task) => Reason::new(
            reason::RESTARTING,
            format!("{hostname} no longer fits the class; the container is being moved"),
        ),
        TaskState::Orphaned if hostname != UNKNOWN_MACHINE => {
            let message = format!(
                "{hostname} was silent for so long that the Swarm gave the container up; see that it is gone there, then set spec.restartedAt to the present time"
            );
            Reason::new(reason::CONTAINER_FAILED, message)
        }
        TaskState::Rejected if error.contains("bind source path does not exist") => {
            let path = error.rsplit(": ").next().unwrap_or_default();
            Reason::new(
                reason::MOUNT_MISSING,
                format!("{hostname} has no directory {path}: ask operations to mount it there{after}"),
            )
        }
        TaskState::Rejected
            if error.to_lowercase().contains("no such image")
                || error.contains("pull")
                || error.contains("manifest") =>
        {
            let message = format!("{hostname} cannot get the image {}: {error}{after}", service.spec.image);
            Reason::new(reason::IMAGE_UNAVAILABLE, message)
        }
        TaskState::Rejected => {
            Reason::new(reason::REFUSED, format!("{hostname} cannot start the container: {error}{after}"))
        }
        TaskState::Failed => {
            let code =
                task.exit_code.map(|code| format!(" with exit code {code}{}", meaning(code))).unwrap_or_default();
            Reason::new(reason::CONTAINER_FAILED, format!("the container ended{code} on {hostname}: {error}{after}"))
        }
        _ => Reason::new(reason::RESTARTING, "the Swarm stopped the container; it is being started again"),
    }
}

/// How often it was tried again, and whether it will be.
fn after_restarts(service: &Service, limit: Option<i64>) -> String {
    let restarts: i64 =
        service.spec.labels.get(label::RESTARTS).and_then(|count| count.parse().ok()).unwrap_or_default();
    match limit {
        Some(limit) if restarts >= limit => {
            format!(
                "; started again {restarts} times, given up: set spec.restartedAt to the present time to try once more"
            )
        }
        Some(limit) => format!("; started again {restarts} of {limit} times"),
        None => String::new(),
    }
}

fn meaning(code: i64) -> &'static str {
    match code {
        137 => " (killed, most often because it used more memory than its limit)",
        139 => " (crashed with a memory error)",
        143 => " (asked to stop)",
        127 => " (the program was not found in the image)",
        126 => " (the program could not be run)",
        _ => "",
    }
}
