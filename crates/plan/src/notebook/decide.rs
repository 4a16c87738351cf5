//! The decision: what to change on the Swarm, and what to report.
//!
//! Invariant: nothing that starts a container is planned while another one of the same owner may still run. So a container that runs is
//! never replaced by an update of its service, where Swarm would start the new one after a minute, after a second update, or once the
//! machine falls silent, whatever the old one does: the service is removed, the end of its container is seen, and it is made anew.

use std::collections::BTreeMap;

use essaim_api::names::{label, reason};
use essaim_backend::swarm::{Action, Observed, Service, ServiceSpec, Task, TaskState};
use jiff::{SignedDuration, Timestamp};

use super::{
    Desired, Finalizer, Look, Plan, Probe, Reason, Valid, Wanted,
    alive::{cut_off, is_evicted, may_still_run, node_of},
    desired::{hash, is_of_this_form},
    readiness::{self, Readiness, Surroundings},
    report::{self, Report, Stopped},
};

/// A settled server is looked at again after so long, in case every hint was lost.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);
/// A server on its way is looked at again after so long; what changes on the Swarm is hinted at earlier.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(2);
/// Jupyter is asked again after so long while it starts.
const PROBING: SignedDuration = SignedDuration::from_millis(50);
/// What lasts is looked at less and less often, but not less often than this.
const LASTING: SignedDuration = SignedDuration::from_secs(10);
/// The first restart after a failure waits so long; each further one twice as long.
const FIRST_BACKOFF: SignedDuration = SignedDuration::from_secs(2);
/// A container that ran for so long before it failed starts its count anew.
const RAN_WELL: SignedDuration = SignedDuration::from_mins(10);

/// Decides what to do for one server. Total: every input has a plan.
pub fn decide(valid: &Valid, look: &Look, now: Timestamp) -> Plan {
    match look {
        Look::Seen(observed, probe) => match &valid.wanted {
            Wanted::Gone => {
                remove(valid, observed, &Reason::new(reason::STOPPING, "the server is being deleted"), true, now)
            }
            Wanted::Suspended(why) => remove(valid, observed, why, false, now),
            Wanted::Refused(why) => refuse(valid, observed, probe, why, now),
            Wanted::Running(desired) => run(valid, desired, observed, probe, now),
        },
        Look::Unknown(why) => wait(valid, why, Finalizer::Keep, now),
        Look::Off if matches!(valid.wanted, Wanted::Gone) => {
            wait(valid, &Reason::new(reason::SWARM_OFF, "no Swarm is configured"), Finalizer::Remove, now)
        }
        Look::Off => {
            let why = Reason::new(reason::SWARM_OFF, "no Swarm is configured (--swarm off), so nothing can be started");
            wait(valid, &why, Finalizer::Keep, now)
        }
    }
}

/// Nothing is known, so nothing is done; the report says so and keeps what was known before.
fn wait(valid: &Valid, why: &Reason, finalizer: Finalizer, now: Timestamp) -> Plan {
    let status = report::unknown(valid, why, now);
    Plan { finalizer, suspend: false, actions: Vec::new(), status, wake_up: SignedDuration::from_secs(10) }
}

/// Takes the container away, then the secrets; when nothing may run any more, the end is reached.
fn remove(valid: &Valid, observed: &Observed, why: &Reason, delete: bool, now: Timestamp) -> Plan {
    let ours = ours(valid, observed);
    let mut actions: Vec<Action> =
        ours.iter().map(|service| Action::RemoveService { id: service.id.clone() }).collect();
    if ours.is_empty() {
        actions.extend(observed.secrets.iter().map(|secret| Action::RemoveSecret { id: secret.id.clone() }));
    }
    let ended = ours.is_empty() && observed.leftover.is_empty();
    let finished = ended && observed.secrets.is_empty();
    let finalizer = if delete && finished && valid.has_finalizer { Finalizer::Remove } else { Finalizer::Keep };
    let tasks = ours.iter().flat_map(|service| &service.tasks).chain(&observed.leftover);
    let silent = cut_off(tasks, observed, now).map(readiness::silent);
    let status = if delete {
        report::deleted(valid, observed, silent.as_ref().unwrap_or(why), now)
    } else {
        report::stopped(valid, observed, &Stopped { why, ended, silent }, now)
    };
    Plan { finalizer, suspend: false, actions, status, wake_up: if finished { SETTLED } else { ON_ITS_WAY } }
}

