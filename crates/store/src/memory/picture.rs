//! The state of the store at one moment, as a value, and the pure steps from one to the next.
//!
//! Cloning is O(1): the collections share structure. So every reader holds a moment of its own, and whoever makes the
//! next one works on a clone that it can throw away.
//!
//! Invariant: the log holds every change after `compacted` and up to `revision`, in order. Changes of one revision
//! stand together and are forgotten together. An engine may leave revisions out; one that does not (the embedded one)
//! finds exactly `compacted + 1 ..= revision` here.

use std::sync::Arc;

use bytes::Bytes;
use imbl::{OrdMap, Vector};

use super::retention::Retention;
use crate::model::{Change, ChangeKind, Committed, Error, Key, Mutation, Precondition, Record, Revision, Transaction};

/// What one entry of the log takes beside key and values.
const ENTRY_BYTES: usize = 256;

/// Every key's newest record.
pub(crate) type Objects = OrdMap<Key, Arc<Record>>;

/// A change and when it happened, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: u64,
    pub(crate) change: Arc<Change>,
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

/// What was heard cannot have happened to the picture: something before it was not heard.
#[cfg(feature = "etcd")]
#[derive(Debug, thiserror::Error)]
#[error("the change of {} at revision {revision} does not follow from what is known", key.as_str())]
pub(crate) struct Contradiction {
    key: Key,
    revision: Revision,
}

/// The store at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) objects: Objects,
    pub(crate) log: Vector<Entry>,
    pub(crate) revision: Revision,
    /// The newest revision that the log no longer holds.
    pub(crate) compacted: Revision,
    log_bytes: usize,
}

impl Picture {
    /// A picture that was read from where the engine keeps it.
    pub(crate) fn restore(objects: Objects, log: Vector<Entry>, revision: Revision, compacted: Revision) -> Self {
        let log_bytes = log.iter().map(Entry::bytes).sum();
        Self { objects, log, revision, compacted, log_bytes }
    }

    /// Carries out a transaction, or leaves everything as it is.
    pub(crate) fn apply(&mut self, transaction: &Transaction, at: u64) -> Result<Committed, Error> {
        for precondition in &transaction.preconditions {
            self.check(precondition)?;
        }
        let mutations = transaction.mutations.iter();
        let revisions = mutations.map(|mutation| self.mutate(mutation, Revision(self.revision.0 + 1), at)).collect();
        Ok(Committed { revisions })
    }

    /// Repeats what happened elsewhere, in the order in which it did; the created revision that is told for a put
    /// shows whether anything was missed.
    ///
    /// Errors: the picture is then neither the one before nor the one after.
    #[cfg(feature = "etcd")]
    pub(crate) fn repeat(
        &mut self,
        mutation: &Mutation,
        revision: Revision,
        created: Revision,
        at: u64,
    ) -> Result<(), Contradiction> {
        let (Mutation::Put(key, _) | Mutation::Delete(key)) = mutation;
        let known = self.objects.get(key).map(|record| record.created);
        let follows = match mutation {
            Mutation::Put(..) => known.unwrap_or(revision) == created,
            Mutation::Delete(_) => known.is_some(),
        };
        if !follows || revision < self.revision {
            return Err(Contradiction { key: key.clone(), revision });
        }
        self.mutate(mutation, revision, at);
        Ok(())
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

    fn mutate(&mut self, mutation: &Mutation, revision: Revision, at: u64) -> Option<Revision> {
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

    /// Forgets changes beyond the retention, whole revisions and none newer than `newest`; says whether it did.
    pub(crate) fn trim(&mut self, retention: &Retention, now: u64, newest: Revision) -> bool {
        let age = u64::try_from(retention.age.as_millis()).unwrap_or(u64::MAX);
        let horizon = now.saturating_sub(age);
        let before = self.compacted;
        while let Some(oldest) = self.log.front() {
            let surplus = self.log.len() > retention.events || self.log_bytes > retention.bytes;
            let begun = oldest.change.revision == self.compacted;
            if oldest.change.revision > newest || !(begun || surplus || oldest.at < horizon) {
                break;
            }
            self.compacted = oldest.change.revision;
            self.log_bytes -= oldest.bytes();
            self.log.pop_front();
        }
        self.compacted > before
    }

    /// Whether everything after `revision` can still be told.
    pub(crate) fn check_revision(&self, revision: Revision) -> Result<(), Error> {
        if revision < self.compacted {
            return Err(Error::Compacted { requested: revision, oldest: self.compacted });
        }
        if revision > self.revision {
            return Err(Error::Future { requested: revision, newest: self.revision });
        }
        Ok(())
    }

    /// The log after a revision, newest first: the cost is the distance, not the length of the log.
    pub(crate) fn newest_first(&self, after: Revision) -> impl Iterator<Item = &Entry> {
        self.log.iter().rev().take_while(move |entry| entry.change.revision > after)
    }

    /// The objects under a prefix as they were at a revision that is still in the log; others as they happen to be.
    pub(crate) fn objects_at(&self, revision: Revision, prefix: &str) -> Objects {
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

#[cfg(all(test, feature = "etcd"))]
mod tests {
    use super::{Bytes, Key, Mutation, Picture, Retention, Revision};

    fn put(path: &str) -> Mutation {
        Mutation::Put(Key::new(path), Bytes::from_static(b"value"))
    }

    /// Two keys at each of the revisions 10, 20, … 50.
    fn picture() -> Picture {
        let mut picture = Picture::default();
        for revision in (10..=50).step_by(10).map(Revision) {
            for path in ["/a", "/b"] {
                assert!(picture.repeat(&put(path), revision, Revision(10), 0).is_ok());
            }
        }
        picture
    }

    #[test]
    fn changes_of_one_revision_are_forgotten_together() {
        for (events, compacted, left) in [(10, 0, 10), (9, 10, 8), (5, 30, 4), (0, 40, 2)] {
            let mut picture = picture();
            picture.trim(&Retention { events, ..Retention::default() }, 0, Revision(40));
            assert_eq!((picture.compacted, picture.log.len()), (Revision(compacted), left), "keeping {events}");
        }
    }

    #[test]
    fn what_cannot_follow_is_noticed() {
        let absent = Mutation::Delete(Key::new("/c"));
        let cases = [
            ("a deletion of what is not there", absent, Revision(60), Revision(0)),
            ("an update of what is not there", put("/c"), Revision(60), Revision(50)),
            ("a creation of what is there", put("/a"), Revision(60), Revision(60)),
            ("a step back", put("/a"), Revision(40), Revision(10)),
        ];
        for (what, mutation, revision, created) in cases {
            assert!(picture().repeat(&mutation, revision, created, 0).is_err(), "{what}");
        }
    }
}
