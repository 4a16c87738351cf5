//! One command at a time changes the site.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::wait;

/// As long as the slowest holder may take: a first `up` that installs packages and builds images.
const LIMIT: Duration = Duration::from_mins(30);

/// Held as long as it lives; the kernel releases it when the process ends, however it ends.
pub(crate) struct Lock {
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Waits for whoever holds it.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        Self::take_within(path, LIMIT)
    }

    fn take_within(path: &Path, limit: Duration) -> Result<Self, Error> {
        let what = format!("another test bed command, which holds {}", path.display());
        wait::until(&what, limit, &"`ps`, which shows that command", || {
            let file = File::options().create(true).append(true).open(path).map_err(Error::file("open", path))?;
            match file.try_lock() {
                Ok(()) => Ok(is_at(&file, path).then(|| Self { _file: file, path: path.to_owned() })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(source)) => Err(Error::file("lock", path)(source)),
            }
        })
    }

    /// Removes the lock file as well, at the end of `down`: whoever waits on the removed one opens it anew.
    pub(crate) fn remove(self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(Error::file("remove", &self.path))
    }
}

/// The holder before may have removed the file between our opening and our locking it.
fn is_at(file: &File, path: &Path) -> bool {
    let opened = file.metadata().map(|metadata| metadata.ino());
    let present = fs::metadata(path).map(|metadata| metadata.ino());
    matches!((opened, present), (Ok(opened), Ok(present)) if opened == present)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_holders_never_overlap_even_when_the_file_is_removed_in_between() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let short = Duration::from_millis(100);

        let first = Lock::take_within(&path, short).unwrap();
        assert!(Lock::take_within(&path, short).is_err());
        fs::remove_file(&path).unwrap();
        drop(first);
        let second = Lock::take_within(&path, short).unwrap();
        assert!(Lock::take_within(&path, short).is_err());
        drop(second);
        Lock::take_within(&path, short).unwrap();
    }
}
