//! Events fade: an hour after its last change an event is removed, and earlier when there are too many.
//!
//! The time of a change is when this task saw it, so that a clock in an event cannot keep it for ever; after a start it is
//! the time that the event names.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use essaim_store::{ChangeKind, Key, Mutation, Precondition, Record, Revision, Transaction};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Registry, commit::Failure, tasks::News};
use crate::ApiError;

/// Where the events of both groups lie.
pub(super) const PREFIX: &str = "/registry/core/events/";
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// More events than this are not kept, however young.
const MOST: usize = 50_000;

/// So many events go in one transaction.
const BATCH: usize = 100;
/// How often a batch is looked at again when one of its events changes meanwhile.
const ATTEMPTS: usize = 5;

/// One state of an event and when it was new.
pub(super) struct Dated {
    key: Key,
    revision: Revision,
    since: Timestamp,
}

impl Registry {
    /// Removes old events. Ends with the store.
    pub(super) async fn expire_events(self: Arc<Self>) {
        let mut follower = self.follow(PREFIX);
        let mut oldest_first = VecDeque::new();
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                news = follower.next() => match news {
                    None => return,
                    Some(News::All(records)) => oldest_first = dated(&records, (self.clock)()),
                    Some(News::Changes(changes)) => {
                        let since = (self.clock)();
                        let lasting = changes.iter().filter(|change| change.kind != ChangeKind::Deleted);
                        oldest_first.extend(lasting.map(|one| Dated { key: one.key.clone(), revision: one.revision, since }));
                    }
                },
                _ = sweep.tick() => self.remove_expired(&mut oldest_first).await,
            }
        }
    }

    /// Removes what is old enough from the front of the queue.
    pub(super) async fn remove_expired(&self, oldest_first: &mut VecDeque<Dated>) {
        let limit = (self.clock)().saturating_sub(LIFETIME).unwrap_or(Timestamp::MIN);
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH
                && (oldest_first.len() > MOST || oldest_first.front().is_some_and(|one| one.since <= limit))
            {
                batch.extend(oldest_first.pop_front());
            }
            if batch.is_empty() {
                return;
            }
            if let Err(error) = self.remove_events(&batch).await {
                tracing::warn!(%error, "cannot remove old events");
                batch.into_iter().rev().for_each(|one| oldest_first.push_front(one));
                return;
            }
        }
    }

    /// Removes the events of a batch that did not change since; those stand further back in the queue once more.
    async fn remove_events(&self, batch: &[Dated]) -> Result<(), ApiError> {
        for _ in 0..ATTEMPTS {
            let mut transaction = Transaction::default();
            for Dated { key, revision, .. } in batch {
                if self.fetch(key).await?.is_some_and(|record| record.modified == *revision) {
                    transaction.preconditions.push(Precondition::ModifiedAt(key.clone(), *revision));
                    transaction.mutations.push(Mutation::Delete(key.clone()));
                }
            }
            if transaction.mutations.is_empty() {
                return Ok(());
            }
            match self.commit(transaction).await {
                Ok(_) => return Ok(()),
                Err(Failure::Lost(_)) => {}
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
        Err(ApiError::too_many_requests())
    }
}

/// What a start finds, by the latest time that each event names; the future counts as now.
pub(super) fn dated(records: &[Record], now: Timestamp) -> VecDeque<Dated> {
    let mut ordered: BTreeMap<(Timestamp, Revision), &Record> = BTreeMap::new();
    for record in records {
        ordered.insert((named_time(&record.value).unwrap_or(now).min(now), record.modified), record);
    }
    let dated =
        ordered.into_iter().map(|((since, revision), record)| Dated { key: record.key.clone(), revision, since });
    dated.collect()
}

fn named_time(bytes: &[u8]) -> Option<Timestamp> {
    let event: Value = serde_json::from_slice(bytes).ok()?;
    let paths = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/metadata/creationTimestamp"];
    paths.iter().filter_map(|path| event.pointer(path)?.as_str()?.parse().ok()).max()
}
