//! The etcd engine: the data lives in etcd (3.4 and later), several processes use it at once.
//!
//! ```text
//! commit ─► one etcd transaction ─► wait until the picture has it ─► answer
//! get, list ─► barrier: etcd's revision now ─► wait until the picture has it ─► picture
//! etcd ─► one watch ─► feeder: apply whole revisions ─► publish ─► picture and topics ─► watchers
//! ```
//!
//! Keys and values are those of the embedded engine, byte for byte. A revision is etcd's, so all changes of a
//! transaction have the same one.
//!
//! Invariant: what is published is in etcd's log on a majority of its members.
//! Invariant: a revision that this engine names belongs to a change under its prefix, so every other process that
//! watches the same prefix reaches it too, whoever else writes to the same etcd.
//!
//! It deliberately does not repeat a write whose outcome is unknown, and elects nobody.

mod barrier;
mod client;
mod compaction;
mod epoch;
mod fault;
mod feed;
mod feeder;
mod keyspace;
mod load;
mod options;
mod restore;
mod transaction;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use self::{
    barrier::{Barrier, Rounds},
    client::{Client, LIMIT},
    fault::Fault,
    feed::Feed,
    feeder::Feeder,
    keyspace::Keyspace,
};
use crate::{
    backup::{Engine, Moment},
    figures::Figures,
    limits,
    memory::{self, Held as _},
    model::{Committed, Error, Key, ListRequest, Page, Record, Revision, Store, Transaction, Watch},
};

pub use self::options::{EtcdOptions, EtcdTls};

/// So many transactions may be on their way at once; one more is refused with [`Error::Busy`].
const WRITES: usize = 1_024;

/// A store in etcd, one handle of many.
///
/// Dropping the last reference closes it.
pub struct Etcd {
    client: Arc<Client>,
    keyspace: Arc<Keyspace>,
    feed: Arc<Feed>,
    barrier: Barrier,
    writes: Semaphore,
    /// Empty once closed.
    tasks: Mutex<JoinSet<()>>,
}

