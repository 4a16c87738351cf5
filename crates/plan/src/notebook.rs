//! One NotebookServer: from what is wanted and what was observed to what to do and what to report.
//!
//! ```text
//! validate(object, class, account) ─► Wanted ─┐
//! observe(Swarm) + probe(Jupyter) ─► Observed ─┴─► decide(now) ─► Plan { finalizer, suspend, actions, status, wake-up }
//! ```

mod alive;
mod decide;
mod desired;
mod readiness;
mod report;
mod validate;

use essaim_api::NotebookServerStatus;
use essaim_backend::swarm::{Action, Observed, Owner, ServiceSpec};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

pub use decide::decide;
pub use desired::{hash, service_name};
pub use report::{report_failure, running_addresses};
pub use validate::{ClassLookup, Lookups, validate};

use crate::key::SiteKey;

/// What every server of a site has in common.
#[derive(Clone, Debug)]
pub struct Site {
    /// Signs tokens.
    pub key: SiteKey,
    /// How the gateway reaches containers.
    pub reach: Reach,
}

/// How the gateway reaches containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// The gateway runs on a host: each container's port is published on its machine.
    HostPorts,
    /// The gateway is a service on this overlay network, and containers are attached to it.
    Overlay(String),
    /// Both at once, while a site moves its gateway.
    Both(String),
}

/// A reason in one word, for machines, and in a sentence, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// One of [`essaim_api::names::reason`].
    pub reason: String,
    /// A sentence that says what to do where something can be done.
    pub message: String,
}

impl Reason {
    pub(crate) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

/// A server after validation.
#[derive(Clone, Debug)]
pub struct Valid {
    /// Whose outside objects these are.
    pub owner: Owner,
    /// `metadata.generation`
    pub generation: i64,
    /// What is wanted.
    pub wanted: Wanted,
    /// Whether our finalizer is on the object.
    pub has_finalizer: bool,
    /// The report that stands on the object.
    pub reported: NotebookServerStatus,
}

/// What is wanted of a server.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A running container.
    Running(Box<Desired>),
    /// No container; the definition stays. The reason says who wanted that.
    Suspended(Reason),
    /// Nothing at all: the object is being deleted.
    Gone,
    /// The specification cannot be carried out. What runs already goes on.
    Refused(Reason),
}

/// The outside objects of a running server.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The service, as it would be made now.
    pub service: ServiceSpec,
    /// The secret with the token.
    pub secret: Action,
    /// Its name.
    pub secret_name: String,
    /// A change that needs a new container is done at once.
    pub immediate: bool,
    /// Starts after a failure before giving up.
    pub restart_limit: i64,
}

/// Whether Jupyter answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Probe {
    /// There was nothing to ask: no running container, or no address.
    NotTried,
    /// It answered.
    Answered,
    /// It did not; why, in words.
    Silent(String),
}

/// What to do with our finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finalizer {
    /// Nothing.
    Keep,
    /// Put it on, before anything is made outside.
    Add,
    /// Take it off: nothing is left outside.
    Remove,
}

/// What to do, what to report, when to look again.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Done first when it is `Add`, last when it is `Remove`.
    pub finalizer: Finalizer,
    /// Write `spec.suspend: true` as the controller's own field manager, because the user shut Jupyter down.
    pub suspend: bool,
    /// Changes to the Swarm, in this order.
    pub actions: Vec<Action>,
    /// The whole report.
    pub status: NotebookServerStatus,
    /// When to look again at the latest, even if nobody says that anything changed.
    pub wake_up: SignedDuration,
}

/// The observation of one pass.
#[derive(Clone, Debug)]
pub enum Look {
    /// The Swarm was seen.
    Seen(Box<Observed>, Probe),
    /// It was not; nothing is known, and nothing is done.
    Unknown(Reason),
    /// There is no Swarm and there never will be: nothing exists outside.
    Off,
}