/// The specification cannot be carried out: what runs goes on, nothing new is made.
fn refuse(valid: &Valid, observed: &Observed, probe: &Probe, why: &Reason, now: Timestamp) -> Plan {
    let service = ours(valid, observed).into_iter().next();
    let readiness = match service {
        Some(service) => readiness::of(
            service,
            &Surroundings { observed, probe, reported: &valid.reported, restart_limit: None, now },
        ),
        None => Readiness::not_scheduled(why.clone()),
    };
    let pending =
        service.map(|_| Reason::new(&why.reason, format!("the specification is not carried out: {}", why.message)));
    let status =
        report::running(valid, &Report { service, observed, readiness: &readiness, pending: pending.as_ref() }, now);
    Plan { finalizer: Finalizer::Keep, suspend: false, actions: Vec::new(), status, wake_up: SETTLED }
}

fn run(valid: &Valid, desired: &Desired, observed: &Observed, probe: &Probe, now: Timestamp) -> Plan {
    let mut ours = ours(valid, observed);
    // Ours under the right name first; anything else of ours is left from an older naming and goes.
    ours.sort_by_key(|service| service.spec.name != desired.service.name);
    let Some((service, surplus)) = ours.split_first() else {
        return create(valid, desired, observed, now);
    };
    let surroundings =
        Surroundings { observed, probe, reported: &valid.reported, restart_limit: Some(desired.restart_limit), now };
    let mut readiness = readiness::of(service, &surroundings);
    let alone = surplus.is_empty() && observed.leftover.is_empty();
    let step = match next_step(desired, service, observed, now) {
        Step::Start(_) if !alone => Step::Wait,
        step => step,
    };
    let mut actions = missing_secret(desired, observed);
    actions.extend(surplus.iter().map(|service| Action::RemoveService { id: service.id.clone() }));
    let (id, version) = (service.id.clone(), service.version);
    let (pending, suspend, mut wake_up) = match step {
        Step::Nothing => (None, false, pace(&readiness, service, now)),
        Step::Wait => (None, false, ON_ITS_WAY),
        Step::Pending(why) => (Some(why), false, pace(&readiness, service, now)),
        Step::Suspend => (None, true, ON_ITS_WAY),
        Step::Later(wait) => (None, false, wait),
        Step::Stop => {
            readiness = readiness.restarting();
            actions.push(Action::RemoveService { id });
            (None, false, ON_ITS_WAY)
        }
        Step::Start(spec) => {
            readiness = readiness.restarting();
            actions.push(Action::UpdateService { id, version, spec });
            (None, false, ON_ITS_WAY)
        }
        Step::Settle(spec) => {
            actions.push(Action::UpdateService { id, version, spec });
            (None, false, ON_ITS_WAY)
        }
        Step::Relabel(labels) => {
            actions.push(Action::RelabelService { id, version, labels });
            (None, false, ON_ITS_WAY)
        }
    };
    if actions.is_empty() {
        actions.extend(stale_secrets(desired, service, observed));
    } else {
        wake_up = wake_up.min(ON_ITS_WAY);
    }
    let report = Report { service: Some(service), observed, readiness: &readiness, pending: pending.as_ref() };
    let status = report::running(valid, &report, now);
    Plan { finalizer: finalizer(valid), suspend, actions, status, wake_up }
}

