//! The embedded engine: one file, one writer, everything also in memory.
//!
//! ```text
//! commit ─► queue ─► writer thread: check, stage ─► one disk transaction ─► publish ─► answers
//!                                                                             │
//! get, list ◄── picture (an immutable value, cloned in O(1)) ◄────────────────┤
//! watch     ◄── topics  (shared logs, one per watched prefix) ◄───────────────┘
//! ```
//!
//! Invariant: what is published is on disk; what is answered is published.
//! Invariant: reads touch memory only, so they neither wait for the disk nor fail with it.
//!
//! It deliberately has no second process and no repair of a damaged file.

mod codec;
mod disk;
#[cfg(any(test, feature = "faults"))]
mod drive;
mod options;
mod queue;
mod restore;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock, RwLock},
    thread::{self, JoinHandle},
};

use futures::{FutureExt as _, future::BoxFuture};
use redb::backends::InMemoryBackend;

use self::{
    disk::{Disk, Fault},
    queue::Admission,
    writer::Writer,
};
use crate::{
    backup::{Engine, Moment},
    figures::{Figures, Meter},
    limits,
    memory::{self, Held as _, Picture, Published},
    model::{Committed, Error, Key, ListRequest, Page, Record, Revision, Store, Transaction, Watch},
};

#[cfg(any(test, feature = "faults"))]
pub use self::drive::FaultyDrive;
#[cfg(feature = "etcd")]
pub(crate) use self::options::system_clock;
pub use self::options::{Clock, Options};

/// Why no more writes are accepted; set once, the first reason stays.
type Failed = Arc<OnceLock<Arc<Fault>>>;

/// A store in one file of this machine, for one process.
///
/// Dropping the last handle closes it: what was queued is still written, then the file is released.
pub struct Embedded {
    id: String,
    published: Arc<Published>,
    meter: Arc<Meter>,
    failed: Failed,
    /// `None` once closed. A lock, because any clone of the `Arc` may close the store while others commit.
    admission: RwLock<Option<Admission>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the file, or makes it, and reads all of it into memory.
    ///
    /// Blocks for as long as reading takes; call it before serving.
    /// Errors: [`Error::Engine`], whose source says whether another process holds the file, its format is not
    /// supported, or it is damaged.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Arc<Self>, Error> {
        let path = path.as_ref();
        let opened = Disk::open(path).map_err(|source| Error::Engine {
            operation: "open the store",
            source: Box::new(disk::OpenError { path: path.to_owned(), source }),
        })?;
        Self::start(opened, options)
    }

    /// A store that lies in memory and is gone with its last handle: for tests of whoever stands on a store.
    ///
    /// It differs from one in a file by nothing but the file.
    pub fn in_memory(options: Options) -> Result<Arc<Self>, Error> {
        let opened = Disk::open_backend(InMemoryBackend::new())
            .map_err(|source| Error::Engine { operation: "make a store in memory", source: Box::new(source) })?;
        Self::start(opened, options)
    }

    /// The same on a drive that fails when a test wants it to.
    #[cfg(any(test, feature = "faults"))]
    pub fn open_on(drive: &FaultyDrive, options: Options) -> Result<Arc<Self>, Error> {
        let opened = Disk::open_backend(drive.clone());
        let opened = opened.map_err(|fault| Error::Engine { operation: "open the store", source: Box::new(fault) });
        Self::start(opened?, options)
    }

    fn start((disk, picture): (Disk, Picture), options: Options) -> Result<Arc<Self>, Error> {
        let id = disk.id();
        tracing::info!(
            store = %id, revision = %picture.revision, compacted = %picture.compacted, objects = picture.objects.len(),
            "opened the store"
        );
        let published = Arc::new(Published::new(picture));
        let (failed, meter) = (Failed::default(), Arc::<Meter>::default());
        let (admission, queue) = Admission::new(&options);
        let writer = Writer::new(disk, Arc::clone(&published), Arc::clone(&meter), Arc::clone(&failed), queue, options);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| Error::Engine { operation: "start the store's writer", source: Box::new(source) })?;
        let (admission, thread) = (RwLock::new(Some(admission)), Mutex::new(Some(thread)));
        Ok(Arc::new(Self { id, published, meter, failed, admission, thread }))
    }

    /// A random name given to the file when it was made: revisions of two stores cannot be compared.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether writes are possible. After a failure of the disk they are not, until the store is opened again.
    pub fn health(&self) -> Result<(), Error> {
        if let Some(fault) = self.failed.get() {
            return Err(stopped(fault));
        }
        let running = self.thread.lock().held().as_ref().is_some_and(|thread| !thread.is_finished());
        if running { Ok(()) } else { Err(Error::Closed) }
    }

    /// Writes what is queued, ends all watches and releases the file. Reads go on; doing it again does nothing.
    ///
    /// Blocks until the last batch is on disk.
    pub fn close(&self) {
        self.admission.write().held().take();
        let thread = self.thread.lock().held().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer panicked");
        }
        self.published.close();
    }

    async fn submit(&self, transaction: Transaction) -> Result<Committed, Error> {
        limits::check(&transaction)?;
        if let Some(fault) = self.failed.get() {
            return Err(stopped(fault));
        }
        let answer = {
            let admission = self.admission.read().held();
            admission.as_ref().ok_or(Error::Closed)?.submit(limits::own(transaction))?
        };
        answer.await.unwrap_or_else(|_| Err(self.health().err().unwrap_or(Error::Closed)))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

impl Engine for Embedded {
    fn moment(&self) -> BoxFuture<'_, Result<Moment, Error>> {
        std::future::ready(Ok(Moment::of(self.published.picture()))).boxed()
    }

    fn identity(&self) -> String {
        self.id.clone()
    }
}

impl Store for Embedded {
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, Error>> {
        self.submit(transaction).boxed()
    }

    fn get(&self, key: &Key) -> BoxFuture<'_, Result<(Option<Record>, Revision), Error>> {
        let picture = self.published.picture();
        let record = picture.objects.get(key).map(|record| Record::clone(record));
        std::future::ready(Ok((record, picture.revision))).boxed()
    }

    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Page, Error>> {
        async move { self.published.list(&request) }.boxed()
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        memory::watch(&self.published, prefix, after)
    }

    fn health(&self) -> Result<(), Error> {
        Embedded::health(self)
    }

    fn revision(&self) -> Revision {
        self.published.revision()
    }

    fn figures(&self) -> Figures {
        let (batches, commits) = self.meter.spreads();
        Figures { batches: Some(batches), commits: Some(commits), ..self.published.figures() }
    }

    fn count(&self, prefix: &str) -> Option<usize> {
        Some(self.published.count(prefix))
    }

    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()> {
        self.published.reached(revision).boxed()
    }
}

/// What callers are told after the store stopped.
fn stopped(fault: &Arc<Fault>) -> Error {
    Error::Engine { operation: "write: the store stopped when its disk failed", source: Box::new(Arc::clone(fault)) }
}
