//! Parsed objects, shared by the watchers who select by what is inside, and by the readers of what an older schema wrote.
//!
//! However many wait for a change, its bytes are parsed and its defaults filled in once: the first one to ask
//! does the work, the others wait for it and share the result. Bounded by the size of the stored bytes in two
//! generations: when the younger one is full it becomes the older one, and what nobody asked for meanwhile is dropped.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use essaim_store::{Key, Revision};
use serde_json::Value;

/// What stands for a parsed object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) key: Key,
    /// The revision that the object shows.
    pub(super) revision: Revision,
    /// The reading: [`Resource::identity`](crate::catalogue::Resource::identity).
    pub(super) reading: u64,
    /// The state before `revision`, shown with that revision.
    pub(super) previous: bool,
}

/// Filled once; `None` if the bytes could not be read.
type Slot = Arc<OnceLock<Option<Arc<Value>>>>;

/// Stored bytes per generation; parsed, they take some five times as much. Enough for the changes that watchers with selectors look at.
const GENERATION_BYTES: usize = 512 * 1024;

/// The cache. A std mutex, because it is only held for two lookups and never across a wait or a parse.
#[derive(Default)]
pub(super) struct Parsed {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    younger: HashMap<Identity, Slot>,
    older: HashMap<Identity, Slot>,
    younger_bytes: usize,
}

impl Parsed {
    /// The object, parsed by `parse` unless somebody did it before.
    pub(super) fn get_or_parse(
        &self,
        identity: Identity,
        bytes: usize,
        parse: impl FnOnce() -> Option<Value>,
    ) -> Option<Arc<Value>> {
        let slot = self.slot(identity, bytes);
        slot.get_or_init(|| parse().map(Arc::new)).clone()
    }

    fn slot(&self, identity: Identity, bytes: usize) -> Slot {
        // A panic elsewhere leaves the maps whole, so a poisoned lock is no reason to stop.
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = generations.younger.get(&identity) {
            return slot.clone();
        }
        let slot = generations.older.remove(&identity).unwrap_or_default();
        if generations.younger_bytes + bytes > GENERATION_BYTES {
            generations.older = std::mem::take(&mut generations.younger);
            generations.younger_bytes = 0;
        }
        generations.younger_bytes += bytes;
        generations.younger.insert(identity, slot.clone());
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use essaim_store::{Key, Revision};
    use serde_json::json;

    use super::{GENERATION_BYTES, Identity, Parsed};

    fn identity(revision: u64) -> Identity {
        Identity { key: Key::new("/registry/x"), revision: Revision(revision), reading: 1, previous: false }
    }

    #[test]
    fn an_object_is_parsed_once_for_many_readers() {
        let (parsed, calls) = (Parsed::default(), AtomicUsize::new(0));
        for _ in 0..100 {
            let object = parsed.get_or_parse(identity(7), 10, || {
                calls.fetch_add(1, Ordering::Relaxed);
                Some(json!({"a": 1}))
            });
            assert_eq!(*object.unwrap(), json!({"a": 1}));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_asked_for() {
        let parsed = Parsed::default();
        parsed.get_or_parse(identity(0), 1, || Some(json!(0)));
        for revision in 1..20 {
            parsed.get_or_parse(identity(revision), GENERATION_BYTES / 2, || Some(json!(revision)));
            parsed.get_or_parse(identity(0), 1, || panic!("asked for all the time"));
        }
        let generations = parsed.generations.lock().unwrap();
        assert!(generations.younger.len() + generations.older.len() <= 6);
    }
}
