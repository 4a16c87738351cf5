//! The whole status, computed anew from what was seen; times move only when facts do.

use essaim_api::{
    Addresses, Memory, NotebookServerStatus, merge_conditions,
    names::{condition, label, reason},
};
use essaim_backend::swarm::{Observed, Service, ServiceSpec, Task, TaskState};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Reason, Valid, readiness::Readiness};

/// What there is to say of a server that is not suspended.
pub(super) struct Report<'a> {
    pub(super) service: Option<&'a Service>,
    pub(super) observed: &'a Observed,
    pub(super) readiness: &'a Readiness,
    /// What waits for a restart.
    pub(super) pending: Option<&'a Reason>,
}

/// The report of a server that runs or should.
pub(super) fn running(valid: &Valid, report: &Report<'_>, now: Timestamp) -> NotebookServerStatus {
    let up_to_date = Reason::new(reason::UP_TO_DATE, "the container is as the specification says");
    let not_suspended = Reason::new(reason::RUNNING, "the server is meant to run");
    let (scheduled, ready) = (&report.readiness.scheduled, &report.readiness.ready);
    let pending = (Some(report.pending.is_some()), report.pending.unwrap_or(&up_to_date));
    let conditions = vec![
        state(valid, condition::READY, (ready.0, &ready.1), now),
        state(valid, condition::SCHEDULED, (scheduled.0, &scheduled.1), now),
        state(valid, condition::SUSPENDED, (Some(false), &not_suspended), now),
        state(valid, condition::RESTART_PENDING, pending, now),
    ];
    let mut status = base(valid, conditions);
    if let Some(service) = report.service {
        describe(&mut status, service, report.observed);
    }
    status
}

/// What there is to say of a server that is suspended.
pub(super) struct Stopped<'a> {
    /// Who wanted that.
    pub(super) why: &'a Reason,
    /// Nothing runs any more.
    pub(super) ended: bool,
    /// Why the end of its container cannot be seen, if that is so.
    pub(super) silent: Option<Reason>,
}

/// The report of a server that is stopped, or is being stopped.
pub(super) fn stopped(valid: &Valid, observed: &Observed, stop: &Stopped<'_>, now: Timestamp) -> NotebookServerStatus {
    let Stopped { why, ended, silent } = stop;
    let stopping = Reason::new(reason::STOPPING, "the container is being stopped");
    let suspended = Reason::new(condition::SUSPENDED, why.message.clone());
    let ready = if *ended { &suspended } else { silent.as_ref().unwrap_or(&stopping) };
    let conditions = vec![
        state(valid, condition::READY, (Some(false), ready), now),
        state(valid, condition::SCHEDULED, (Some(false), ready), now),
        state(valid, condition::SUSPENDED, (Some(true), why), now),
    ];
    let mut status = base(valid, conditions);
    if let Some(service) = observed.services.first().filter(|_| !ended) {
        status.service = Some(service.spec.name.clone());
    }
    status
}

/// The report of a server that is being deleted.
pub(super) fn deleted(valid: &Valid, observed: &Observed, why: &Reason, now: Timestamp) -> NotebookServerStatus {
    let conditions = vec![
        state(valid, condition::READY, (Some(false), why), now),
        state(valid, condition::SCHEDULED, (Some(false), why), now),
    ];
    let service = observed.services.first().map(|service| service.spec.name.clone());
    NotebookServerStatus { service, ..base(valid, conditions) }
}

/// The report when nothing could be seen: what was known stays, and readiness is unknown.
pub(super) fn unknown(valid: &Valid, why: &Reason, now: Timestamp) -> NotebookServerStatus {
    let mut now_known: Vec<Condition> = valid.reported.conditions.clone();
    now_known.retain(|condition| condition.type_ != condition::READY);
    now_known.insert(0, state(valid, condition::READY, (None, why), now));
    let conditions = merge_conditions(&valid.reported.conditions, now_known);
    NotebookServerStatus { conditions, ..valid.reported.clone() }
}

fn base(valid: &Valid, conditions: Vec<Condition>) -> NotebookServerStatus {
    NotebookServerStatus {
        observed_generation: Some(valid.generation),
        conditions: merge_conditions(&valid.reported.conditions, conditions),
        url: Some(format!("/user/{}/{}/", valid.owner.namespace, valid.owner.name)),
        ..NotebookServerStatus::default()
    }
}