fn create(valid: &Valid, desired: &Desired, observed: &Observed, now: Timestamp) -> Plan {
    let name = &desired.service.name;
    let (actions, why) = if observed.services.iter().any(|service| service.spec.name == *name) {
        let message =
            format!("a Swarm service named {name:?} exists and belongs to something else; it was not touched");
        (Vec::new(), Reason::new(reason::NAME_TAKEN, message))
    } else if observed.leftover.is_empty() {
        let mut actions = missing_secret(desired, observed);
        actions.push(Action::CreateService(Box::new(desired.service.clone())));
        (actions, Reason::new(reason::CREATING, "the Swarm service is being created"))
    } else {
        let stopping = || Reason::new(reason::STOPPING, "the previous container is still being stopped");
        (Vec::new(), cut_off(&observed.leftover, observed, now).map_or_else(stopping, readiness::silent))
    };
    let readiness = Readiness::not_scheduled(why);
    let status = report::running(valid, &Report { service: None, observed, readiness: &readiness, pending: None }, now);
    Plan { finalizer: finalizer(valid), suspend: false, actions, status, wake_up: ON_ITS_WAY }
}

fn finalizer(valid: &Valid) -> Finalizer {
    if valid.has_finalizer { Finalizer::Keep } else { Finalizer::Add }
}

fn ours<'a>(valid: &Valid, observed: &'a Observed) -> Vec<&'a Service> {
    let owned = |service: &&Service| service.spec.labels.get(label::OWNER_UID) == Some(&valid.owner.uid);
    observed.services.iter().filter(owned).collect()
}

fn missing_secret(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let exists = observed.secrets.iter().any(|secret| secret.name == desired.secret_name);
    if exists { Vec::new() } else { vec![desired.secret.clone()] }
}

/// Secrets of a former site key, once the service no longer mounts them.
fn stale_secrets(desired: &Desired, service: &Service, observed: &Observed) -> Vec<Action> {
    let used = |name: &str| service.spec.secrets.iter().any(|file| file.secret == name);
    let stale = observed.secrets.iter().filter(|secret| secret.name != desired.secret_name && !used(&secret.name));
    stale.map(|secret| Action::RemoveSecret { id: secret.id.clone() }).collect()
}

/// What is to be done with a service that exists.
enum Step {
    /// It is as wanted, or nothing can be done about it now.
    Nothing,
    /// A container is on its way down; whatever is wanted comes after its end.
    Wait,
    /// It differs, and nobody has asked for the restart that the difference needs.
    Pending(Reason),
    /// Its user shut Jupyter down.
    Suspend,
    /// It will be started again after so long.
    Later(SignedDuration),
    /// Its container must end before another one may begin, so it goes; it is made anew once nothing runs any more.
    Stop,
    /// Its container has ended; this starts another one.
    Start(Box<ServiceSpec>),
    /// It gets this specification, which differs in nothing that concerns the container.
    Settle(Box<ServiceSpec>),
    /// It gets these labels.
    Relabel(BTreeMap<String, String>),
}

fn next_step(desired: &Desired, service: &Service, observed: &Observed, now: Timestamp) -> Step {
    if cut_off(&service.tasks, observed, now).is_some() {
        return Step::Nothing;
    }
    let alive: Vec<&Task> = service.tasks.iter().filter(|task| may_still_run(task, observed, now)).collect();
    if alive.iter().any(|task| !task.wanted) {
        return Step::Wait;
    }
    match service.tasks.first() {
        Some(task) if alive.is_empty() => after_the_end(desired, service, task, observed, now),
        // Without a task Swarm is about to make one.
        _ => while_alive(desired, service),
    }
}

/// How a service differs from the wanted one.
struct Difference {
    /// `spec.restartedAt` names a time that this container does not satisfy.
    asked: bool,
    /// Somebody changed the service by hand.
    edited: bool,
    /// A new container would differ from the one that was made.
    changed: bool,
}

impl Difference {
    fn between(desired: &Desired, service: &Service) -> Self {
        let (present, recorded) = (hash(&service.spec), label_of(service, label::SPEC_HASH));
        let asked = label_of(&desired.service, label::RESTARTED_AT);
        Self {
            asked: !asked.is_empty() && asked != label_of(service, label::RESTARTED_AT),
            edited: is_of_this_form(recorded) && recorded != present,
            changed: present != hash(&desired.service),
        }
    }
}

