//! The vocabulary of the store and the contract that every engine fulfils.

use std::{fmt, pin::Pin, sync::Arc};

use bytes::Bytes;
use futures::{Stream, future::BoxFuture};

use crate::figures::Figures;

/// A position in the history of the whole store; never 0 for a change that happened.
///
/// It grows with every transaction that changes something. Whether each change of a transaction has a revision of its
/// own or all have the same is the engine's choice, and revisions may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a value: a UTF-8 path such as `/registry/essaim.dev/notebookservers/alice/lab`.
///
/// Keys sort bytewise; at most 1 KiB.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Wraps a path. Its length is checked when it is committed.
    pub fn new(path: impl Into<Arc<str>>) -> Self {
        Self(path.into())
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The newest value of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name.
    pub key: Key,
    /// Its bytes.
    pub value: Bytes,
    /// When this key was created (since it last did not exist).
    pub created: Revision,
    /// When it was last changed.
    pub modified: Revision,
}

/// What must hold for a transaction to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The key does not exist.
    Absent(Key),
    /// The key exists and was last changed at exactly this revision.
    ModifiedAt(Key, Revision),
}

/// One change that a transaction makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Creates or replaces.
    Put(Key, Bytes),
    /// Removes; removing what does not exist changes nothing and takes no revision.
    Delete(Key),
}

/// Changes that happen together or not at all, if every precondition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Checked first, all against the same state.
    pub preconditions: Vec<Precondition>,
    /// At most one per key, at most 1,000 (an engine may take fewer and says so). They happen in this order.
    pub mutations: Vec<Mutation>,
}

/// The answer to a transaction that was carried out and is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The revision of each mutation, in the transaction's order, never decreasing; `None` where a delete found nothing.
    pub revisions: Vec<Option<Revision>>,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came into being.
    Created,
    /// It got a new value.
    Updated,
    /// It was removed; the change carries its last value as `previous`.
    Deleted,
}

/// One entry of the log. Watchers share it; it is never copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the history.
    pub revision: Revision,
    /// What happened.
    pub kind: ChangeKind,
    /// To which key.
    pub key: Key,
    /// The new value; empty for a deletion.
    pub value: Bytes,
    /// The record before the change: a selector that a value left needs it.
    pub previous: Option<Record>,
}

/// Which part of the store to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Keys must start with this. It ends with `/`, so that `/a/` never finds `/ab/x`.
    pub prefix: String,
    /// Continue at this key or after it; `None` starts at the prefix.
    pub start: Option<Key>,
    /// At most so many records; 0 means all.
    pub limit: usize,
    /// See the store as it was at this revision; `None` means now.
    pub at: Option<Revision>,
}

/// What a list found. Invariant: all records are of one moment, `revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order of their keys.
    pub records: Vec<Record>,
    /// The moment of this picture: a watch after it misses nothing and repeats nothing.
    pub revision: Revision,
    /// How many more records lie behind the last one.
    pub remaining: usize,
}

/// A stream of changes in the order of their revisions; after an error it ends.
///
/// Batches, because a watcher that woke up takes all there is at once. A batch is never empty and holds all changes
/// under the prefix of each of its revisions, so that a watch can be resumed after any revision that was delivered.
///
/// Guarantees: when the stream is found pending, every change under its prefix up to any revision that
/// [`Store::revision`] had returned before was delivered. A bookmark may name that revision.
pub type Watch = Pin<Box<dyn Stream<Item = Result<Vec<Arc<Change>>, Error>> + Send>>;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A precondition does not hold; `current` is what stands there.
    #[error("the precondition on {} does not hold", key.as_str())]
    Conflict {
        /// The key whose precondition failed.
        key: Key,
        /// Its record now, if it exists.
        current: Option<Box<Record>>,
    },
    /// The revision asked for is older than the log; list again.
    #[error("revision {requested} was compacted; the oldest that can be asked for is {oldest}")]
    Compacted {
        /// What was asked for.
        requested: Revision,
        /// The oldest revision still served.
        oldest: Revision,
    },
    /// The revision asked for has not happened.
    #[error("revision {requested} is in the future; the newest is {newest}")]
    Future {
        /// What was asked for.
        requested: Revision,
        /// The newest revision.
        newest: Revision,
    },
    /// The watcher was too slow and the log went past it; list again.
    #[error("the watcher fell behind and must list again")]
    Lagged,
    /// The transaction is malformed: says what to change.
    #[error("the transaction is not acceptable: {0}")]
    Invalid(String),
    /// The transaction, or a value in it, is larger than the engine takes: says how large it may be.
    #[error("the transaction is too large: {0}")]
    TooLarge(String),
    /// The engine cannot take more work now; try again later.
    #[error("the store's queue is full")]
    Busy,
    /// The disk or the engine failed. Of a transaction: nothing of it happened, or the operation says that this is not
    /// known.
    #[error("cannot {operation}")]
    Engine {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// A revisioned key-value log.
///
/// Reads answer from a picture of committed changes. They see every transaction that was acknowledged before they
/// began, by any process of the same store; an engine of several processes has to ask for that, and may fail to.
pub trait Store: Send + Sync + 'static {
    /// Carries out a transaction, and answers when it is on disk.
    ///
    /// Guarantees: all or nothing; later reads by anybody see it.
    /// Errors: [`Error::Conflict`] with the record that stands in the way; [`Error::Busy`] when the queue is full;
    /// [`Error::Engine`] also when it is not known whether the transaction was carried out.
    /// Cancellation: dropping the future does not undo it; it may or may not happen.
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, Error>>;

    /// The newest record of a key, with the revision of the store at that moment.
    ///
    /// Errors: [`Error::Engine`] when it cannot be made sure that it is the newest.
    fn get(&self, key: &Key) -> BoxFuture<'_, Result<(Option<Record>, Revision), Error>>;

    /// A page of records under a prefix, all of one moment.
    ///
    /// Errors: [`Error::Compacted`] when `at` is too old, [`Error::Future`] when it has not happened.
    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Page, Error>>;

    /// Every change under a prefix after a revision.
    ///
    /// Errors: [`Error::Compacted`] or [`Error::Future`], at once or as the stream's last item.
    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error>;

    /// The revision of the newest change that this process knows. All changes up to it are ready to be read.
    fn revision(&self) -> Revision;

    /// Whether writes are possible now, as far as the engine knows without trying.
    fn health(&self) -> Result<(), Error>;

    /// What it holds and has done. An engine that does not count says its revision only.
    fn figures(&self) -> Figures {
        Figures { revision: self.revision(), ..Figures::default() }
    }

    /// How many keys this process knows under a prefix; nothing where counting is as much work as listing.
    fn count(&self, prefix: &str) -> Option<usize> {
        let _ = prefix;
        None
    }

    /// Resolves once the store has reached the revision, for reads "not older than".
    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()>;
}
