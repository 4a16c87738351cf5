//! Reads the file into memory and checks that it tells one story.
//!
//! Invariant: what this accepts satisfies the invariants of `Picture`: the log is contiguous and ends at the newest
//! revision, and every object changed within the log is as the log left it.

use std::{
    collections::HashSet,
    ops::{Bound, RangeInclusive},
    panic,
    sync::Arc,
    thread,
};

use bytes::Bytes;
use imbl::Vector;
use redb::{AccessGuard, Database, ReadTransaction, ReadableDatabase as _, ReadableTableMetadata as _, StorageError};

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
    let meta = read_meta(&database.begin_read()?)?;
    let log = read_log(database, &meta)?;
    let objects = read_objects(database, &meta, &log)?;
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

/// Two things at once: what a start takes is reading, decoding and copying rows, and machines have more than one core.
fn both<T: Send>(one: impl FnOnce() -> T + Send, other: impl FnOnce() -> T) -> (T, T) {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().unwrap_or_else(|panic| panic::resume_unwind(panic)), other)
    })
}

fn read_log(database: &Database, meta: &Meta) -> Result<Vector<Entry>, Fault> {
    let Meta { swept, newest, .. } = *meta;
    let middle = Revision(swept.0 + newest.0.saturating_sub(swept.0) / 2);
    let (first, second) = both(
        || read_events(database, meta, (Bound::Unbounded, Bound::Included(middle.0)), swept..=middle),
        || read_events(database, meta, (Bound::Excluded(middle.0), Bound::Unbounded), middle..=newest),
    );
    let (mut log, mut second) = (first?, second?);
    for entry in &mut second {
        let previous = entry.change.previous.as_ref().map(|record| record.modified);
        if let Some(earlier) = previous.and_then(|modified| entry_at(&log, swept, modified)) {
            share(entry, earlier);
        }
    }
    log.append(second);
    Ok(log)
}

/// The events in a range, which must be all of those after one revision and up to another.
fn read_events(
    database: &Database,
    meta: &Meta,
    range: (Bound<u64>, Bound<u64>),
    wanted: RangeInclusive<Revision>,
) -> Result<Vector<Entry>, Fault> {
    let (after, last) = wanted.into_inner();
    let mut log = Vector::new();
    let mut expected = after;
    for row in database.begin_read()?.open_table(EVENTS)?.range::<u64>(range)? {
        let (revision, row) = row?;
        expected.0 += 1;
        if revision.value() != expected.0 {
            let found = revision.value();
            return Err(Fault::Damaged(format!("its log has event {found} where {expected} belongs")));
        }
        let event = codec::decode_event(row.value())
            .ok_or_else(|| Fault::Damaged(format!("event {expected} cannot be read")))?;
        let entry = restore_event(expected, &event, after, &log);
        log.push_back(entry);
    }
    if expected != last {
        return Err(Fault::Damaged(format!("its log ends at {expected}, its newest revision is {}", meta.newest)));
    }
    Ok(log)
}

/// Gives the event the key and the previous value of the event before it, so that a value is in memory once.
fn restore_event(revision: Revision, row: &EventRow<'_>, after: Revision, log: &Vector<Entry>) -> Entry {
    let earlier = row.previous.as_ref().and_then(|previous| entry_at(log, after, previous.modified));
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

/// The same for an event that was read apart from the event before it.
fn share(entry: &mut Entry, earlier: &Change) {
    // Nobody else has it yet.
    let Some(change) = Arc::get_mut(&mut entry.change).filter(|change| change.key == earlier.key) else { return };
    change.key = earlier.key.clone();
    if let Some(previous) = &mut change.previous {
        previous.key = earlier.key.clone();
        previous.value = shared(Some(earlier), &previous.value);
    }
}

fn read_objects(database: &Database, meta: &Meta, log: &Vector<Entry>) -> Result<Objects, Fault> {
    let count = usize::try_from(database.begin_read()?.open_table(OBJECTS)?.len()?).unwrap_or(usize::MAX);
    let (first, second) = (count.div_ceil(2), count / 2);
    // Nobody knows the key in the middle, so one comes from the front and one from the back, as far as that.
    let (front, back) = both(
        || collect_objects(database.begin_read()?.open_table(OBJECTS)?.range::<&str>(..)?.take(first), meta, log),
        || {
            collect_objects(
                database.begin_read()?.open_table(OBJECTS)?.range::<&str>(..)?.rev().take(second),
                meta,
                log,
            )
        },
    );
    Ok(front?.into_iter().chain(back?.into_iter().rev()).collect())
}

type ObjectRows<'a> = (AccessGuard<'a, &'static str>, AccessGuard<'a, &'static [u8]>);

fn collect_objects<'a>(
    rows: impl Iterator<Item = Result<ObjectRows<'a>, StorageError>>,
    meta: &Meta,
    log: &Vector<Entry>,
) -> Result<Vec<(Key, Arc<Record>)>, Fault> {
    let mut objects = Vec::new();
    for row in rows {
        let (key, row) = row?;
        let record = codec::decode_object(row.value()).and_then(|row| restore_object(key.value(), &row, meta, log));
        let record = record.ok_or_else(|| Fault::Damaged(format!("object {} contradicts its log", key.value())))?;
        objects.push((record.key.clone(), Arc::new(record)));
    }
    Ok(objects)
}

/// `None` if the row cannot be true.
fn restore_object(key: &str, row: &ObjectRow<'_>, meta: &Meta, log: &Vector<Entry>) -> Option<Record> {
    let ObjectRow { created, modified, value } = *row;
    if created > modified || modified > meta.newest {
        return None;
    }
    let change = entry_at(log, meta.swept, modified);
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

/// The change at a revision, in a log that begins after another.
fn entry_at(log: &Vector<Entry>, after: Revision, revision: Revision) -> Option<&Change> {
    let index = revision.0.checked_sub(after.0 + 1)?;
    log.get(usize::try_from(index).ok()?).map(|entry| &*entry.change)
}

fn shared(change: Option<&Change>, value: &[u8]) -> Bytes {
    match change {
        Some(change) if change.value == value => change.value.clone(),
        _ => Bytes::copy_from_slice(value),
    }
}