/// The container runs, or will.
fn while_alive(desired: &Desired, service: &Service) -> Step {
    let difference = Difference::between(desired, service);
    if difference.asked {
        return Step::Stop;
    }
    if difference.edited || (difference.changed && desired.immediate) {
        let spec = replacement(desired, service, restarts(service), false);
        return if concerns_no_container(&spec, &service.spec) { Step::Settle(Box::new(spec)) } else { Step::Stop };
    }
    if difference.changed {
        return Step::Pending(Reason::new(reason::SPEC_CHANGED, report::difference(&service.spec, &desired.service)));
    }
    let labels = replacement(desired, service, restarts(service), false).labels;
    if labels == service.spec.labels { Step::Nothing } else { Step::Relabel(labels) }
}

/// Whether two specifications differ in nothing but labels and in how Swarm would carry out updates.
fn concerns_no_container(wanted: &ServiceSpec, present: &ServiceSpec) -> bool {
    let mut present = ServiceSpec { labels: wanted.labels.clone(), ..present.clone() };
    present.foreign.retain(|path, _| !path.starts_with("UpdateConfig") && !path.starts_with("RollbackConfig"));
    *wanted == present
}

/// The container ended: by its user's wish, by the Swarm's, or by a failure that another start may cure.
fn after_the_end(desired: &Desired, service: &Service, task: &Task, observed: &Observed, now: Timestamp) -> Step {
    let difference = Difference::between(desired, service);
    let start = |restarts| Step::Start(Box::new(replacement(desired, service, restarts, true)));
    if difference.asked {
        return start(0);
    }
    if task.force_update != service.spec.force_update {
        return Step::Wait; // another one is about to be made
    }
    match task.state {
        TaskState::Complete => return Step::Suspend,
        // Its machine came back and stops what it finds, but nobody will say when: a person has to look.
        TaskState::Orphaned if node_of(task, observed).is_some() => return Step::Nothing,
        // The Swarm stopped it for a drain or a changed label: somebody's decision, so a start does not count as a retry.
        TaskState::Shutdown | TaskState::Remove | TaskState::Orphaned => return start(restarts(service)),
        _ if is_evicted(task) => return start(restarts(service)),
        _ if difference.edited || difference.changed => return start(0),
        _ => {}
    }
    let ran_well = task.state == TaskState::Failed && task.since.duration_since(task.created_at) >= RAN_WELL;
    let count = if ran_well { 0 } else { restarts(service) };
    if count >= desired.restart_limit {
        return Step::Nothing;
    }
    let due = task.since + backoff(count);
    if now < due { Step::Later(due.duration_since(now)) } else { start(count + 1) }
}

fn backoff(count: i64) -> SignedDuration {
    FIRST_BACKOFF * 2_i32.pow(u32::try_from(count.clamp(0, 8)).unwrap_or(8))
}

/// The wanted specification on top of the counters that the service carries.
fn replacement(desired: &Desired, service: &Service, restarts: i64, force: bool) -> ServiceSpec {
    let mut spec = desired.service.clone();
    spec.force_update = service.spec.force_update + u64::from(force);
    spec.labels.insert(label::RESTARTS.into(), restarts.to_string());
    spec
}

fn restarts(service: &Service) -> i64 {
    label_of(service, label::RESTARTS).parse().unwrap_or_default()
}

trait Labelled {
    fn label(&self, key: &str) -> Option<&String>;
}

impl Labelled for Service {
    fn label(&self, key: &str) -> Option<&String> {
        self.spec.labels.get(key)
    }
}

impl Labelled for ServiceSpec {
    fn label(&self, key: &str) -> Option<&String> {
        self.labels.get(key)
    }
}

/// The label's value; empty where it is missing.
fn label_of<'a>(labelled: &'a impl Labelled, key: &str) -> &'a str {
    labelled.label(key).map_or("", String::as_str)
}

/// When to look again at what nothing is done about: soon while it is young, seldom once it lasts.
fn pace(readiness: &Readiness, service: &Service, now: Timestamp) -> SignedDuration {
    if readiness.settled {
        return SETTLED;
    }
    let lasted = service.tasks.first().map_or(SignedDuration::ZERO, |task| now.duration_since(task.since).abs());
    let soonest = if readiness.probing { PROBING } else { ON_ITS_WAY };
    (lasted / 20).clamp(soonest, LASTING)
}
