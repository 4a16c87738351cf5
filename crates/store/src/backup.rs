//! Backups of a store that goes on working, and what a restore makes of them.
//!
//! ```text
//! engine ─► Moment ─► Backup (blocks) ─► file ─► Reader ─► Embedded::restore, Etcd::restore
//!                                        └────► Checker (verifies as it arrives)
//! ```
//!
//! A backup is one moment of the store: every record, and no history. The format is the same for all engines, so that what one
//! wrote another can restore.
//!
//! Invariant: a file that was cut short or changed anywhere is refused, by whoever reads it.
//! Invariant: no revision of a restored store was ever told by the store that was backed up.
//!
//! It deliberately works below [`Sealed`](crate::Sealed): what is sealed in the store is sealed in the backup.

mod format;
mod read;
mod restore;
mod write;

#[cfg(test)]
mod tests;

use futures::future::BoxFuture;

use crate::{
    memory::{Objects, Picture},
    model::{Error, Revision, Store},
};

pub use self::{
    format::{BackupError, Contents},
    read::{Checker, Reader, check},
    restore::{REVISION_GAP, RestoreError, revision_after},
    write::Backup,
};

/// A store that keeps its records itself; [`Sealed`](crate::Sealed) is none, so that no opened value gets into a backup.
pub trait Engine: Store {
    /// The store as it is now, with every transaction that was acknowledged before.
    ///
    /// Errors: [`Error::Engine`] when it cannot be made sure that this is the newest.
    fn moment(&self) -> BoxFuture<'_, Result<Moment, Error>>;

    /// What tells this store from all others.
    fn identity(&self) -> String;
}

/// All records of one revision.
///
/// Costs nothing to make; while it is held, values stay in memory that were replaced since.
#[derive(Clone, Debug)]
pub struct Moment {
    objects: Objects,
    revision: Revision,
}

impl Moment {
    pub(crate) fn of(picture: Picture) -> Self {
        Self { objects: picture.objects, revision: picture.revision }
    }

    /// When it was.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How many records there were.
    pub fn objects(&self) -> u64 {
        self.objects.len() as u64
    }
}
