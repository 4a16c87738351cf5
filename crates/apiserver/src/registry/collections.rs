//! Collections that rules rest on: whole small sets of objects, such as limits.
//!
//! Each has a stamp, a key that every write of one of its objects rewrites, save those of the status. Whoever decides by a
//! collection commits on condition that its stamp stands as it stood: a change of the collection is either seen, or comes after
//! the write. Those who only look share the stamp and do not get into each other's way.
//!
//! What was read is kept until the stamp is known to have moved. So it may be old: a write that rests on it then loses, reads
//! again and is decided anew, and no refusal is answered before the stamp was compared.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use essaim_store::{Key, Mutation, Precondition, Record, Revision};
use serde_json::Value;

use super::{Registry, commit::mutated, conversion};
use crate::{ApiError, catalogue::Resource};

/// Where all that rules keep lies: the stamps here, the rest in `quota`. No group of the API begins with a dot.
pub(super) const OWN_PREFIX: &str = "/registry/.charges/";
const STAMPS: &str = "/registry/.charges/stamps/";

/// All objects of a resource, in all namespaces and whatever their version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Collection {
    /// API group, empty for core.
    pub group: &'static str,
    /// The plural, as in the path.
    pub resource: &'static str,
}

impl Collection {
    /// The objects of a resource.
    pub const fn new(group: &'static str, resource: &'static str) -> Self {
        Self { group, resource }
    }

    /// Where its objects lie.
    pub(super) fn prefix(self) -> String {
        let group = if self.group.is_empty() { "core" } else { self.group };
        format!("/registry/{group}/{}/", self.resource)
    }

    fn stamp(self) -> Key {
        Key::new(format!("{STAMPS}{}/{}", self.group, self.resource))
    }
}

/// All objects of a collection.
type Objects = Arc<Vec<Arc<Value>>>;

/// The collections that a rule may look at, as they stood at one moment each.
#[derive(Default)]
pub struct Looks(Vec<Look>);

struct Look {
    collection: Collection,
    objects: Objects,
    /// When the collection last changed.
    stamped: Option<Revision>,
    /// The decision rests on it.
    used: AtomicBool,
}

impl Looks {
    /// Collections that hold these objects, for tests of rules.
    pub fn of(collections: impl IntoIterator<Item = (Collection, Vec<Value>)>) -> Self {
        let look = |(collection, objects): (Collection, Vec<Value>)| {
            let objects = Arc::new(objects.into_iter().map(Arc::new).collect());
            Look { collection, objects, stamped: None, used: AtomicBool::new(false) }
        };
        Self(collections.into_iter().map(look).collect())
    }

    /// The objects of a collection, in the order of their keys. From here on the decision rests on them.
    ///
    /// Errors: an internal one if the rule does not say that it rests on the collection.
    pub fn objects(&self, collection: Collection) -> Result<&[Arc<Value>], ApiError> {
        let found = self.0.iter().find(|look| look.collection == collection);
        let look = found.ok_or_else(|| {
            let Collection { group, resource } = collection;
            ApiError::internal(format!("a rule looked at {resource} of {group:?} and does not say that it rests on it"))
        })?;
        look.used.store(true, Ordering::Relaxed);
        Ok(look.objects.as_slice())
    }

    /// What must still hold when a decision that rests on them is carried out.
    pub(super) fn preconditions(&self) -> Vec<Precondition> {
        let used = self.0.iter().filter(|look| look.used.load(Ordering::Relaxed));
        used.map(|look| standing(look.collection.stamp(), look.stamped)).collect()
    }
}

impl fmt::Debug for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|look| (look.collection, look.objects.len()))).finish()
    }
}

/// The condition that a key stays as it was found.
pub(super) fn standing(key: Key, modified: Option<Revision>) -> Precondition {
    match modified {
        Some(revision) => Precondition::ModifiedAt(key, revision),
        None => Precondition::Absent(key),
    }
}

