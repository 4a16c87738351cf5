//! What readers see: the newest picture and the topics, changed together.
//!
//! One std `RwLock` holds both, because a publication must be one moment for everybody: a list that names revision
//! R, a watch that starts at R and a watcher that just read R have to agree on what R contains. An atomic pointer
//! could swap the picture alone. It is held for the clone of a picture (a few counters), for the copy of one watch
//! batch, or for the pushes of one publication; never across an await or a disk access.

use std::{
    collections::VecDeque,
    future::Future,
    ops::Bound,
    sync::{Arc, Mutex, RwLock},
};

use tokio::sync::watch;

use super::{
    lock::Held as _,
    picture::{Objects, Picture},
    topics::Topics,
};
use crate::{
    figures::Figures,
    model::{Change, Error, ListRequest, Page, Record, Revision},
};

/// How many paged lists can go on at once without reconstructing their moment from the log for each page.
const PAGINGS: usize = 64;

struct State {
    picture: Picture,
    topics: Topics,
    /// How often everything was read anew: a watcher of an earlier age has missed changes.
    age: u64,
    /// After this nobody would ring a new topic's bell.
    closed: bool,
}

/// The objects under `prefix` at a moment; a paged list comes back for it.
struct Paging {
    revision: Revision,
    prefix: String,
    objects: Objects,
}

/// The part of the engine that readers touch.
pub(crate) struct Published {
    state: RwLock<State>,
    newest: watch::Sender<Revision>,
    pagings: Mutex<VecDeque<Paging>>,
}

impl Published {
    pub(crate) fn new(picture: Picture) -> Self {
        let newest = watch::Sender::new(picture.revision);
        let state = RwLock::new(State { picture, topics: Topics::default(), age: 0, closed: false });
        Self { state, newest, pagings: Mutex::default() }
    }

    pub(crate) fn picture(&self) -> Picture {
        self.state.read().held().picture.clone()
    }

    pub(crate) fn revision(&self) -> Revision {
        self.state.read().held().picture.revision
    }

