//! What etcd's watch says becomes the picture: one task follows it and is the only one that publishes.
//!
//! Invariant: the changes of one revision are published together. etcd never spreads a revision over two answers; an answer
//! that comes in pieces is put together first.
//!
//! When the connection breaks, nothing is lost: the watch goes on after the newest revision that is known. When etcd has
//! forgotten that one, or says something that does not follow from what is known, everything is read anew, and all
//! watches end, because nobody can tell what they missed.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    client::Client,
    fault::Fault,
    feed::Feed,
    keyspace::{Keyspace, Place},
    load,
    options::EtcdOptions,
    wire::{Event, WatchCreateRequest, WatchResponse},
};
use crate::{
    embedded::Clock,
    memory::Retention,
    model::{Change, Mutation},
};

/// How often the log is looked at while nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// How long to wait before trying again: the shortest, doubled each time, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The task's state.
pub(super) struct Feeder {
    client: Arc<Client>,
    keyspace: Arc<Keyspace>,
    feed: Arc<Feed>,
    retention: Retention,
    clock: Clock,
    /// Never goes back, so that the times in the log are in order.
    now: u64,
    backoff: Duration,
}

impl Feeder {
    pub(super) fn new(client: &Arc<Client>, keyspace: &Arc<Keyspace>, feed: &Arc<Feed>, options: &EtcdOptions) -> Self {
        Self {
            client: Arc::clone(client),
            keyspace: Arc::clone(keyspace),
            feed: Arc::clone(feed),
            retention: options.retention,
            clock: Arc::clone(&options.clock),
            now: 0,
            backoff: BACKOFF.0,
        }
    }

    /// Follows etcd until it is dropped, or another store is there.
    pub(super) async fn run(mut self) {
        loop {
            let fault = self.follow().await;
            self.feed.set_followed(false);
            if fault.needs_reading_anew() {
                tracing::error!(
                    error = &fault as &dyn std::error::Error,
                    "etcd's history cannot be followed; all watches end and everything is read anew"
                );
                if !self.read_anew().await {
                    return;
                }
                continue;
            }
            tracing::warn!(
                error = &fault as &dyn std::error::Error,
                "the watch of etcd ended; it will go on where it was"
            );
            self.client.leave_member();
            self.wait().await;
        }
    }

    /// Waits a little longer each time.
    async fn wait(&mut self) {
        sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }

    /// False if that cannot succeed any more: revisions mean something else, and nothing that was told can be told again.
    async fn read_anew(&mut self) -> bool {
        loop {
            match load::newest(&self.client, &self.keyspace).await {
                Ok(loaded) => {
                    self.feed.replace(loaded);
                    return true;
                }
                Err(fault @ (Fault::AnotherEpoch | Fault::Restoring)) => {
                    tracing::error!(
                        error = &fault as &dyn std::error::Error,
                        "this process cannot go on; start it again"
                    );
                    self.feed.published.close();
                    return false;
                }
                Err(fault) => {
                    tracing::warn!(error = &fault as &dyn std::error::Error, "cannot read etcd; trying again");
                    self.wait().await;
                }
            }
        }
    }

    /// Publishes what one watch says, until it ends.
    async fn follow(&mut self) -> Fault {
        // A watch would wait in silence for a revision that etcd does not know any more.
        if let Err(fault) = self.feed.ask_newest(&self.client, &self.keyspace).await {
            return fault;
        }
        let after = self.feed.complete();
        let (key, range_end) = self.keyspace.range();
        let start_revision = self.keyspace.number(after) + 1;
        let create = WatchCreateRequest { key, range_end, start_revision, progress_notify: true, fragment: true };
        let mut watch = match self.client.watch(create).await {
            Ok(watch) => watch,
            Err(fault) => return fault,
        };
        let mut pieces = Vec::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let feed = Arc::clone(&self.feed);
        loop {
            let taken = tokio::select! {
                response = watch.message() => match response {
                    Ok(Some(response)) => self.take(&mut pieces, response),
                    Ok(None) => Err(Fault::Canceled { reason: "without a word".to_owned() }),
                    Err(status) => Err(status.into()),
                },
                fault = feed.distrusted() => Err(fault),
                _ = tick.tick() => {
                    self.forget();
                    Ok(())
                }
            };
            if let Err(fault) = taken {
                return fault;
            }
        }
    }

    fn take(&mut self, pieces: &mut Vec<Event>, response: WatchResponse) -> Result<(), Fault> {
        if response.canceled && response.compact_revision > 0 {
            return Err(Fault::Compacted { revision: self.feed.complete() });
        }
        if response.canceled {
            return Err(Fault::Canceled { reason: response.cancel_reason });
        }
        self.feed.set_followed(true);
        self.backoff = BACKOFF.0;
        if response.created {
            return Ok(());
        }
        if response.events.is_empty() && pieces.is_empty() {
            // Nothing happened under the prefix up to this revision; the notice stands in line behind all changes.
            let header = response.header.ok_or(Fault::Malformed { what: "header" })?;
            self.feed.arrive(self.keyspace.revision(header.revision));
            return Ok(());
        }
        pieces.extend(response.events);
        if response.fragment {
            return Ok(());
        }
        self.publish(std::mem::take(pieces))
    }

    fn publish(&mut self, events: Vec<Event>) -> Result<(), Fault> {
        self.read_clock();
        let (mut next, complete) = (self.feed.published.picture(), self.feed.complete());
        let before = next.revision;
        for event in events {
            let deleted = event.is_deletion();
            let kv = event.kv.ok_or(Fault::Malformed { what: "key" })?;
            let created = self.keyspace.revision(kv.create_revision);
            let modified = self.keyspace.revision(kv.mod_revision);
            if modified <= before {
                continue; // Told again, for example by a member that was behind the one before.
            }
            if modified <= complete || modified < next.revision {
                return Err(Fault::Disordered { revision: modified });
            }
            if kv.key == self.keyspace.epoch_key.as_bytes() {
                return Err(Fault::AnotherEpoch);
            }
            if let Place::Object(key) = self.keyspace.place(&kv.key) {
                let mutation = if deleted { Mutation::Delete(key) } else { Mutation::Put(key, Bytes::from(kv.value)) };
                next.repeat(&mutation, modified, created, self.now)?;
            }
            next.revision = modified;
        }
        let mut changes: Vec<Arc<Change>> = next.newest_first(before).map(|entry| Arc::clone(&entry.change)).collect();
        changes.reverse();
        next.trim(&self.retention, self.now, before);
        let newest = next.revision;
        self.feed.published.publish(next, &changes);
        self.feed.arrive(newest);
        Ok(())
    }

    /// Forgets what became too old while nothing happened.
    fn forget(&mut self) {
        self.read_clock();
        let mut next = self.feed.published.picture();
        let newest = next.revision;
        if next.trim(&self.retention, self.now, newest) {
            self.feed.published.publish(next, &[]);
        }
    }

    fn read_clock(&mut self) {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = self.now.max(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    }
}
