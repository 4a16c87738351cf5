//! A file that is being made from a backup.
//!
//! Invariant: it is no store before it is whole: what makes it one is written last, so that a file that was left behind half
//! written is refused whatever it is called.

use std::{fs, io, path::Path};

use redb::{Builder, Database, WriteTransaction, backends::FileBackend};

use super::{CACHE_BYTES, Disk, EVENTS, Fault, OBJECTS, found, open_or_make};
use crate::{
    embedded::codec,
    model::{Record, Revision},
};

/// Records gather to transactions of so many bytes.
const BATCH_BYTES: usize = 16 << 20;

/// The file, and what was written to it.
pub(in crate::embedded) struct Restored {
    database: Database,
    batch: Vec<Record>,
    batch_bytes: usize,
}

impl Restored {
    /// Begins a new file in place of what an earlier attempt left. Two attempts at once have a file each, and one name.
    pub(in crate::embedded) fn begin(path: &Path) -> Result<Self, Fault> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Fault::Io(error)),
            _ => {}
        }
        let backend = FileBackend::new(open_or_make(path)?)?;
        let mut builder = Builder::new();
        let database = builder.set_cache_size(CACHE_BYTES).create_with_backend(backend)?;
        // From now on it is taken for neither a store nor a file in which one can be made.
        let transaction = database.begin_write()?;
        transaction.open_table(OBJECTS)?;
        transaction.commit()?;
        Ok(Self { database, batch: Vec::new(), batch_bytes: 0 })
    }

    /// Adds a record with the revisions that it has here.
    pub(in crate::embedded) fn add(&mut self, record: Record) -> Result<(), Fault> {
        self.batch_bytes += record.key.as_str().len() + record.value.len();
        self.batch.push(record);
        if self.batch_bytes < BATCH_BYTES {
            return Ok(());
        }
        let transaction = self.database.begin_write()?;
        self.write(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// Makes it a store at this revision, without history, and looks whether what can be opened there is that, whole.
    pub(in crate::embedded) fn finish(mut self, path: &Path, newest: Revision, objects: u64) -> Result<(), Fault> {
        let transaction = self.database.begin_write()?;
        self.write(&transaction)?;
        transaction.open_table(EVENTS)?;
        found(&transaction, newest)?;
        transaction.commit()?;
        drop(self.database);
        let (_, found) = Disk::open(path)?;
        let count = found.objects.len() as u64;
        if found.revision != newest || count != objects {
            let revision = found.revision;
            let what = format!("{count} objects at revision {revision}, {objects} at {newest} were written");
            return Err(Fault::Damaged(what));
        }
        Ok(())
    }

    fn write(&mut self, transaction: &WriteTransaction) -> Result<(), Fault> {
        let mut objects = transaction.open_table(OBJECTS)?;
        for Record { key, value, created, modified } in self.batch.drain(..) {
            objects.insert(key.as_str(), codec::encode_object(created, modified, &value).as_slice())?;
        }
        self.batch_bytes = 0;
        Ok(())
    }
}