fn state(valid: &Valid, kind: &str, (is, why): (Option<bool>, &Reason), now: Timestamp) -> Condition {
    let status = match is {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: why.reason.clone(),
        message: why.message.clone(),
        observed_generation: Some(valid.generation),
        last_transition_time: Time(now.round(jiff::Unit::Second).unwrap_or(now)),
    }
}

fn describe(status: &mut NotebookServerStatus, service: &Service, observed: &Observed) {
    status.service = Some(service.spec.name.clone());
    status.memory = service.spec.memory_bytes.map(Memory::from_bytes);
    status.restarts = service.spec.labels.get(label::RESTARTS).and_then(|count| count.parse().ok());
    let Some(task) = service.tasks.first() else { return };
    let node = observed.nodes.iter().find(|node| Some(&node.id) == task.node_id.as_ref());
    status.node = node.map(|node| node.hostname.clone());
    if task.state == TaskState::Running {
        status.started_at = Some(Time(Timestamp::from_second(task.since.as_second()).unwrap_or(task.since)));
        status.addresses = addresses(service, task, node.map(|node| node.address.as_str()));
    }
}

fn addresses(service: &Service, task: &Task, machine: Option<&str>) -> Option<Addresses> {
    let port = service.spec.args.iter().find_map(|argument| argument.strip_prefix("--ServerApp.port="));
    let host = machine.zip(task.host_port).map(|(machine, port)| join(machine, &port.to_string()));
    let overlay = task.overlay_address.as_deref().zip(port).map(|(address, port)| join(address, port));
    (host.is_some() || overlay.is_some()).then_some(Addresses { host, overlay })
}

fn join(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What differs between the container that runs and the one that is wanted, in words.
pub(super) fn difference(running: &ServiceSpec, wanted: &ServiceSpec) -> String {
    let amount =
        |bytes: Option<i64>| bytes.map_or_else(|| "no limit".to_owned(), |bytes| Memory::from_bytes(bytes).to_string());
    let processors =
        |nanos: Option<i64>| nanos.map_or_else(|| "no limit".to_owned(), |nanos| format!("{}m", nanos / 1_000_000));
    let mut words = Vec::new();
    if running.memory_bytes != wanted.memory_bytes {
        words.push(format!("memory {} becomes {}", amount(running.memory_bytes), amount(wanted.memory_bytes)));
    }
    if running.nano_cpus != wanted.nano_cpus {
        words.push(format!("cpu {} becomes {}", processors(running.nano_cpus), processors(wanted.nano_cpus)));
    }
    if running.image != wanted.image {
        words.push(format!("image {} becomes {}", running.image, wanted.image));
    }
    let others = [
        ("environment", running.env != wanted.env),
        ("mounts", running.mounts != wanted.mounts),
        ("placement", running.constraints != wanted.constraints),
        ("command", running.command != wanted.command || running.args != wanted.args),
        ("identity", running.user != wanted.user || running.groups != wanted.groups),
        ("network", running.networks != wanted.networks || running.host_port != wanted.host_port),
        ("token", running.secrets != wanted.secrets),
    ];
    words.extend(others.iter().filter(|(_, differs)| *differs).map(|(name, _)| format!("{name} changes")));
    if words.is_empty() {
        words.push("details of the container change".into());
    }
    format!("{} at the next restart; set spec.restartedAt to the present time to restart now", words.join(", "))
}

/// The report of a pass whose plan could not be carried out: as planned, except that readiness has this reason.
pub fn report_failure(valid: &Valid, plan: &super::Plan, why: &Reason, now: Timestamp) -> NotebookServerStatus {
    let mut status = plan.status.clone();
    let seen = if why.reason == reason::SWARM_UNREACHABLE { None } else { Some(false) };
    let ready = state(valid, condition::READY, (seen, why), now);
    status.conditions.retain(|condition| condition.type_ != condition::READY);
    status.conditions.insert(0, ready);
    status.conditions = merge_conditions(&valid.reported.conditions, status.conditions);
    status
}

/// Where the newest container of a server listens, if it runs.
pub fn running_addresses(valid: &Valid, observed: &Observed) -> Option<Addresses> {
    let owned = |service: &&Service| service.spec.labels.get(label::OWNER_UID) == Some(&valid.owner.uid);
    let service = observed.services.iter().find(owned)?;
    let task = service.tasks.first().filter(|task| task.state == TaskState::Running)?;
    let node = observed.nodes.iter().find(|node| Some(&node.id) == task.node_id.as_ref())?;
    if !node.reachable {
        return None;
    }
    addresses(service, task, Some(&node.address))
}