    pub(crate) fn reached(&self, revision: Revision) -> impl Future<Output = ()> + Send + use<> {
        let mut newest = self.newest.subscribe();
        async move {
            if newest.wait_for(|newest| *newest >= revision).await.is_err() {
                // The store is gone, so the revision will never come; the caller's time limit decides.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Makes changes that are on disk, whole revisions of them, visible to everybody at once.
    pub(crate) fn publish(&self, next: Picture, changes: &[Arc<Change>]) {
        let (revision, compacted) = (next.revision, next.compacted);
        let (replaced, bells) = {
            let mut state = self.state.write().held();
            let replaced = std::mem::replace(&mut state.picture, next);
            let bells = state.topics.push(changes);
            if compacted > replaced.compacted {
                state.topics.compact(compacted);
            }
            (replaced, bells)
        };
        // Outside the lock: freeing what only the old picture held, and waking, can both take long.
        if compacted > replaced.compacted {
            self.pagings.lock().held().retain(|paging| paging.revision >= compacted);
        }
        drop(replaced);
        for bell in bells {
            bell.send_replace(());
        }
        self.newest.send_replace(revision);
    }

    /// Puts a picture in place that was read anew, of which nobody knows how it came about.
    ///
    /// All watches end with [`Error::Lagged`], and paged lists with [`Error::Compacted`]: the revision may even be lower.
    #[cfg(feature = "etcd")]
    pub(crate) fn replace(&self, picture: Picture) {
        let revision = picture.revision;
        let replaced = {
            let mut state = self.state.write().held();
            state.age += 1;
            // The bells go with the topics, and that wakes whoever waits.
            state.topics.clear();
            std::mem::replace(&mut state.picture, picture)
        };
        self.pagings.lock().held().clear();
        drop(replaced);
        self.newest.send_replace(revision);
    }

    /// Adds a watcher who knows everything up to `after`: what wakes it, and the age that it belongs to.
    pub(crate) fn join(&self, topic: &Arc<str>, after: Revision) -> Result<(watch::Receiver<()>, u64), Error> {
        let mut state = self.state.write().held();
        let State { picture, topics, age, closed } = &mut *state;
        if *closed {
            return Err(Error::Closed);
        }
        picture.check_revision(after)?;
        Ok((topics.join(topic, after, picture), *age))
    }

    pub(crate) fn leave(&self, topic: &str, age: u64) {
        let mut state = self.state.write().held();
        if state.age == age {
            state.topics.leave(topic);
        }
    }

    pub(crate) fn read_topic(
        &self,
        (topic, age): (&str, u64),
        prefix: &str,
        after: Revision,
        limit: usize,
    ) -> Result<(Vec<Arc<Change>>, Revision), Error> {
        let state = self.state.read().held();
        if state.age != age {
            return Err(Error::Lagged);
        }
        let topic = state.topics.get(topic).ok_or(Error::Closed)?;
        topic.read(prefix, after, limit).ok_or(Error::Lagged)
    }

    /// Whether the store was closed: what is here is then a picture of the past.
    #[cfg(feature = "etcd")]
    pub(crate) fn is_closed(&self) -> bool {
        self.state.read().held().closed
    }

    /// Ends all watches.
    pub(crate) fn close(&self) {
        let mut state = self.state.write().held();
        state.closed = true;
        state.topics.clear();
    }

    pub(crate) fn list(&self, request: &ListRequest) -> Result<Page, Error> {
        let picture = self.picture();
        let revision = request.at.unwrap_or(picture.revision);
        picture.check_revision(revision)?;
        let objects = self.objects_at(picture, revision, &request.prefix);
        let page = page(&objects, request, revision);
        if page.remaining > 0 {
            self.remember(Paging { revision, prefix: request.prefix.clone(), objects });
        }
        Ok(page)
    }

    /// How many keys there are now under a prefix.
    pub(crate) fn count(&self, prefix: &str) -> usize {
        let objects = self.picture().objects;
        let end = end_of(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        objects.range::<_, str>((Bound::Included(prefix), end)).count()
    }

    /// What there is now.
    pub(crate) fn figures(&self) -> Figures {
        let picture = self.picture();
        Figures {
            revision: picture.revision,
            compacted: picture.compacted,
            objects: picture.objects.len(),
            changes: picture.log.len(),
            batches: None,
            commits: None,
        }
    }

    fn objects_at(&self, picture: Picture, revision: Revision, prefix: &str) -> Objects {
        if revision == picture.revision {
            return picture.objects;
        }
        let remembered = {
            let pagings = self.pagings.lock().held();
            let same = |paging: &&Paging| paging.revision == revision && paging.prefix == prefix;
            pagings.iter().find(same).map(|paging| paging.objects.clone())
        };
        remembered.unwrap_or_else(|| picture.objects_at(revision, prefix))
    }

    fn remember(&self, paging: Paging) {
        let mut pagings = self.pagings.lock().held();
        pagings.retain(|other| other.revision != paging.revision || other.prefix != paging.prefix);
        pagings.push_back(paging);
        let oldest = if pagings.len() > PAGINGS { pagings.pop_front() } else { None };
        drop(pagings);
        drop(oldest);
    }
}

fn page(objects: &Objects, request: &ListRequest, revision: Revision) -> Page {
    let prefix = request.prefix.as_str();
    let start = request.start.as_ref().map_or(prefix, |start| start.as_str().max(prefix));
    let end = end_of(prefix);
    // An end instead of comparing each key: counting what remains then reads no key at all.
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    if matches!(end, Bound::Excluded(end) if start >= end) {
        return Page { records: Vec::new(), revision, remaining: 0 };
    }
    let mut found = objects.range::<_, str>((Bound::Included(start), end)).map(|(_, record)| record);
    let limit = if request.limit == 0 { usize::MAX } else { request.limit };
    let records: Vec<Record> = found.by_ref().take(limit).map(|record| Record::clone(record)).collect();
    Page { records, revision, remaining: found.count() }
}

/// The first string after all that start with `prefix`; `None` when nothing can come after them.
///
/// UTF-8 sorts as its characters do, so it is the prefix with its last character replaced by the next one.
fn end_of(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // `nth(1)` steps over the gap of the surrogates, and finds nothing after the last character.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn end_is_the_first_string_without_the_prefix() {
        let expectations = [
            ("", None),
            ("/a/", Some("/a0")),
            ("é", Some("ê")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ];
        for (prefix, end) in expectations {
            assert_eq!(end_of(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
