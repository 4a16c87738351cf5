//! What all restores have in common: which revisions come next, and what can go wrong.

use super::format::{BackupError, Contents};
use crate::model::{Error, Revision};

/// How far behind the backup's revision the least of a restored store lies, at least: the store may have gone on after the backup, and
/// what it told its clients then must not mean anything to the restored one.
pub const REVISION_GAP: u64 = 1_000_000_000_000;

/// The newest revision of a store that is restored; `now` is in milliseconds since 1970.
///
/// Guarantees: each revision of the restored store is greater than the backup's by the gap. It is also at least the time in
/// microseconds, so that a store that is restored twice from one backup does not tell the same revisions twice, unless more than a
/// million changes a second were made in between. It stays below 2^53 for two centuries: some clients keep revisions as floats.
pub fn revision_after(contents: &Contents, now: u64) -> Revision {
    let span = contents.revision.0 - contents.oldest.0;
    let behind = contents.revision.0.saturating_add(REVISION_GAP).saturating_add(span);
    Revision(behind.max(now.saturating_mul(1_000)))
}

/// Why a store could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be used.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// There is something already.
    #[error("{what} is there already; a backup is restored into nothing: {advice}")]
    Occupied {
        /// What is there.
        what: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The store that is being made failed.
    #[error("cannot write what is restored")]
    Store(#[source] Error),
}

impl From<Error> for RestoreError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
