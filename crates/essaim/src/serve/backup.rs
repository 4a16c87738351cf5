//! Backups for whoever may `get` their path: one moment of the store, block by block.
//!
//! A backup takes no memory but a block, and the values that were replaced since its moment; therefore few go on at once, and none
//! for long, however slowly it is taken.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use essaim_api::names;
use essaim_apiserver::{ApiError, RawHandler};
use essaim_store::{Backup, Engine};
use futures::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, JoinSet},
};

/// So many may be under way.
const PLACES: usize = 2;
/// After this one ends, whether it is complete or not.
const LIMIT: Duration = Duration::from_mins(15);

/// A backup and its place; `None` once it was taken, or took too long.
type Slot = Arc<Mutex<Option<(Backup, OwnedSemaphorePermit)>>>;

/// What all backups share.
struct Backups {
    engine: Arc<dyn Engine>,
    places: Arc<Semaphore>,
    /// One for each backup under way: ends it when it takes too long.
    watches: Mutex<JoinSet<()>>,
    limit: Duration,
}

/// The handler of the path.
pub(super) fn handler(engine: Arc<dyn Engine>) -> RawHandler {
    let backups = Arc::new(Backups::new(engine, LIMIT));
    RawHandler::new(names::BACKUP_PATH, move |request| {
        let backups = backups.clone();
        async move { backups.begin(&request.user.name).await }
    })
}

impl Backups {
    fn new(engine: Arc<dyn Engine>, limit: Duration) -> Self {
        Self { engine, places: Arc::new(Semaphore::new(PLACES)), watches: Mutex::default(), limit }
    }

    async fn begin(&self, user: &str) -> Result<Response, ApiError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| busy())?;
        let moment = self.engine.moment().await.map_err(ApiError::internal)?;
        let made = u64::try_from(crate::now().as_millisecond()).unwrap_or_default();
        tracing::info!(user, revision = %moment.revision(), objects = moment.objects(), "a backup is taken");
        let backup = Backup::new(moment, self.engine.identity(), made);
        let slot: Slot = Arc::new(Mutex::new(Some((backup, place))));
        let taking = Taking { watch: self.watch(slot.clone()), slot };
        let body = Body::from_stream(stream::iter(taking));
        Ok(([(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, "no-store")], body).into_response())
    }

    /// Lets go of the backup after the limit, also when nobody asks for its next block.
    fn watch(&self, slot: Slot) -> AbortHandle {
        let limit = self.limit;
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        while watches.try_join_next().is_some() {}
        watches.spawn(async move {
            tokio::time::sleep(limit).await;
            if empty(&slot) {
                tracing::warn!("a backup took too long and was ended");
            }
        })
    }
}

/// Lets go of what is in the slot; says whether there was something.
fn empty(slot: &Slot) -> bool {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
}

/// The blocks of one backup, and at its end whether it was all of it.
struct Taking {
    slot: Slot,
    watch: AbortHandle,
}

impl Iterator for Taking {
    type Item = io::Result<axum::body::Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.as_mut() {
            Some((backup, _)) => backup.next().map(Ok),
            None => Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the backup took too long"))),
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        empty(&self.slot);
        self.watch.abort();
    }
}

fn busy() -> ApiError {
    let mut error = ApiError::new(429, "TooManyRequests", format!("{PLACES} backups are under way: try again later"));
    error.retry_after_seconds = Some(60);
    error
}

#[cfg(test)]
mod tests {
    use essaim_store::{Checker, Embedded, Key, Mutation, Options, Store as _, Transaction};
    use futures::StreamExt as _;

    use super::*;

    async fn backups(limit: Duration) -> (Arc<Embedded>, Backups, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path().join("store.redb"), Options::default()).unwrap();
        for n in 0..50 {
            let mutations = vec![Mutation::Put(Key::new(format!("/a/{n}")), vec![b'v'; 100_000].into())];
            store.commit(Transaction { preconditions: vec![], mutations }).await.unwrap();
        }
        (store.clone(), Backups::new(store, limit), directory)
    }

    #[tokio::test]
    async fn few_go_on_at_once_and_a_place_comes_back_when_one_ends_or_is_dropped() {
        let (_store, backups, _directory) = backups(LIMIT).await;
        let (first, second) = (backups.begin("ada").await.unwrap(), backups.begin("ada").await.unwrap());
        let refused = backups.begin("ada").await.unwrap_err();
        assert_eq!((refused.code, refused.retry_after_seconds), (429, Some(60)));
        drop(first);
        let third = backups.begin("ada").await.unwrap();
        let mut checker = Checker::default();
        let mut body = second.into_body().into_data_stream();
        while let Some(block) = body.next().await {
            checker.feed(&block.unwrap()).unwrap();
        }
        assert_eq!(checker.finish().unwrap().objects, 50);
        drop(body);
        assert!(backups.begin("ada").await.is_ok());
        drop(third);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nobody_takes_is_let_go() {
        let (_store, backups, _directory) = backups(Duration::from_secs(5)).await;
        let mut stuck = backups.begin("ada").await.unwrap().into_body().into_data_stream();
        let mut checker = Checker::default();
        checker.feed(&stuck.next().await.unwrap().unwrap()).unwrap();
        let _other = backups.begin("ada").await.unwrap();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(backups.places.available_permits(), PLACES, "nobody asked for a block, and yet they ended");
        assert!(stuck.next().await.unwrap().is_err(), "not as if it were complete");
        assert!(checker.finish().is_err());
    }
}
