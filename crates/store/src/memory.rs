//! What every engine keeps in memory for its readers: the newest picture, a log of changes, and who watches what.
//!
//! An engine decides what happened and in which order, makes it durable, and publishes it here; lists and watches are
//! then the same for all engines.
//!
//! Invariant: the changes of one revision are published together, and a watcher gets all of them or none.
//! An engine may give each change a revision of its own, or one revision to all changes of a transaction.
//!
//! It deliberately knows neither disk nor network.

mod lock;
mod picture;
mod published;
mod retention;
mod topics;
mod watcher;

pub(crate) use lock::Held;
#[cfg(feature = "etcd")]
pub(crate) use picture::Contradiction;
pub use retention::Retention;
pub(crate) use {
    picture::{Entry, Objects, Picture},
    published::Published,
    watcher::watch,
};
