//! The state of the store at one moment, as a value, and the pure steps from one to the next.
//!
//! Cloning is O(1): the collections share structure. So every reader holds a moment of its own, and the writer
//! tries a whole batch on a clone that it throws away if the disk refuses it.
//!
//! Invariant: the log holds exactly the revisions `compacted + 1 ..= revision`, in order.

use std::sync::Arc;

use bytes::Bytes;
use imbl::{OrdMap, Vector};

use super::options::Retention;
use crate::model::{Change, ChangeKind, Committed, Error, Key, Mutation, Precondition, Record, Revision, Transaction};

/// What one entry of the log takes beside key and values.
const ENTRY_BYTES: usize = 256;

/// Every key's newest record.
pub(super) type Objects = OrdMap<Key, Arc<Record>>;

/// A change and when it happened, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) change: Arc<Change>,
}

impl Entry {
    /// The memory that goes when this entry does.
    ///
    /// What a change *replaced* is held by the log alone; its new value is held by the objects, until a later entry
    /// replaces it and counts it.
    fn bytes(&self) -> usize {
        let replaced = self.change.previous.as_ref().map_or(0, |record| record.value.len());
        ENTRY_BYTES + self.change.key.as_str().len() + replaced
    }
}

/// The store at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub(super) objects: Objects,
    pub(super) log: Vector<Entry>,
    pub(super) revision: Revision,
    /// The newest revision that the log no longer holds.
    pub(super) compacted: Revision,
    log_bytes: usize,
}

impl Picture {
    /// A picture read from disk.
    pub(super) fn restore(objects: Objects, log: Vector<Entry>, revision: Revision, compacted: Revision) -> Self {
        let log_bytes = log.iter().map(Entry::bytes).sum();
        Self { objects, log, revision, compacted, log_bytes }
    }

    /// Carries out a transaction, or leaves everything as it is.
    pub(super) fn apply(&mut self, transaction: &Transaction, at: u64) -> Result<Committed, Error> {
        for precondition in &transaction.preconditions {
            self.check(precondition)?;
        }
        let revisions = transaction.mutations.iter().map(|mutation| self.mutate(mutation, at)).collect();
        Ok(Committed { revisions })
    }

    fn check(&self, precondition: &Precondition) -> Result<(), Error> {
        let (key, expected) = match precondition {
            Precondition::Absent(key) => (key, None),
            Precondition::ModifiedAt(key, revision) => (key, Some(*revision)),
        };
        let current = self.objects.get(key);
        if current.map(|record| record.modified) == expected {
            return Ok(());
        }
        Err(Error::Conflict { key: key.clone(), current: current.map(|record| Box::new(Record::clone(record))) })
    }

    fn mutate(&mut self, mutation: &Mutation, at: u64) -> Option<Revision> {
        let revision = Revision(self.revision.0 + 1);
        let change = match mutation {
            Mutation::Put(key, value) => self.put(key, value, revision),
            Mutation::Delete(key) => self.delete(key, revision)?,
        };
        self.revision = revision;
        let entry = Entry { at, change: Arc::new(change) };
        self.log_bytes += entry.bytes();
        self.log.push_back(entry);
        Some(revision)
    }

    fn put(&mut self, key: &Key, value: &Bytes, revision: Revision) -> Change {
        let previous = self.objects.get(key).map(|record| Record::clone(record));
        // The first spelling of a key is kept, so that a key has one allocation however often it changes.
        let key = previous.as_ref().map_or(key, |record| &record.key).clone();
        let created = previous.as_ref().map_or(revision, |record| record.created);
        let record = Record { key: key.clone(), value: value.clone(), created, modified: revision };
        self.objects.insert(key.clone(), Arc::new(record));
        let kind = if previous.is_some() { ChangeKind::Updated } else { ChangeKind::Created };
        Change { revision, kind, key, value: value.clone(), previous }
    }

    fn delete(&mut self, key: &Key, revision: Revision) -> Option<Change> {
        let previous = Arc::unwrap_or_clone(self.objects.remove(key)?);
        let key = previous.key.clone();
        Some(Change { revision, kind: ChangeKind::Deleted, key, value: Bytes::new(), previous: Some(previous) })
    }

    /// Forgets changes beyond the retention, none newer than `newest`; says whether it did.
    pub(super) fn trim(&mut self, retention: &Retention, now: u64, newest: Revision) -> bool {
        let age = u64::try_from(retention.age.as_millis()).unwrap_or(u64::MAX);
        let horizon = now.saturating_sub(age);
        let before = self.compacted;
        while let Some(oldest) = self.log.front() {
            let surplus = self.log.len() > retention.events || self.log_bytes > retention.bytes;
            if oldest.change.revision > newest || !(surplus || oldest.at < horizon) {
                break;
            }
            self.compacted = oldest.change.revision;
            self.log_bytes -= oldest.bytes();
            self.log.pop_front();
        }
        self.compacted > before
    }

    /// Whether everything after `revision` can still be told.
    pub(super) fn check_revision(&self, revision: Revision) -> Result<(), Error> {
        if revision < self.compacted {
            return Err(Error::Compacted { requested: revision, oldest: self.compacted });
        }
        if revision > self.revision {
            return Err(Error::Future { requested: revision, newest: self.revision });
        }
        Ok(())
    }

    /// The log after a revision, newest first: the cost is the distance, not the length of the log.
    pub(super) fn newest_first(&self, after: Revision) -> impl Iterator<Item = &Entry> {
        self.log.iter().rev().take_while(move |entry| entry.change.revision > after)
    }

    /// The objects under a prefix as they were at a revision that is still in the log; others as they happen to be.
    pub(super) fn objects_at(&self, revision: Revision, prefix: &str) -> Objects {
        let mut objects = self.objects.clone();
        for Entry { change, .. } in self.newest_first(revision) {
            if !change.key.as_str().starts_with(prefix) {
                continue;
            }
            match &change.previous {
                Some(record) => objects.insert(change.key.clone(), Arc::new(record.clone())),
                None => objects.remove(&change.key),
            };
        }
        objects
    }
}