impl Etcd {
    /// Connects and reads everything under the prefix into memory.
    ///
    /// Must be called within a tokio runtime, which then runs the engine's tasks.
    /// Errors: [`Error::Invalid`] for options that cannot be meant; [`Error::Engine`] when no member can be reached within
    /// 5 s, is older than 3.4, or stops answering.
    pub async fn open(options: EtcdOptions) -> Result<Arc<Self>, Error> {
        let keyspace = Keyspace::new(&options.prefix)?;
        let client = Arc::new(Client::new(&options)?);
        let failed = |source: Fault| Error::Engine { operation: "open the store in etcd", source: Box::new(source) };
        client.check_version().await.map_err(failed)?;
        let epoch = epoch::read(&client, &keyspace).await.map_err(failed)?;
        let keyspace = Arc::new(keyspace.in_epoch(epoch));
        let loaded = load::oldest(&client, &keyspace).await.map_err(failed)?;
        let newest = loaded.newest;
        let feed = Arc::new(Feed::new(loaded));
        let (barrier, rounds) = Barrier::new(Rounds {
            client: Arc::clone(&client),
            keyspace: Arc::clone(&keyspace),
            feed: Arc::clone(&feed),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(rounds);
        tasks.spawn(Feeder::new(&client, &keyspace, &feed, &options).run());
        if let Some(every) = options.compact_every {
            tasks.spawn(compaction::run(Arc::clone(&client), Arc::clone(&keyspace), every));
        }
        feed.approach(newest).await.map_err(failed)?;
        let picture = feed.published.picture();
        tracing::info!(
            cluster = %format_args!("{:x}", feed.cluster()), epoch = epoch.number, revision = %picture.revision, compacted = %picture.compacted,
            objects = picture.objects.len(), "opened the store in etcd"
        );
        let (writes, tasks) = (Semaphore::new(WRITES), Mutex::new(tasks));
        Ok(Arc::new(Self { client, keyspace, feed, barrier, writes, tasks }))
    }

    /// The identity of the cluster: revisions of two stores cannot be compared.
    pub fn id(&self) -> String {
        format!("{:016x}", self.feed.cluster())
    }

    /// Whether changes arrive. While they do not, reads of "now" and most writes fail; the engine keeps trying.
    pub fn health(&self) -> Result<(), Error> {
        if self.tasks.lock().held().is_empty() {
            return Err(Error::Closed);
        }
        if self.feed.is_followed() {
            return Ok(());
        }
        Err(Error::Engine { operation: "follow etcd", source: Box::new(Fault::NotFollowed) })
    }

    /// Ends all watches and lets go of etcd. What was sent may still happen; doing it again does nothing.
    pub fn close(&self) {
        // Replaced, not aborted: an empty set is how everybody knows.
        drop(std::mem::take(&mut *self.tasks.lock().held()));
        self.feed.published.close();
    }

    async fn submit(&self, transaction: Transaction) -> Result<Committed, Error> {
        limits::check(&transaction)?;
        let request = transaction::request(&transaction, &self.keyspace, epoch::holds(&self.keyspace))?;
        let _place = self.writes.try_acquire().map_err(|_| Error::Busy)?;
        if self.tasks.lock().held().is_empty() || self.feed.published.is_closed() {
            return Err(Error::Closed);
        }
        let response = self.client.transact(request).await.map_err(Fault::of_write)?;
        let committed = transaction::answer(&transaction, response, &self.keyspace)?;
        if let Some(newest) = committed.revisions.iter().flatten().max() {
            self.wait_to_read(*newest).await;
        }
        Ok(committed)
    }

    /// Lets the picture catch up with a write of our own, so that whoever is told of it also finds it in a watch.
    ///
    /// The write has happened, so it is acknowledged also when this takes too long: reads of "now" wait by themselves.
    async fn wait_to_read(&self, revision: Revision) {
        if timeout(LIMIT, self.feed.published.reached(revision)).await.is_err() {
            tracing::warn!(%revision, "etcd's watch is late with a write of our own");
        }
    }

    async fn read(&self, key: &Key) -> Result<(Option<Record>, Revision), Error> {
        self.barrier.pass().await?;
        let picture = self.feed.published.picture();
        Ok((picture.objects.get(key).map(|record| Record::clone(record)), picture.revision))
    }

    async fn read_page(&self, request: ListRequest) -> Result<Page, Error> {
        if self.feed.published.is_closed() {
            return Err(Error::Closed);
        }
        // A moment that the picture knows does not change any more.
        if request.at.is_none_or(|at| at > self.feed.published.revision()) {
            self.barrier.pass().await?;
        }
        self.feed.published.list(&request)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.close();
    }
}

impl Engine for Etcd {
    fn moment(&self) -> BoxFuture<'_, Result<Moment, Error>> {
        async move {
            self.barrier.pass().await?;
            Ok(Moment::of(self.feed.published.picture()))
        }
        .boxed()
    }

    fn identity(&self) -> String {
        self.id()
    }
}

impl Store for Etcd {
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, Error>> {
        self.submit(transaction).boxed()
    }

    fn get(&self, key: &Key) -> BoxFuture<'_, Result<(Option<Record>, Revision), Error>> {
        let key = key.clone();
        async move { self.read(&key).await }.boxed()
    }

    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Page, Error>> {
        self.read_page(request).boxed()
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        memory::watch(&self.feed.published, prefix, after)
    }

    fn health(&self) -> Result<(), Error> {
        Etcd::health(self)
    }

    fn revision(&self) -> Revision {
        self.feed.published.revision()
    }

    fn figures(&self) -> Figures {
        self.feed.published.figures()
    }

    fn count(&self, prefix: &str) -> Option<usize> {
        Some(self.feed.published.count(prefix))
    }

    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()> {
        self.feed.published.reached(revision).boxed()
    }
}
