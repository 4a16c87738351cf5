//! What was asked once need not be asked again: converted texts, and the questions under way.
//!
//! However many watch a change in another version, the webhook is asked once: who comes later waits for the same answer.
//! What is stored does not change, so an answer counts until it makes room, or until the specification of its definition changes.
//!
//! A question belongs to the one who asked it first. If that one gives up, those who wait for it carry it on, but nobody else joins;
//! a failure is told to all who waited, and kept for nobody.
//!
//! Bounded by the size of the stored texts, in two generations: when the younger one is full it becomes the older one.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use essaim_store::{Key, Record, Revision};
use futures::{FutureExt as _, future::BoxFuture};

use crate::{ApiError, catalogue::Resource};

/// Stored bytes per generation; enough for a page or two, and for the changes that watchers wait for.
const GENERATION_BYTES: usize = 1024 * 1024;

/// Which text, in which version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    key: Key,
    /// When the text was written.
    written: Revision,
    /// Names the version: [`Resource::identity`].
    reading: u64,
}

impl Identity {
    pub(super) fn new(key: &Key, written: Revision, resource: &Resource) -> Self {
        Self { key: key.clone(), written, reading: resource.identity }
    }
}

/// A text that is to be converted.
pub(super) struct Wanted {
    pub(super) identity: Identity,
    pub(super) text: Bytes,
}

impl Wanted {
    pub(super) fn of(record: &Record, resource: &Resource) -> Self {
        Self { identity: Identity::new(&record.key, record.modified, resource), text: record.value.clone() }
    }
}

/// Why there is no answer, for everybody who waited.
#[derive(Clone, Debug)]
pub(super) struct Failed(Arc<ApiError>);

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self(Arc::new(error))
    }
}

impl From<Failed> for ApiError {
    fn from(Failed(error): Failed) -> Self {
        Self::new(error.code, error.reason, error.message.clone())
    }
}

type Answer = Result<Arc<Vec<Bytes>>, Failed>;
type Asked = futures::future::Shared<BoxFuture<'static, Answer>>;

/// One text of an answer.
#[derive(Clone)]
pub(super) struct Place {
    asked: Asked,
    at: usize,
}

impl Place {
    pub(super) async fn text(self) -> Result<Bytes, ApiError> {
        let texts = self.asked.await?;
        texts.get(self.at).cloned().ok_or_else(|| ApiError::internal("a conversion lost its object"))
    }
}

/// A question that was asked first here.
pub(super) struct Claim<'a> {
    shared: &'a Shared,
    identities: Vec<Identity>,
    /// Not waited for itself, so that it tells whether there is an answer.
    asked: Asked,
}

impl Claim<'_> {
    pub(super) fn asked(&self) -> Asked {
        self.asked.clone()
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !matches!(self.asked.peek(), Some(Ok(_))) {
            let mut kept = self.shared.locked();
            for identity in &self.identities {
                kept.remove(identity, &self.asked);
            }
        }
    }
}

/// Where the texts come from.
pub(super) struct Joined<'a> {
    /// In the order of what was wanted.
    pub(super) places: Vec<Place>,
    pub(super) own: Vec<Claim<'a>>,
}

/// The answers of one webhook. A std mutex: it is held for look-ups, never across a wait.
#[derive(Default)]
pub(super) struct Shared {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    younger: HashMap<Identity, Place>,
    older: HashMap<Identity, Place>,
    younger_bytes: usize,
}

impl Shared {
    /// A place for each text: in an answer that is there, in one that somebody waits for, or in one of new questions of at most so
    /// many texts and bytes.
    pub(super) fn join<F>(
        &self,
        wanted: &[Wanted],
        (most, most_bytes): (usize, usize),
        ask: impl Fn(Vec<Bytes>) -> F,
    ) -> Joined<'_>
    where
        F: Future<Output = Result<Vec<Bytes>, Failed>> + Send + 'static,
    {
        let mut kept = self.locked();
        // Taken before anything new may make it go.
        let known: Vec<Option<Place>> = wanted.iter().map(|one| kept.find(&one.identity).cloned()).collect();
        let mut seen = HashSet::new();
        let missing = wanted.iter().zip(&known).filter(|(one, known)| known.is_none() && seen.insert(&one.identity));
        let missing: Vec<&Wanted> = missing.map(|(one, _)| one).collect();
        let mut own = Vec::new();
        let mut fresh = HashMap::new();
        let mut rest = missing.as_slice();
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(chunk_length(rest, most, most_bytes));
            rest = others;
            let answer = ask(chunk.iter().map(|one| one.text.clone()).collect());
            let asked = answer.map(|texts| texts.map(Arc::new)).boxed().shared();
            for (at, one) in chunk.iter().enumerate() {
                let place = Place { asked: asked.clone(), at };
                fresh.insert(&one.identity, place.clone());
                kept.insert(one.identity.clone(), one.text.len(), place);
            }
            let identities = chunk.iter().map(|one| one.identity.clone()).collect();
            own.push(Claim { shared: self, identities, asked });
        }
        let places = known.into_iter().zip(wanted);
        let places = places.filter_map(|(known, one)| known.or_else(|| fresh.get(&one.identity).cloned())).collect();
        Joined { places, own }
    }

    fn locked(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves the maps whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of the texts one question holds; at least one.
fn chunk_length(rest: &[&Wanted], most: usize, most_bytes: usize) -> usize {
    let mut bytes = 0;
    let fits = |one: &&&Wanted| {
        bytes += one.text.len();
        bytes <= most_bytes
    };
    rest.iter().take(most).take_while(fits).count().max(1)
}

impl Kept {
    fn find(&self, identity: &Identity) -> Option<&Place> {
        self.younger.get(identity).or_else(|| self.older.get(identity))
    }

    /// Texts are never moved to the younger generation, so that an answer goes as a whole.
    fn insert(&mut self, identity: Identity, bytes: usize, place: Place) {
        if self.younger_bytes + bytes > GENERATION_BYTES {
            self.older = std::mem::take(&mut self.younger);
            self.younger_bytes = 0;
        }
        self.younger_bytes += bytes;
        self.younger.insert(identity, place);
    }

    fn remove(&mut self, identity: &Identity, asked: &Asked) {
        for generation in [&mut self.younger, &mut self.older] {
            if generation.get(identity).is_some_and(|place| place.asked.ptr_eq(asked)) {
                generation.remove(identity);
            }
        }
    }
}

#[cfg(test)]
mod tests;
