//! Which containers may still run, whatever the Swarm calls their tasks.
//!
//! Relies on what was tried on a real Swarm: a task's state is what its machine said last, except for two states that the manager writes
//! itself while the container goes on: `rejected`, when a machine's labels or size no longer fit, and `orphaned`, a day after the
//! machine fell silent.

use essaim_backend::swarm::{Node, Observed, Task, TaskState};
use jiff::{SignedDuration, Timestamp};

/// After so long a container that was told to stop is gone: Docker kills it after 10 s.
const STOPPED: SignedDuration = SignedDuration::from_secs(30);
/// What the manager writes into a task that it rejects although its container runs.
const EVICTED: &str = "assigned node no longer meets constraints";

/// Whether the task's container may still run.
pub(super) fn may_still_run(task: &Task, observed: &Observed, now: Timestamp) -> bool {
    let silent = node_of(task, observed).is_some_and(|node| !node.reachable);
    match task.state {
        // Swarm keeps a task that it gave up before it had a machine; no machine ever takes it.
        state if state.may_run() => task.wanted || task.node_id.is_some(),
        TaskState::Rejected if is_evicted(task) => silent || now.duration_since(task.since) < STOPPED,
        // A machine that was removed from the Swarm was declared dead by an operator.
        TaskState::Orphaned => silent,
        _ => false,
    }
}

/// Whether the manager rejected a task whose container ran: it is being stopped, and nobody will report its end.
pub(super) fn is_evicted(task: &Task) -> bool {
    task.state == TaskState::Rejected && task.error.as_deref() == Some(EVICTED)
}

/// The machine of a container that may still run and cannot be asked.
pub(super) fn cut_off<'a, 'b>(
    tasks: impl IntoIterator<Item = &'b Task>,
    observed: &'a Observed,
    now: Timestamp,
) -> Option<&'a Node> {
    let mut alive = tasks.into_iter().filter(|task| may_still_run(task, observed, now));
    alive.find_map(|task| node_of(task, observed).filter(|node| !node.reachable))
}

/// The machine of a task.
pub(super) fn node_of<'a>(task: &Task, observed: &'a Observed) -> Option<&'a Node> {
    observed.nodes.iter().find(|node| Some(&node.id) == task.node_id.as_ref())
}
