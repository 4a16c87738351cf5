//! WebSockets: after the handshake, bytes flow both ways untouched until one side ends.
//!
//! There is no idle limit: Jupyter pings each client every 30 s, so a client that vanished ends the tunnel from there.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::chain;

const BUFFER: usize = 16 * 1024;

/// The tunnels of a gateway. Each is a task that ends with either side, or with the gateway.
pub(crate) struct Tunnels {
    slots: Arc<Semaphore>,
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
    permit: OwnedSemaphorePermit,
}

impl Tunnels {
    pub(crate) fn new(bound: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(bound)), tasks: TaskTracker::new(), shutdown: CancellationToken::new() }
    }

    /// `None` if there are as many tunnels as there may be.
    pub(crate) fn reserve(&self) -> Option<Slot<'_>> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(Slot { tunnels: self, permit })
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
        let Self { tunnels, permit } = self;
        let shutdown = tunnels.shutdown.clone();
        tunnels.tasks.spawn(async move {
            shutdown.run_until_cancelled(copy(ends)).await;
            drop(permit);
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
    let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
    if let Err(error) = copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await {
        tracing::debug!(error = chain(&error), "a WebSocket broke");
    }
}
