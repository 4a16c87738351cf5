//! Makes a store's file from a backup: under another name until it is whole.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    Embedded,
    disk::{self, Fault, Restored},
};
use crate::{
    backup::{Contents, Reader, RestoreError},
    model::{Error, Record, Revision},
};

const ADVICE: &str = "stop essaim and move it away, or name another data directory";

impl Embedded {
    /// Makes the file of a store from a backup that was verified before, with `newest` as its newest revision.
    ///
    /// All records keep the order in which they were created and changed. Whatever clients remember of the store before is
    /// compacted, so they list again.
    ///
    /// Guarantees: the file is there as a whole, or not at all; what an interrupted attempt left goes with the next one.
    /// Errors: [`RestoreError::Occupied`] if there is a file already, unless it is empty.
    ///
    pub fn restore<R: Read>(
        path: impl AsRef<Path>,
        mut backup: Reader<R>,
        verified: &Contents,
        newest: Revision,
    ) -> Result<(), RestoreError> {
        let path = path.as_ref();
        make_room(path)?;
        let draft = draft(path);
        let mut restored = Restored::begin(&draft).map_err(failed(&draft))?;
        let shift = newest.0.saturating_sub(verified.revision.0);
        while let Some(records) = backup.records()? {
            for record in records {
                let (created, modified) = (Revision(record.created.0 + shift), Revision(record.modified.0 + shift));
                restored.add(Record { created, modified, ..record }).map_err(failed(&draft))?;
            }
        }
        backup.finish(verified)?;
        restored.finish(&draft, newest, verified.objects).map_err(failed(&draft))?;
        put_in_place(&draft, path)
    }
}

/// Refuses to put a store where something is; an empty file is nothing.
fn make_room(path: &Path) -> Result<(), RestoreError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(path)(Fault::Io(error))),
        Ok(found) if found.is_file() && found.len() == 0 => {
            fs::remove_file(path).map_err(|error| failed(path)(Fault::Io(error)))
        }
        Ok(_) => Err(occupied(path)),
    }
}

/// A link fails where a new name would replace what came to be there meanwhile.
fn put_in_place(draft: &Path, path: &Path) -> Result<(), RestoreError> {
    fs::hard_link(draft, path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => occupied(path),
        _ => failed(path)(Fault::Io(error)),
    })?;
    fs::remove_file(draft).map_err(|error| failed(draft)(Fault::Io(error)))?;
    disk::sync_name(path).map_err(failed(path))
}

fn draft(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".restoring");
    name.into()
}

fn occupied(path: &Path) -> RestoreError {
    RestoreError::Occupied { what: path.display().to_string(), advice: ADVICE }
}

fn failed(path: &Path) -> impl FnOnce(Fault) -> RestoreError {
    let path = path.to_owned();
    move |source| {
        let source = Box::new(disk::OpenError { path, source });
        RestoreError::Store(Error::Engine { operation: "restore the store", source })
    }
}
