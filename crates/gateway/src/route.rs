//! What routing needs to know of one NotebookServer, taken from its spec and status. Pure.
//!
//! A server is forwarded to while it is ready, and also while nobody can tell: "could not look" is not "is not there".

use essaim_api::names::{condition, reason};
use essaim_api::{Addresses, find_condition};
use http::uri::Authority;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use serde::Deserialize;

use crate::options::Reach;

/// Messages are for reading; a longer one would only cost memory in every gateway.
const MAX_MESSAGE: usize = 1_024;

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One server, as far as the gateway cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) uid: String,
    pub(crate) state: State,
    pub(crate) report: Report,
}

/// A reason and a sentence, from a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// May a request be forwarded, and if not, why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Jupyter answers, or answered when somebody last could look.
    Up(Authority),
    /// On its way, or waiting for a machine.
    Starting,
    /// Stopped; only its user's explicit act starts it again.
    Suspended,
    /// Will not come up until somebody changes something.
    Failed,
    /// Its machine, or the Swarm, does not answer.
    Unreachable,
    /// Being deleted.
    Deleting,
    /// The status says nothing we understand.
    Unknown,
}

impl State {
    /// The word for it on pages and in JSON.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Up(_) => "Ready",
            Self::Starting => "Starting",
            Self::Suspended => "Suspended",
            Self::Failed => "Failed",
            Self::Unreachable => "Unreachable",
            Self::Deleting => "Deleting",
            Self::Unknown => "Unknown",
        }
    }
}

/// The part of spec and status that is read here. Everything is optional, so that no odd object hides the others.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    suspend: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
    addresses: Option<Addresses>,
}

/// The key and route of an object from the watch. `None` only for an object without a namespace.
pub(crate) fn from_object(object: DynamicObject, reach: Reach) -> Option<(Key, Route)> {
    let key = Key { namespace: object.namespace()?, name: object.name_any() };
    let uid = object.uid().unwrap_or_default();
    let deleting = object.metadata.deletion_timestamp.is_some();
    let generation = object.metadata.generation;
    let route = match Body::deserialize(object.data) {
        Ok(body) => {
            let (state, report) = decide(&body, deleting, generation, reach);
            Route { uid, state, report }
        }
        Err(_) => Route {
            uid,
            state: State::Unknown,
            report: report("Unreadable", "The status of this server cannot be read."),
        },
    };
    Some((key, route))
}

fn decide(body: &Body, deleting: bool, generation: Option<i64>, reach: Reach) -> (State, Report) {
    let find = |kind| find_condition(&body.status.conditions, kind);
    if deleting {
        return (State::Deleting, report("Deleting", "This server is being deleted."));
    }
    if body.spec.suspend {
        return (
            State::Suspended,
            find(condition::SUSPENDED).filter(|it| it.status == "True").map_or_else(asked_to_stop, from_condition),
        );
    }
    if let Some(suspended) = find(condition::SUSPENDED).filter(|it| it.status == "True") {
        // The report is older than the wish to run: the start was asked for and not seen yet.
        let outdated = suspended.observed_generation.zip(generation).is_none_or(|(seen, current)| seen < current);
        return if outdated {
            (State::Starting, asked_to_start())
        } else {
            (State::Suspended, from_condition(suspended))
        };
    }
    let Some(ready) = find(condition::READY) else {
        return (State::Starting, asked_to_start());
    };
    let state = match (address(body.status.addresses.as_ref(), reach), ready.status.as_str()) {
        (Some(address), "True") => State::Up(address),
        (Some(address), _) if may_still_answer(&ready.reason) => State::Up(address),
        (None, "True") => State::Unreachable,
        _ => state_of_reason(&ready.reason),
    };
    let scheduled = find(condition::SCHEDULED).filter(|it| it.status == "False" && state == State::Starting);
    (state, from_condition(scheduled.unwrap_or(ready)))
}

fn address(addresses: Option<&Addresses>, reach: Reach) -> Option<Authority> {
    let Addresses { host, overlay } = addresses?;
    let text = match reach {
        Reach::Host => host,
        Reach::Overlay => overlay,
    };
    text.as_deref()?.parse::<Authority>().ok().filter(|authority| authority.port().is_some())
}

/// Nobody could look, or Jupyter was only slow: trying costs nothing and often works.
fn may_still_answer(why: &str) -> bool {
    [reason::NOT_ANSWERING, reason::NODE_UNREACHABLE, reason::SWARM_UNREACHABLE].contains(&why)
}

fn state_of_reason(why: &str) -> State {
    match why {
        reason::STARTING
        | reason::PREPARING
        | reason::CREATING
        | reason::ASSIGNED
        | reason::RESTARTING
        // A server that is meant to run waits until its previous container is gone.
        | reason::STOPPING
        | reason::NO_MACHINE_FITS => State::Starting,
        condition::SUSPENDED | reason::SUSPENDED_BY_REQUEST | reason::SHUT_DOWN_IN_JUPYTER => State::Suspended,
        reason::CLASS_NOT_FOUND
        | reason::INVALID_SPEC
        | reason::UNKNOWN_LOGIN
        | reason::REFUSED
        | reason::IMAGE_UNAVAILABLE
        | reason::MOUNT_MISSING
        | reason::CONTAINER_FAILED
        | reason::NAME_TAKEN => State::Failed,
        reason::NOT_ANSWERING
        | reason::NODE_UNREACHABLE
        | reason::SWARM_UNREACHABLE
        | reason::SWARM_OFF
        | reason::DIRECTORY_UNAVAILABLE => State::Unreachable,
        _ => State::Unknown,
    }
}

fn from_condition(condition: &Condition) -> Report {
    report(&condition.reason, &condition.message)
}

fn asked_to_start() -> Report {
    report(reason::CREATING, "The server was asked for and will be started.")
}

fn asked_to_stop() -> Report {
    report(reason::STOPPING, "The server is being stopped.")
}

fn report(reason: &str, message: &str) -> Report {
    let end = message.floor_char_boundary(MAX_MESSAGE);
    Report { reason: reason.to_owned(), message: message[..end].to_owned() }
}

#[cfg(test)]
#[path = "route/tests.rs"]
mod tests;
