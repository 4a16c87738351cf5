//! How transactions wait for the writer: bounded in number and in bytes, and whoever finds it full is told at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::{self, Receiver, SyncSender, TrySendError},
};

use tokio::sync::oneshot;

use super::options::Options;
use crate::{
    limits,
    model::{Committed, Error, Transaction},
};

/// Where the writer's answer goes.
pub(super) type Answer = oneshot::Sender<Result<Committed, Error>>;

/// The writer's end.
pub(super) type Queue = Receiver<Request>;

/// A transaction that waits.
pub(super) struct Request {
    pub(super) transaction: Transaction,
    pub(super) answer: Answer,
    space: Space,
}

impl Request {
    pub(super) fn bytes(&self) -> usize {
        self.space.bytes
    }
}

/// A part of the queue's bytes, given back when dropped.
struct Space {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Space {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The callers' end; the queue is closed when it is dropped.
pub(super) struct Admission {
    sender: SyncSender<Request>,
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl Admission {
    pub(super) fn new(options: &Options) -> (Self, Queue) {
        let (sender, queue) = mpsc::sync_channel(options.queue.max(1));
        (Self { sender, used: Arc::default(), limit: options.queue_bytes }, queue)
    }

    /// Queues a transaction without waiting.
    pub(super) fn submit(
        &self,
        transaction: Transaction,
    ) -> Result<oneshot::Receiver<Result<Committed, Error>>, Error> {
        let bytes = limits::size(&transaction);
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let space = Space { used: Arc::clone(&self.used), bytes };
        // One transaction alone is never too large for the queue; `limits` has bounded it.
        if before > 0 && before + bytes > self.limit {
            return Err(Error::Busy);
        }
        let (answer, answered) = oneshot::channel();
        self.sender.try_send(Request { transaction, answer, space }).map_err(|error| match error {
            TrySendError::Full(_) => Error::Busy,
            TrySendError::Disconnected(_) => Error::Closed,
        })?;
        Ok(answered)
    }
}
