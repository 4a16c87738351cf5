//! Docker Swarm, as far as essaim cares.
//!
//! A [`ServiceSpec`] is complete: what it does not say is fixed for every service that essaim makes (one replica, restart
//! condition `none`, endpoint mode `dnsrr`, all capabilities that Jupyter does not need dropped, no new privileges). So two
//! specs that are equal describe the same service, and a difference is drift.

mod observed;
mod spec;

use std::{fmt, future::Future, time::Duration};

use futures_core::stream::BoxStream;
pub use observed::{Node, Observed, Secret, Service, Task, TaskState, UpdateStatus};
pub use spec::{HostPort, Mount, Propagation, SecretFile, ServiceSpec};

/// The object that an outside object belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// `metadata.uid`
    pub uid: String,
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
}

/// One change to the Swarm.
///
/// Guarantee: carrying out an action a second time succeeds and changes nothing more. Creating what exists with the same owner is success;
/// with another owner it is [`Error::NameTaken`]. Removing what is gone is success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes a secret; its content cannot be read back from the Swarm.
    CreateSecret {
        /// Its name.
        name: String,
        /// Its labels, the owner's among them.
        labels: std::collections::BTreeMap<String, String>,
        /// Its content.
        content: SecretContent,
    },
    /// Makes a service.
    CreateService(Box<ServiceSpec>),
    /// Replaces the specification of a service that is still at this version (Swarm's optimistic lock).
    UpdateService {
        /// The service's id.
        id: String,
        /// The version that was observed; a newer one makes the action fail with [`Error::Conflict`].
        version: u64,
        /// The whole new specification.
        spec: Box<ServiceSpec>,
    },
    /// Replaces the labels of a service that is still at this version, and nothing else: its container goes on, whatever this essaim would
    /// make of it today.
    RelabelService {
        /// The service's id.
        id: String,
        /// The version that was observed; a newer one makes the action fail with [`Error::Conflict`].
        version: u64,
        /// All its labels.
        labels: std::collections::BTreeMap<String, String>,
    },
    /// Removes a service and its containers.
    RemoveService {
        /// Its id.
        id: String,
    },
    /// Removes a secret that no service uses any more; one still in use by a container that is being stopped fails with [`Error::InUse`].
    RemoveSecret {
        /// Its id.
        id: String,
    },
}

/// The bytes of a secret; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretContent(pub Vec<u8>);

impl fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretContent(…)")
    }
}

/// Whose picture may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Of the objects with this uid.
    Owner(String),
    /// Of everybody: nodes changed, or the connection was lost or came back.
    Everybody,
}

/// Why the Swarm could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manager does not answer: nothing is known. Try again.
    #[error("cannot {operation}: the Swarm manager does not answer")]
    Unreachable {
        /// What was tried.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The manager refused; its own words. Trying the same again gives the same.
    #[error("the Swarm refused to {operation}: {message}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// The manager's sentence.
        message: String,
    },
    /// An object of this name exists and belongs to somebody else; it was not touched.
    #[error("{name:?} exists on the Swarm and belongs to something else")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Somebody changed the service meanwhile: look again.
    #[error("the service {id} changed since it was observed")]
    Conflict {
        /// The service's id.
        id: String,
    },
    /// The secret is still used by a container: try again soon.
    #[error("the secret {id} is still in use")]
    InUse {
        /// The secret's id.
        id: String,
    },
    /// No Swarm is configured (`--swarm off`): nothing exists there and nothing can be made.
    #[error("no Swarm is configured")]
    Off,
}

/// Looks at, and changes, a Docker Swarm. Never decides.
pub trait Swarm: Send + Sync + 'static {
    /// What exists for an owner.
    ///
    /// Guarantees: the picture was begun after this owner's last [`apply`](Self::apply) ended, and is at most `max_age` old. It is taken once for
    /// all owners: the number of calls to the Swarm does not grow with theirs.
    /// Errors: a failed look is an error, never an empty picture.
    fn observe(&self, owner: &Owner, max_age: Duration) -> impl Future<Output = Result<Observed, Error>> + Send;

    /// Carries out one action for an owner.
    fn apply(&self, owner: &Owner, action: &Action) -> impl Future<Output = Result<(), Error>> + Send;

    /// Hints that a picture changed; a full pass over all owners at a slow rate makes up for lost ones.
    ///
    /// The stream never ends while the backend lives; a consumer that is too slow gets [`Changed::Everybody`].
    fn changes(&self) -> BoxStream<'static, Changed>;
}
