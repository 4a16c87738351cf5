//! Consistent reads: whoever passes the barrier finds in the picture every write that anybody was told of before.
//!
//! One question to etcd serves all readers who came before it was sent; those who come later wait for the next one. The
//! question is a linearizable read of one small key, whose answer names etcd's newest revision. Then the picture has to
//! arrive there.
//!
//! It cannot arrive by itself if what is newest in etcd is somebody else's, outside the prefix. Then a write of our own
//! makes a revision that it can arrive at. (etcd can also be asked for the progress of a watch, but until 3.4.31 and
//! 3.5.13 it names revisions whose changes it has not sent yet.)

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    client::{Client, LIMIT},
    fault::Fault,
    feed::Feed,
    keyspace::Keyspace,
};
use crate::model::Error;

/// So many readers may wait at once; one more is refused.
const READERS: usize = 16_384;
/// How long the picture may take before a write of our own is worth its cost.
const GRACE: Duration = Duration::from_millis(50);

/// Everybody of a round is told the same.
type Outcome = Result<(), Arc<Fault>>;
type Waiting = oneshot::Sender<Outcome>;

/// Where readers wait.
pub(super) struct Barrier(mpsc::Sender<Waiting>);

/// What asks for them.
pub(super) struct Rounds {
    pub(super) client: Arc<Client>,
    pub(super) keyspace: Arc<Keyspace>,
    pub(super) feed: Arc<Feed>,
}

impl Barrier {
    /// The barrier and the task that serves it.
    pub(super) fn new(rounds: Rounds) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (readers, waiting) = mpsc::channel(READERS);
        (Self(readers), rounds.run(waiting))
    }

    /// Waits until the picture holds all that was acknowledged before this call; at most twice 5 s.
    pub(super) async fn pass(&self) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        let outcome = answered.await.map_err(|_| Error::Closed)?;
        outcome.map_err(|fault| Error::Engine {
            operation: "read the newest state: etcd does not tell it",
            source: Box::new(fault),
        })
    }
}

impl Rounds {
    async fn run(self, mut readers: mpsc::Receiver<Waiting>) {
        while let Some(first) = readers.recv().await {
            let mut waiting = vec![first];
            // Everybody who is here already came before the question is sent.
            while let Ok(another) = readers.try_recv() {
                waiting.push(another);
            }
            let outcome = timeout(LIMIT, self.round()).await.unwrap_or(Err(Fault::TimedOut)).map_err(Arc::new);
            if let Err(fault) = &outcome
                && let Fault::WentBack { known, found } = **fault
            {
                self.feed.distrust(known, found);
            }
            for reader in waiting {
                // A reader who is gone does not want to know.
                let _ = reader.send(outcome.clone());
            }
        }
    }

    async fn round(&self) -> Result<(), Fault> {
        let newest = self.feed.ask_newest(&self.client, &self.keyspace).await?;
        if timeout(GRACE, self.feed.arrival(newest)).await.is_ok() {
            return Ok(());
        }
        let newest = self.keyspace.revision(self.client.touch(&self.keyspace.fence).await?);
        // The limit of the whole round is shorter than this one, unless nothing else took any time.
        timeout(LIMIT, self.feed.arrival(newest)).await.map_err(|_| Fault::Late { revision: newest })
    }
}