/// The key that a condition is about.
pub(super) fn guarded(precondition: &Precondition) -> &Key {
    match precondition {
        Precondition::Absent(key) | Precondition::ModifiedAt(key, _) => key,
    }
}

/// Collections as they were read last. A std mutex: it is held for a lookup.
#[derive(Default)]
pub(super) struct Looked {
    known: Mutex<HashMap<Collection, Known>>,
}

#[derive(Clone)]
struct Known {
    stamped: Option<Revision>,
    /// The reading: [`Resource::identity`], nothing if the resource was not served.
    reading: Option<u64>,
    objects: Objects,
}

impl Looked {
    fn locked(&self) -> MutexGuard<'_, HashMap<Collection, Known>> {
        // A panic elsewhere leaves the map whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The collection with this stamp has changed.
    pub(super) fn forget(&self, stamp: &Key) {
        if stamp.as_str().starts_with(STAMPS) {
            self.locked().retain(|collection, _| collection.stamp() != *stamp);
        }
    }
}

impl Registry {
    /// The collections, as they were read last or as they are now.
    pub(super) async fn look(&self, collections: &[Collection]) -> Result<Looks, ApiError> {
        let mut looks = Vec::with_capacity(collections.len());
        for &collection in collections {
            let Known { stamped, objects, .. } = self.known(collection).await?;
            looks.push(Look { collection, objects, stamped, used: AtomicBool::new(false) });
        }
        Ok(Looks(looks))
    }

    async fn known(&self, collection: Collection) -> Result<Known, ApiError> {
        let resource = self.stored_resource(collection);
        let reading = resource.as_ref().map(|resource| resource.identity);
        let kept = self.looked.locked().get(&collection).filter(|known| known.reading == reading).cloned();
        if let Some(known) = kept {
            return Ok(known);
        }
        // The stamp first: objects that are newer than it make the write lose, older ones cannot be.
        let stamped = self.fetch(&collection.stamp()).await?.map(|record| record.modified);
        let objects = match &resource {
            Some(resource) => self.read_all(resource).await?,
            None => Arc::default(),
        };
        let known = Known { stamped, reading, objects };
        self.looked.locked().insert(collection, known.clone());
        Ok(known)
    }

    async fn read_all(&self, resource: &Arc<Resource>) -> Result<Objects, ApiError> {
        let records = conversion::served(self.records(&resource.storage_prefix).await?, resource).await?;
        let read = |record: &Record| self.codec.value(record, resource).map(Arc::new);
        records.iter().map(read).collect::<Result<Vec<_>, _>>().map(Arc::new)
    }

    /// The resource in the version that is stored, if that is served, else in another one.
    fn stored_resource(&self, collection: Collection) -> Option<Arc<Resource>> {
        let table = self.catalogue.table();
        let mut served = table.resources.iter().filter(|one| one.is(collection.group, collection.resource)).peekable();
        let first = (*served.peek()?).clone();
        Some(served.find(|one| one.storage_schema.is_none()).cloned().unwrap_or(first))
    }

    /// Rewrites the stamps of the collections that a write changes.
    pub(super) fn stamp(&self, mutations: &mut Vec<Mutation>) {
        for (collection, prefix) in &self.stamped {
            let concerned = mutations.iter().map(mutated).find(|key| key.as_str().starts_with(prefix));
            if let Some(key) = concerned {
                let last = key.as_str().to_owned();
                mutations.push(Mutation::Put(collection.stamp(), last.into()));
            }
        }
    }

    /// The first of these conditions that does not hold any more; what was read under it is forgotten.
    pub(super) async fn stale(&self, preconditions: &[Precondition]) -> Result<Option<Key>, ApiError> {
        for precondition in preconditions {
            let key = guarded(precondition);
            let modified = self.fetch(key).await?.map(|record| record.modified);
            if standing(key.clone(), modified) != *precondition {
                self.forget(key);
                return Ok(Some(key.clone()));
            }
        }
        Ok(None)
    }
}
