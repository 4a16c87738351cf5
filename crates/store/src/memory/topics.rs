//! Who hears of a change: one shared log per watched prefix.
//!
//! A watcher holds a revision, not a queue. It belongs to the topic of its prefix and takes from that topic's log
//! whatever lies after its revision. A change is pushed to the topics of its key's ancestors only, so a watcher
//! of another prefix is neither woken nor made to look at it, and a thousand watchers of one prefix cost one push.
//!
//! Invariant: a topic's log holds every change under its name after `complete_after`, in order.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::sync::watch;

use super::picture::Picture;
use crate::model::{Change, Revision};

/// Wakes the watchers of a topic; carries nothing, because they look for themselves.
pub(crate) type Bell = watch::Sender<()>;

/// The log of the changes under one prefix, kept while somebody watches it.
pub(crate) struct Topic {
    changes: VecDeque<Arc<Change>>,
    complete_after: Revision,
    bell: Bell,
    watchers: usize,
}

impl Topic {
    /// About `limit` changes after a revision that start with `prefix`, and the revision up to which the topic was
    /// read; `None` when some of them are gone.
    ///
    /// Whole revisions, however many changes the last one has: the watcher goes on after a revision, and what it had
    /// not read of that one it would never see.
    pub(crate) fn read(&self, prefix: &str, after: Revision, limit: usize) -> Option<(Vec<Arc<Change>>, Revision)> {
        if after < self.complete_after {
            return None;
        }
        let start = self.changes.partition_point(|change| change.revision <= after);
        let (mut batch, mut read) = (Vec::new(), after);
        for change in self.changes.range(start..) {
            if batch.len() >= limit && change.revision > read {
                break;
            }
            read = change.revision;
            if change.key.as_str().starts_with(prefix) {
                batch.push(Arc::clone(change));
            }
        }
        Some((batch, read))
    }
}

/// All topics.
#[derive(Default)]
pub(crate) struct Topics(HashMap<Arc<str>, Topic>);

impl Topics {
    /// The topic of a prefix: the prefix up to its last `/`. What a longer prefix leaves out, the watcher filters.
    pub(crate) fn name(prefix: &str) -> &str {
        prefix.rfind('/').map_or("", |slash| &prefix[..=slash])
    }

    /// Adds a watcher who knows everything up to `after`, which the picture's log still covers.
    ///
    /// The work is the distance from `after` to now, and for a topic that exists only the part it lacks.
    pub(crate) fn join(&mut self, name: &Arc<str>, after: Revision, picture: &Picture) -> watch::Receiver<()> {
        let topic = self.0.entry(Arc::clone(name)).or_insert_with(|| Topic {
            changes: VecDeque::new(),
            complete_after: picture.revision,
            bell: watch::Sender::new(()),
            watchers: 0,
        });
        if after < topic.complete_after {
            let missing = picture.newest_first(after).map(|entry| &entry.change);
            let missing = missing.skip_while(|change| change.revision > topic.complete_after);
            for change in missing.filter(|change| change.key.as_str().starts_with(&**name)) {
                topic.changes.push_front(Arc::clone(change));
            }
            topic.complete_after = after;
        }
        topic.watchers += 1;
        topic.bell.subscribe()
    }

    /// Takes a watcher away; the last one takes the topic with it.
    pub(crate) fn leave(&mut self, name: &str) {
        let Some(topic) = self.0.get_mut(name) else { return };
        topic.watchers -= 1;
        if topic.watchers == 0 {
            self.0.remove(name);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.0.get(name)
    }

    /// Adds new changes, whole revisions, oldest first, and returns the bells to ring once the lock is released.
    pub(crate) fn push(&mut self, changes: &[Arc<Change>]) -> Vec<Bell> {
        let Some(first) = changes.first().map(|change| change.revision) else { return Vec::new() };
        let mut bells = Vec::new();
        for change in changes {
            for name in ancestors(change.key.as_str()) {
                let Some(topic) = self.0.get_mut(name) else { continue };
                if topic.changes.back().is_none_or(|newest| newest.revision < first) {
                    bells.push(topic.bell.clone());
                }
                topic.changes.push_back(Arc::clone(change));
            }
        }
        bells
    }

    /// Forgets the changes up to a revision. Watchers who have not read them find out when they next look.
    pub(crate) fn compact(&mut self, compacted: Revision) {
        for topic in self.0.values_mut() {
            while let Some(change) = topic.changes.pop_front_if(|change| change.revision <= compacted) {
                topic.complete_after = change.revision;
            }
        }
    }

    /// Ends all topics; their watchers notice that the bell is gone.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The names of the topics that hear of a key.
fn ancestors(key: &str) -> impl Iterator<Item = &str> {
    std::iter::once("").chain(key.match_indices('/').map(|(slash, _)| &key[..=slash]))
}
