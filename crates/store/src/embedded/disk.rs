//! The file: which tables it has, and the one disk transaction that a batch becomes.
//!
//! A commit is one `fsync`: redb writes pages with checksums, flips the root and syncs, and after a crash falls
//! back to the older root if the newer one is incomplete. Its two-phase mode would sync twice to guard against
//! somebody who controls the order in which a crashing machine writes its pages. Its quick repair would write the
//! allocator's state with each commit (measured: slower) to spare a pass over the file at start; that pass is made
//! at every start anyway, because redb verifies checksums only then.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, ReadableDatabase as _, StorageBackend, TableDefinition, TableHandle as _, WriteTransaction,
    backends::FileBackend,
};

use super::codec;
use crate::{
    memory::{Entry, Picture},
    model::{Change, ChangeKind, Revision},
};

mod load;
mod restored;

pub(super) use restored::Restored;

pub(super) const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
pub(super) const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
/// Numbers by name; 128 bits because the store's id is one of them.
pub(super) const META: TableDefinition<'_, &str, u128> = TableDefinition::new("meta");

const FORMAT: u128 = 1;
/// Everything is in memory already, so redb caches little more than the upper levels of its trees.
const CACHE_BYTES: usize = 4 << 20;

/// What can be wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("another process has it open")]
    InUse,
    #[error("it is in format {found}, this version reads {FORMAT}")]
    Format { found: u128 },
    #[error("it holds something else than a store")]
    Foreign,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("the engine failed")]
    Engine(#[source] redb::Error),
    #[error("the file system failed")]
    Io(#[source] io::Error),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Corrupted(what) => Self::Damaged(what),
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::Foreign,
            redb::Error::Io(error) => Self::Io(error),
            error => Self::Engine(error),
        }
    }
}

/// Which file could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}", path.display())]
pub(super) struct OpenError {
    pub(super) path: PathBuf,
    pub(super) source: Fault,
}

/// The open file. Only the writer has it.
pub(super) struct Disk {
    database: Database,
    id: u128,
    /// The newest event whose row was removed.
    swept: Revision,
}

impl Disk {
    /// Opens or makes the file and reads it into a picture.
    pub(super) fn open(path: &Path) -> Result<(Self, Picture), Fault> {
        let opened = Self::open_backend(FileBackend::new(open_or_make(path)?)?)?;
        sync_name(path)?;
        Ok(opened)
    }

    pub(super) fn open_backend(backend: impl StorageBackend) -> Result<(Self, Picture), Fault> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.create_with_backend(backend)?;
        if !is_initialised(&database)? {
            initialise(&database)?;
        }
        let (meta, picture) = load::load(&database)?;
        Ok((Self { database, id: meta.id, swept: meta.swept }, picture))
    }

    pub(super) fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// The newest event whose row is gone.
    pub(super) fn swept(&self) -> Revision {
        self.swept
    }

    /// Writes a batch and removes the rows of events up to `sweep`; both are on disk when it returns.
    ///
    /// Errors: what is on disk then is either all of it or nothing, and only opening the file again will tell.
    pub(super) fn write(&mut self, entries: &[Entry], sweep: Option<Revision>) -> Result<(), Fault> {
        let transaction = self.database.begin_write()?;
        write_objects(&transaction, entries)?;
        write_events(&transaction, entries, sweep)?;
        write_meta(&transaction, entries, sweep)?;
        transaction.commit()?;
        self.swept = sweep.unwrap_or(self.swept);
        Ok(())
    }
}

/// It holds secrets, so nobody else may read it.
fn open_or_make(path: &Path) -> Result<File, Fault> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(Fault::Io)
}

/// A file whose name is not on disk is lost with the power, whatever was synced into it.
pub(super) fn sync_name(path: &Path) -> Result<(), Fault> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(Fault::Io)
}

fn is_initialised(database: &Database) -> Result<bool, Fault> {
    let tables: Vec<String> = database.begin_read()?.list_tables()?.map(|table| table.name().to_owned()).collect();
    if tables.iter().any(|name| name == META.name()) {
        return Ok(true);
    }
    if tables.is_empty() { Ok(false) } else { Err(Fault::Foreign) }
}

fn initialise(database: &Database) -> Result<(), Fault> {
    let transaction = database.begin_write()?;
    transaction.open_table(OBJECTS)?;
    transaction.open_table(EVENTS)?;
    found(&transaction, Revision(0))?;
    Ok(transaction.commit()?)
}

/// Makes it a store, with a new identity, whose history begins after a revision.
fn found(transaction: &WriteTransaction, newest: Revision) -> Result<(), Fault> {
    let mut meta = transaction.open_table(META)?;
    meta.insert("format", FORMAT)?;
    meta.insert("id", uuid::Uuid::new_v4().as_u128())?;
    meta.insert("next", u128::from(newest.0) + 1)?;
    meta.insert("compacted", u128::from(newest.0))?;
    Ok(())
}

/// One write for each key, whatever a batch did to it in between, in the order of the tree.
fn write_objects(transaction: &WriteTransaction, entries: &[Entry]) -> Result<(), Fault> {
    let newest: BTreeMap<&str, &Change> =
        entries.iter().map(|entry| (entry.change.key.as_str(), &*entry.change)).collect();
    let mut objects = transaction.open_table(OBJECTS)?;
    for (key, change) in newest {
        if change.kind == ChangeKind::Deleted {
            objects.remove(key)?;
            continue;
        }
        let created = change.previous.as_ref().map_or(change.revision, |record| record.created);
        objects.insert(key, codec::encode_object(created, change.revision, &change.value).as_slice())?;
    }
    Ok(())
}

fn write_events(transaction: &WriteTransaction, entries: &[Entry], sweep: Option<Revision>) -> Result<(), Fault> {
    let mut events = transaction.open_table(EVENTS)?;
    for Entry { at, change } in entries {
        events.insert(change.revision.0, codec::encode_event(*at, change).as_slice())?;
    }
    if let Some(Revision(sweep)) = sweep {
        events.retain_in(..=sweep, |_, _| false)?;
    }
    Ok(())
}

fn write_meta(transaction: &WriteTransaction, entries: &[Entry], sweep: Option<Revision>) -> Result<(), Fault> {
    let mut meta = transaction.open_table(META)?;
    if let Some(newest) = entries.last() {
        meta.insert("next", u128::from(newest.change.revision.0) + 1)?;
    }
    if let Some(Revision(sweep)) = sweep {
        meta.insert("compacted", u128::from(sweep))?;
    }
    Ok(())
}
