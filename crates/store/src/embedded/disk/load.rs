//! Reads the file into memory and checks that it tells one story.
//!
//! Invariant: what this accepts satisfies the invariants of `Picture`: the log is contiguous and ends at the newest
//! revision, and every object changed within the log is as the log left it.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use imbl::{OrdMap, Vector};
use redb::{Database, ReadTransaction, ReadableDatabase as _};

use super::{EVENTS, FORMAT, Fault, META, OBJECTS};
use crate::{
    embedded::codec::{self, EventRow, ObjectRow},
    memory::{Entry, Objects, Picture},
    model::{Change, ChangeKind, Key, Record, Revision},
};

/// What the file says about itself.
pub(super) struct Meta {
    pub(super) id: u128,
    pub(super) swept: Revision,
    newest: Revision,
}

pub(super) fn load(database: &Database) -> Result<(Meta, Picture), Fault> {
    let transaction = database.begin_read()?;
    let meta = read_meta(&transaction)?;
    let log = read_log(&transaction, &meta)?;
    let objects = read_objects(&transaction, &meta, &log)?;
    check_outcome(&log, &objects)?;
    let picture = Picture::restore(objects, log, meta.newest, meta.swept);
    Ok((meta, picture))
}

fn read_meta(transaction: &ReadTransaction) -> Result<Meta, Fault> {
    let table = transaction.open_table(META)?;
    let number = |name: &str| {
        let row = table.get(name)?;
        row.map(|row| row.value()).ok_or_else(|| Fault::Damaged(format!("it does not say its {name}")))
    };
    let revision = |name: &str| {
        let number = u64::try_from(number(name)?);
        number.map_err(|_| Fault::Damaged(format!("its {name} is not a revision")))
    };
    let found = number("format")?;
    if found != FORMAT {
        return Err(Fault::Format { found });
    }
    let newest = revision("next")?.checked_sub(1).ok_or_else(|| Fault::Damaged("its next revision is 0".into()))?;
    Ok(Meta { id: number("id")?, swept: Revision(revision("compacted")?), newest: Revision(newest) })
}

fn read_log(transaction: &ReadTransaction, meta: &Meta) -> Result<Vector<Entry>, Fault> {
    let mut log = Vector::new();
    let mut expected = meta.swept;
    for row in transaction.open_table(EVENTS)?.range::<u64>(..)? {
        let (revision, row) = row?;
        expected.0 += 1;
        if revision.value() != expected.0 {
            let found = revision.value();
            return Err(Fault::Damaged(format!("its log has event {found} where {expected} belongs")));
        }
        let event = codec::decode_event(row.value())
            .ok_or_else(|| Fault::Damaged(format!("event {expected} cannot be read")))?;
        let entry = restore_event(expected, &event, meta, &log);
        log.push_back(entry);
    }
    if expected != meta.newest {
        return Err(Fault::Damaged(format!("its log ends at {expected}, its newest revision is {}", meta.newest)));
    }
    Ok(log)
}

/// Gives the event the key and the previous value of the event before it, so that a value is in memory once.
fn restore_event(revision: Revision, row: &EventRow<'_>, meta: &Meta, log: &Vector<Entry>) -> Entry {
    let earlier = row.previous.as_ref().and_then(|previous| entry_at(log, meta, previous.modified));
    let earlier = earlier.filter(|change| change.key.as_str() == row.key);
    let key = earlier.map_or_else(|| Key::new(row.key), |change| change.key.clone());
    let previous = row.previous.as_ref().map(|previous| Record {
        key: key.clone(),
        value: shared(earlier, previous.value),
        created: previous.created,
        modified: previous.modified,
    });
    let value = Bytes::copy_from_slice(row.value);
    Entry { at: row.at, change: Arc::new(Change { revision, kind: row.kind, key, value, previous }) }
}

fn read_objects(transaction: &ReadTransaction, meta: &Meta, log: &Vector<Entry>) -> Result<Objects, Fault> {
    let mut objects = Vec::new();
    for row in transaction.open_table(OBJECTS)?.range::<&str>(..)? {
        let (key, row) = row?;
        let record = codec::decode_object(row.value()).and_then(|row| restore_object(key.value(), &row, meta, log));
        let record = record.ok_or_else(|| Fault::Damaged(format!("object {} contradicts its log", key.value())))?;
        objects.push((record.key.clone(), Arc::new(record)));
    }
    Ok(OrdMap::from(objects))
}

/// `None` if the row cannot be true.
fn restore_object(key: &str, row: &ObjectRow<'_>, meta: &Meta, log: &Vector<Entry>) -> Option<Record> {
    let ObjectRow { created, modified, value } = *row;
    if created > modified || modified > meta.newest {
        return None;
    }
    let change = entry_at(log, meta, modified);
    if change.is_some_and(|change| change.key.as_str() != key || change.value != value) {
        return None;
    }
    let key = change.map_or_else(|| Key::new(key), |change| change.key.clone());
    Some(Record { key, value: shared(change, value), created, modified })
}

/// The newest event of each key must be what became of it.
fn check_outcome(log: &Vector<Entry>, objects: &Objects) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for Entry { change, .. } in log.iter().rev() {
        if !seen.insert(&change.key) {
            continue;
        }
        let modified = objects.get(&change.key).map(|record| record.modified);
        let expected = (change.kind != ChangeKind::Deleted).then_some(change.revision);
        if modified != expected {
            return Err(Fault::Damaged(format!("object {} contradicts its log", change.key.as_str())));
        }
    }
    Ok(())
}

fn entry_at<'a>(log: &'a Vector<Entry>, meta: &Meta, revision: Revision) -> Option<&'a Change> {
    let index = revision.0.checked_sub(meta.swept.0 + 1)?;
    log.get(usize::try_from(index).ok()?).map(|entry| &*entry.change)
}

fn shared(change: Option<&Change>, value: &[u8]) -> Bytes {
    match change {
        Some(change) if change.value == value => change.value.clone(),
        _ => Bytes::copy_from_slice(value),
    }
}
