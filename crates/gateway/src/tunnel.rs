//! WebSockets: after the handshake, bytes flow both ways untouched until one side ends.
//!
//! There is no idle limit: Jupyter pings each client every 30 s, so a client that vanished ends the tunnel from there.
//! There is no half-open tunnel either.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::chain;
use crate::options::Limits;
use crate::route::Key;

/// When one side has ended, the other has so long to end too.
const LINGER: Duration = Duration::from_secs(5);

/// How many tunnels each server has; none is left out. A std mutex: it is held for a look-up only.
type Counts = Arc<Mutex<HashMap<Key, usize>>>;

/// The tunnels of a gateway. Each is a task that ends with either side, or with the gateway.
pub(crate) struct Tunnels {
    slots: Arc<Semaphore>,
    counts: Counts,
    per_server: usize,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// The two connections, once their handshakes are through.
pub(crate) struct Ends {
    pub(crate) client: OnUpgrade,
    pub(crate) server: OnUpgrade,
}

/// The right to one tunnel.
pub(crate) struct Slot<'a> {
    tunnels: &'a Tunnels,
    held: Held,
}

/// What a tunnel takes of both bounds; given back when dropped.
struct Held {
    _permit: OwnedSemaphorePermit,
    counts: Counts,
    key: Key,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

impl Tunnels {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limits.tunnels)),
            counts: Counts::default(),
            per_server: limits.tunnels_per_server,
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// `None` if there are as many tunnels as there may be, to this server or at all.
    pub(crate) fn reserve(&self, key: &Key) -> Option<Slot<'_>> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.get(key).is_some_and(|count| *count >= self.per_server) {
            return None;
        }
        *counts.entry(key.clone()).or_default() += 1;
        let held = Held { _permit: permit, counts: Arc::clone(&self.counts), key: key.clone() };
        Some(Slot { tunnels: self, held })
    }

    /// Ends all tunnels, and those that still come.
    pub(crate) async fn end(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Tunnels {
    /// A gateway whose `run` was dropped leaves no tunnel behind.
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Slot<'_> {
    /// Joins the two ends as soon as both are there.
    pub(crate) fn join(self, ends: Ends) {
        let Self { tunnels, held } = self;
        let shutdown = tunnels.shutdown.clone();
        tunnels.tasks.spawn(async move {
            shutdown.run_until_cancelled(copy(ends)).await;
            drop(held);
        });
    }
}

async fn copy(Ends { client, server }: Ends) {
    let (client, server) = match tokio::try_join!(client, server) {
        Ok(ends) => ends,
        Err(error) => {
            tracing::debug!(error = chain(&error), "a WebSocket ended during its handshake");
            return;
        }
    };
    let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
    let (from_server, to_server) = tokio::io::split(TokioIo::new(server));
    let (up, down) = (pin!(pump(from_client, to_server)), pin!(pump(from_server, to_client)));
    // Whoever does not end its side soon after the other would hold the tunnel for ever.
    let _ = match select(up, down).await {
        Either::Left(((), down)) => timeout(LINGER, down).await,
        Either::Right(((), up)) => timeout(LINGER, up).await,
    };
}

/// Carries bytes one way until they end, and says so to the other side. A broken connection ends them too.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    if let Err(error) = tokio::io::copy(&mut from, &mut to).await {
        tracing::debug!(error = chain(&error), "a WebSocket broke");
    }
    let _ = to.shutdown().await;
}
