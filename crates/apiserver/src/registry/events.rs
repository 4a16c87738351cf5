//! Events fade: an hour after its last change an event is removed, and earlier when there are too many.
//!
//! The time of a change is when this task saw it, so that a clock in an event cannot keep it for ever; after a start it is
//! the time that the event names.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use essaim_store::{ChangeKind, Key, Mutation, Precondition, Record, Revision};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Registry, commit::Failure, tasks::News};

/// Where the events of both groups lie.
pub(super) const PREFIX: &str = "/registry/core/events/";
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// More events than this are not kept, however young.
const MOST: usize = 50_000;

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

    /// Removes what is old enough from the front of the queue. One by one: what one transaction removes can have one revision, and a
    /// watch that breaks off in the middle of it could not be resumed.
    pub(super) async fn remove_expired(&self, oldest_first: &mut VecDeque<Dated>) {
        let limit = (self.clock)().saturating_sub(LIFETIME).unwrap_or(Timestamp::MIN);
        while oldest_first.len() > MOST || oldest_first.front().is_some_and(|one| one.since <= limit) {
            let Some(Dated { key, revision, since }) = oldest_first.pop_front() else { return };
            let unchanged = vec![Precondition::ModifiedAt(key.clone(), revision)];
            match self.commit_one(unchanged, Mutation::Delete(key.clone())).await {
                // It is gone already, or changed, and its newer state stands further back.
                Ok(_) | Err(Failure::Lost(_)) => {}
                Err(Failure::Refused(error)) => {
                    tracing::warn!(%error, "cannot remove old events");
                    oldest_first.push_front(Dated { key, revision, since });
                    return;
                }
            }
        }
    }
}

/// What a start finds, by the latest time that each event names; the future counts as now.
pub(super) fn dated(records: &[Record], now: Timestamp) -> VecDeque<Dated> {
    let dated = records.iter().map(|record| {
        let since = named_time(&record.value).unwrap_or(now).min(now);
        Dated { key: record.key.clone(), revision: record.modified, since }
    });
    let mut oldest_first: Vec<Dated> = dated.collect();
    oldest_first.sort_by_key(|one| (one.since, one.revision));
    oldest_first.into()
}

fn named_time(bytes: &[u8]) -> Option<Timestamp> {
    let event: Value = serde_json::from_slice(bytes).ok()?;
    let paths = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/metadata/creationTimestamp"];
    paths.iter().filter_map(|path| event.pointer(path)?.as_str()?.parse().ok()).max()
}
