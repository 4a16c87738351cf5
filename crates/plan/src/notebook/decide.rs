//! The decision: what to change on the Swarm, and what to report.
//!
//! One server, one container: nothing that starts a container is planned while another one of the same owner may still run, or while the
//! machine of the present one does not answer.

use essaim_api::names::{label, reason};
use essaim_backend::swarm::{Action, Node, Observed, Service, ServiceSpec, Task, TaskState};
use jiff::{SignedDuration, Timestamp};

use super::{
    Desired, Finalizer, Look, Plan, Probe, Reason, Valid, Wanted,
    desired::hash,
    readiness::{self, Readiness, Surroundings},
    report::{self, Report},
};

/// A settled server is looked at again after so long, in case every hint was lost.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);
/// A server on its way is looked at again after so long; what changes on the Swarm is hinted at earlier.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(2);
/// Jupyter is asked again after so long while it starts.
const PROBING: SignedDuration = SignedDuration::from_millis(50);
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
    let stopped = ours.is_empty() && observed.leftover.is_empty();
    let finished = stopped && observed.secrets.is_empty();
    let finalizer = if delete && finished { Finalizer::Remove } else { Finalizer::Keep };
    let status = if delete {
        report::deleted(valid, observed, why, now)
    } else {
        report::stopped(valid, observed, why, stopped, now)
    };
    Plan { finalizer, suspend: false, actions, status, wake_up: if finished { SETTLED } else { ON_ITS_WAY } }
}

/// The specification cannot be carried out: what runs goes on, nothing new is made.
fn refuse(valid: &Valid, observed: &Observed, probe: &Probe, why: &Reason, now: Timestamp) -> Plan {
    let service = ours(valid, observed).into_iter().next();
    let readiness = match service {
        Some(service) => {
            readiness::of(service, &Surroundings { observed, probe, reported: &valid.reported, restart_limit: None })
        }
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
        Surroundings { observed, probe, reported: &valid.reported, restart_limit: Some(desired.restart_limit) };
    let mut readiness = readiness::of(service, &surroundings);
    let step = next_step(desired, service, observed, now);
    let mut actions = missing_secret(desired, observed);
    actions.extend(surplus.iter().map(|service| Action::RemoveService { id: service.id.clone() }));
    let (pending, suspend, mut wake_up) = match step {
        Step::Nothing => (None, false, pace(&readiness)),
        Step::Pending(why) => (Some(why), false, pace(&readiness)),
        Step::Suspend => (None, true, ON_ITS_WAY),
        Step::Later(wait) => (None, false, wait),
        Step::Replace(spec) => {
            if spec.force_update != service.spec.force_update || hash(&spec) != hash(&service.spec) {
                readiness = readiness.restarting();
            }
            let spec = Box::new(spec);
            actions.push(Action::UpdateService { id: service.id.clone(), version: service.version, spec });
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
        (Vec::new(), Reason::new(reason::STOPPING, "the previous container is still being stopped"))
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
    /// It is as wanted.
    Nothing,
    /// It differs, and nobody has asked for the restart that the difference needs.
    Pending(Reason),
    /// Its user shut Jupyter down.
    Suspend,
    /// It will be started again after so long.
    Later(SignedDuration),
    /// It gets this specification.
    Replace(ServiceSpec),
}

fn next_step(desired: &Desired, service: &Service, observed: &Observed, now: Timestamp) -> Step {
    let task = service.tasks.first();
    if task.is_some_and(|task| task.state.may_run() && node_of(task, observed).is_some_and(|node| !node.reachable)) {
        // The container may still run over there: whatever is wanted waits until the machine is back.
        return Step::Nothing;
    }
    let edited = hash(&service.spec) != label_of(service, label::SPEC_HASH);
    let asked = label_of(&desired.service, label::RESTARTED_AT) != label_of(service, label::RESTARTED_AT);
    let changed = label_of(&desired.service, label::SPEC_HASH) != label_of(service, label::SPEC_HASH);
    if asked {
        return Step::Replace(replacement(desired, service, 0, true));
    }
    if let Some(task) = task.filter(|task| !task.state.may_run() && task.force_update == service.spec.force_update) {
        return after_the_end(desired, service, task, edited || changed, now);
    }
    if edited || (changed && desired.immediate) {
        return Step::Replace(replacement(desired, service, 0, false));
    }
    if changed {
        return Step::Pending(Reason::new(reason::SPEC_CHANGED, report::difference(&service.spec, &desired.service)));
    }
    let mut relabelled = replacement(desired, service, restarts(service), false);
    relabelled.labels.insert(label::RESTARTS.into(), label_of(service, label::RESTARTS).to_owned());
    if relabelled == service.spec { Step::Nothing } else { Step::Replace(relabelled) }
}

/// The container ended: by its user's wish, or by a failure that another start may cure.
fn after_the_end(desired: &Desired, service: &Service, task: &Task, differs: bool, now: Timestamp) -> Step {
    match task.state {
        TaskState::Complete => return Step::Suspend,
        // The Swarm stopped it for an update or a drain, or gave it up: somebody's decision, so a start does not count as a retry.
        TaskState::Shutdown | TaskState::Remove | TaskState::Orphaned => {
            return Step::Replace(replacement(desired, service, restarts(service), true));
        }
        _ => {}
    }
    if differs {
        return Step::Replace(replacement(desired, service, 0, true));
    }
    let ran_well = task.state == TaskState::Failed && task.since.duration_since(task.created_at) >= RAN_WELL;
    let count = if ran_well { 0 } else { restarts(service) };
    if count >= desired.restart_limit {
        return Step::Nothing;
    }
    let due = task.since + backoff(count);
    if now < due {
        return Step::Later(due.duration_since(now));
    }
    Step::Replace(replacement(desired, service, count + 1, true))
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

fn node_of<'a>(task: &Task, observed: &'a Observed) -> Option<&'a Node> {
    observed.nodes.iter().find(|node| Some(&node.id) == task.node_id.as_ref())
}

fn pace(readiness: &Readiness) -> SignedDuration {
    match readiness {
        Readiness { probing: true, .. } => PROBING,
        Readiness { settled: true, .. } => SETTLED,
        _ => ON_ITS_WAY,
    }
}
