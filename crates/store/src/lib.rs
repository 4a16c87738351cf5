//! A revisioned key-value log.
//!
//! The store knows bytes, not kinds. It keeps every key's newest value, one integer [`Revision`] for the
//! whole store that grows with each transaction, and a log of recent changes from which watches are served.
//!
//! Invariant: an acknowledged [`Transaction`] survives `kill -9` and power loss, and no reader, lister or
//! watcher sees a change before it is on disk.
//!
//! Invariant: a watch delivers every change after the revision that it names, once, in order, or ends with
//! [`Error::Compacted`] / [`Error::Lagged`]. Nothing is skipped.
//!
//! It deliberately does not retry, does not parse values and has no notion of resource or namespace.

mod backup;
mod embedded;
#[cfg(feature = "etcd")]
mod etcd;
mod figures;
mod limits;
mod memory;
mod model;
mod sealed;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use backup::{
    Backup, BackupError, Checker, Contents, Engine, Moment, REVISION_GAP, Reader, RestoreError, check as check_backup,
    revision_after,
};
#[cfg(any(test, feature = "faults"))]
pub use embedded::FaultyDrive;
pub use embedded::{Clock, Embedded, Options};
#[cfg(feature = "etcd")]
pub use etcd::{Etcd, EtcdOptions, EtcdTls};
pub use figures::{Figures, Spread};
pub use memory::Retention;
pub use model::{
    Change, ChangeKind, Committed, Error, Key, ListRequest, Mutation, Page, Precondition, Record, Revision, Store,
    Transaction, Watch,
};
pub use sealed::{SealCheck, Sealed, SealingKey};
