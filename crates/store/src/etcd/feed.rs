//! What is known of etcd's history, and up to where.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    client::{Client, LIMIT},
    fault::Fault,
    keyspace::Keyspace,
    load::Loaded,
    wire::RangeRequest,
};
use crate::{
    memory::{Held as _, Published},
    model::Revision,
};

/// What the feeder shares with the rest of the engine; only the feeder publishes.
pub(super) struct Feed {
    pub(super) published: Arc<Published>,
    /// The picture lacks nothing up to here. Beyond the picture's own revision when etcd said that nothing happened.
    complete: watch::Sender<Revision>,
    cluster: AtomicU64,
    followed: AtomicBool,
    /// Why everything has to be read anew, found out by somebody else than the feeder.
    distrust: Mutex<Option<Fault>>,
    distrusted: Notify,
}

impl Feed {
    pub(super) fn new(Loaded { picture, newest: _, cluster }: Loaded) -> Self {
        Self {
            complete: watch::Sender::new(picture.revision),
            published: Arc::new(Published::new(picture)),
            cluster: AtomicU64::new(cluster),
            followed: AtomicBool::new(false),
            distrust: Mutex::default(),
            distrusted: Notify::new(),
        }
    }

    pub(super) fn cluster(&self) -> u64 {
        self.cluster.load(Ordering::Relaxed)
    }

    pub(super) fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Relaxed)
    }

    pub(super) fn complete(&self) -> Revision {
        *self.complete.borrow()
    }

    /// Resolves when the picture lacks nothing up to a revision.
    pub(super) fn arrival(&self, revision: Revision) -> impl Future<Output = ()> + Send + use<> {
        let mut complete = self.complete.subscribe();
        async move {
            if complete.wait_for(|complete| *complete >= revision).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for a revision for as long as there is progress.
    pub(super) async fn approach(&self, revision: Revision) -> Result<(), Fault> {
        while self.complete() < revision {
            let next = Revision(self.complete().0 + 1);
            timeout(LIMIT, self.arrival(next)).await.map_err(|_| Fault::Late { revision })?;
        }
        Ok(())
    }

    /// Etcd's newest revision; at least that of every write that was acknowledged before the question.
    ///
    /// Errors: among others [`Fault::WentBack`] if etcd's history is not the one that is known.
    pub(super) async fn ask_newest(&self, client: &Client, keyspace: &Keyspace) -> Result<Revision, Fault> {
        let (known, cluster) = (self.complete(), self.cluster());
        let key = keyspace.fence.clone().into_bytes();
        let request = RangeRequest { key, range_end: Vec::new(), limit: 1, revision: 0, keys_only: true };
        let header = client.range(request).await?.header.ok_or(Fault::Malformed { what: "header" })?;
        let found = keyspace.revision(header.revision);
        if found < known || header.cluster_id != cluster {
            return Err(Fault::WentBack { known, found });
        }
        Ok(found)
    }

    /// Has everything read anew, because somebody else than the feeder found out that it must be.
    pub(super) fn distrust(&self, known: Revision, found: Revision) {
        if self.complete() < known {
            return; // It was read anew since.
        }
        *self.distrust.lock().held() = Some(Fault::WentBack { known, found });
        self.distrusted.notify_one();
    }

    /// Says whether changes arrive at the moment.
    pub(super) fn set_followed(&self, followed: bool) {
        self.followed.store(followed, Ordering::Relaxed);
    }

    /// Notes that the picture lacks nothing up to a revision.
    pub(super) fn arrive(&self, at: Revision) {
        self.complete.send_if_modified(|complete| {
            let later = at > *complete;
            *complete = at.max(*complete);
            later
        });
    }

    /// Resolves with the reason when somebody distrusts what is known.
    pub(super) async fn distrusted(&self) -> Fault {
        loop {
            self.distrusted.notified().await;
            if let Some(fault) = self.distrust.lock().held().take() {
                return fault;
            }
        }
    }

    /// Puts in place what was read anew.
    pub(super) fn replace(&self, Loaded { picture, newest: _, cluster }: Loaded) {
        let revision = picture.revision;
        self.distrust.lock().held().take();
        self.cluster.store(cluster, Ordering::Relaxed);
        self.published.replace(picture);
        self.complete.send_replace(revision);
    }
}
