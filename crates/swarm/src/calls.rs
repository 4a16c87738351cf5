//! Counts what is asked of the manager.

use std::sync::atomic::{AtomicU64, Ordering};

/// What kind of thing is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Version,
    ListServices,
    ListTasks,
    ListNodes,
    ListSecrets,
    ListNetworks,
    Inspect,
    Create,
    Update,
    Remove,
}

/// How often the manager was asked for each kind of thing since the connection was made; failed calls count too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallCounts {
    /// The engine's version, once after each loss of the connection.
    pub version: u64,
    /// All services, once a round.
    pub list_services: u64,
    /// Tasks of our services, once a round.
    pub list_tasks: u64,
    /// All machines, once a round.
    pub list_nodes: u64,
    /// Our secrets, once a round; and some by name, before a service that uses them is made.
    pub list_secrets: u64,
    /// All networks, when a service uses one that was not seen before.
    pub list_networks: u64,
    /// One service or secret, after a conflict.
    pub inspect: u64,
    /// Services and secrets to make.
    pub create: u64,
    /// Services to change.
    pub update: u64,
    /// Services and secrets to remove.
    pub remove: u64,
}

impl CallCounts {
    /// All of them.
    pub fn total(&self) -> u64 {
        let CallCounts {
            version,
            list_services,
            list_tasks,
            list_nodes,
            list_secrets,
            list_networks,
            inspect,
            create,
            update,
            remove,
        } = *self;
        version
            + list_services
            + list_tasks
            + list_nodes
            + list_secrets
            + list_networks
            + inspect
            + create
            + update
            + remove
    }
}

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Calls([AtomicU64; 10]);

impl Calls {
    pub(crate) fn count(&self, kind: Kind) {
        if let Some(counter) = self.0.get(kind as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> CallCounts {
        let [
            version,
            list_services,
            list_tasks,
            list_nodes,
            list_secrets,
            list_networks,
            inspect,
            create,
            update,
            remove,
        ] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
            .map(|index: usize| self.0.get(index).map_or(0, |counter| counter.load(Ordering::Relaxed)));
        CallCounts {
            version,
            list_services,
            list_tasks,
            list_nodes,
            list_secrets,
            list_networks,
            inspect,
            create,
            update,
            remove,
        }
    }
}
