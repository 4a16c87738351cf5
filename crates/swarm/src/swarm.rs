//! The backend: the pieces put together.

use std::{sync::Arc, time::Duration};

use essaim_backend::swarm::{Action, Changed, Error, Observed, Owner};
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::{
    calls::CallCounts,
    docker::Docker,
    failure::Failure,
    hints::{Hints, Pace},
    look::Looker,
    rounds::Rounds,
    url::{self, BadUrl, Url},
};

/// How the Swarm is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Tells the time for `Observed::taken_at`.
    pub clock: fn() -> Timestamp,
    /// The name of an owner's service; one of somebody else that bears it is shown to the owner.
    pub service_name: fn(&Owner) -> String,
    /// Limit of each call to the manager.
    pub timeout: Duration,
    /// Least time between two rounds of looks.
    pub spacing: Duration,
    /// Time between two rounds while nothing moves and somebody listens to `changes()`.
    pub settled: Duration,
    /// Time between two rounds while a container is on its way up or down.
    pub unsettled: Duration,
}

impl Options {
    /// The usual times: calls are given up after 10 s, rounds are 50 ms apart at least, 100 ms while things move, 2 s while nothing does.
    pub fn new(clock: fn() -> Timestamp, service_name: fn(&Owner) -> String) -> Self {
        Options {
            clock,
            service_name,
            timeout: Duration::from_secs(10),
            spacing: Duration::from_millis(50),
            settled: Duration::from_secs(2),
            unsettled: Duration::from_millis(100),
        }
    }
}

/// A Docker Swarm, seen from one of its managers.
///
/// Guarantees: see [`essaim_backend::swarm::Swarm`]. Dropping it ends its background tasks, and the streams of `changes()`.
pub struct Swarm {
    service_name: fn(&Owner) -> String,
    pub(crate) docker: Arc<Docker>,
    rounds: Arc<Rounds>,
    hints: Arc<Hints>,
    _tasks: JoinSet<()>,
}

impl Swarm {
    /// Prepares a connection to a manager, `None` being Docker's default socket; nothing is sent before the first look.
    ///
    /// A manager that does not answer now is no error: it may come up later. Assumption: called within a tokio runtime.
    pub fn connect(url: Option<&str>, options: Options) -> Result<Self, BadUrl> {
        let Options { clock, service_name, timeout, spacing, settled, unsettled } = options;
        let docker = Arc::new(Docker::new(&Url::parse(url.unwrap_or(url::DEFAULT))?, timeout));
        let rounds = Arc::new(Rounds::new(Looker::new(Arc::clone(&docker), clock), spacing));
        let hints = Arc::new(Hints::new(Pace { settled, unsettled }));
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let rounds = Arc::clone(&rounds);
            async move { rounds.run().await }
        });
        tasks.spawn({
            let (rounds, hints) = (Arc::clone(&rounds), Arc::clone(&hints));
            async move { hints.run(&rounds).await }
        });
        Ok(Swarm { service_name, docker, rounds, hints, _tasks: tasks })
    }

    /// What the manager was asked so far.
    pub fn calls(&self) -> CallCounts {
        self.docker.calls().read()
    }
}

impl essaim_backend::swarm::Swarm for Swarm {
    async fn observe(&self, owner: &Owner, max_age: Duration) -> Result<Observed, Error> {
        let round = self.rounds.round(Some(&owner.uid), max_age).await.ok_or_else(|| {
            let ended = Failure::silence("waiting for a round", std::io::Error::other("the backend was shut down"));
            Error::Unreachable { operation: "look at the Swarm", source: Box::new(ended) }
        })?;
        let picture = round.result.as_ref().map_err(crate::failure::LookFailure::error)?;
        let observed = picture.observed(owner, &(self.service_name)(owner));
        self.hints.note_foreign(owner, &observed);
        Ok(observed)
    }

    async fn apply(&self, owner: &Owner, action: &Action) -> Result<(), Error> {
        // Also when this future is dropped half way: the manager may have carried the action out.
        let _marked = Marked { swarm: self, uid: &owner.uid };
        crate::apply::apply(&self.docker, owner, action).await
    }

    fn changes(&self) -> BoxStream<'static, Changed> {
        self.hints.stream()
    }
}

/// Marks the end of an apply, however it ends.
struct Marked<'a> {
    swarm: &'a Swarm,
    uid: &'a str,
}

impl Drop for Marked<'_> {
    fn drop(&mut self) {
        self.swarm.rounds.applied(self.uid);
        self.swarm.hints.poke();
    }
}
