//! What happened, as far as watchers tell: the one order of all changes that every other testimony is compared with.

use std::collections::{BTreeMap, HashMap};

use super::{
    check::{Findings, Rule},
    history::{Answer, Heard, History, Kind, Operation, Revision, Sight, Stamp},
};

/// A change that some watcher was told.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) kind: Kind,
    pub(super) sight: Sight,
    /// When the first watcher heard of it.
    pub(super) told: Stamp,
}

/// All changes, and what was known when.
pub(super) struct Story {
    pub(super) facts: BTreeMap<Revision, Fact>,
    by_name: HashMap<String, Vec<Revision>>,
    /// From where to where watchers, one taking over from another, heard everything.
    covered: (Revision, Revision),
    /// At these times somebody knew of these revisions; both grow.
    known: Vec<(Stamp, Revision)>,
    /// Writes that began at these times got at least these revisions; both grow.
    ahead: Vec<(Stamp, Revision)>,
}

impl Story {
    pub(super) fn new(history: &History, findings: &mut Findings) -> Self {
        let covered = covered(history);
        let mut story = Self { facts: BTreeMap::new(), by_name: HashMap::new(), covered, known: vec![], ahead: vec![] };
        for (told, heard) in history.watchers.iter().flatten() {
            if let Heard::Event(kind, sight) = heard {
                story.add(*told, *kind, sight, findings);
            }
        }
        for (revision, fact) in &story.facts {
            story.by_name.entry(fact.sight.name.clone()).or_default().push(*revision);
        }
        (story.known, story.ahead) = (story.known(history), story.ahead(history));
        story
    }

    fn add(&mut self, told: Stamp, kind: Kind, sight: &Sight, findings: &mut Findings) {
        let fact = self.facts.entry(sight.revision).or_insert_with(|| Fact { kind, sight: sight.clone(), told });
        fact.told = fact.told.min(told);
        if fact.sight != *sight || fact.kind != kind {
            findings.add(Rule::Content, format!("{kind:?} {sight:?} to one watcher, {fact:?} to another"));
        }
    }

    /// Changes of one object, in order.
    pub(super) fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Fact> {
        self.by_name.get(name).into_iter().flatten().map(|revision| &self.facts[revision])
    }

    /// The deletion of an object.
    pub(super) fn end_of(&self, name: &str, uid: &str) -> Option<&Fact> {
        self.of(name).find(|fact| fact.kind == Kind::Deleted && fact.sight.uid == uid)
    }

    /// The newest change of an object up to a revision.
    pub(super) fn newest(&self, name: &str, up_to: Revision) -> Option<&Fact> {
        let revisions = self.by_name.get(name)?;
        let end = revisions.partition_point(|revision| *revision <= up_to);
        revisions[..end].last().map(|revision| &self.facts[revision])
    }

    /// What stood there at a revision.
    pub(super) fn standing(&self, name: &str, at: Revision) -> Option<&Sight> {
        self.newest(name, at).filter(|fact| fact.kind != Kind::Deleted).map(|fact| &fact.sight)
    }

    /// Everything that stood there at a revision, by name.
    pub(super) fn picture(&self, at: Revision) -> BTreeMap<&str, &Sight> {
        let names = self.by_name.keys();
        names.filter_map(|name| Some((name.as_str(), self.standing(name, at)?))).collect()
    }

    /// Whether some state of the object between two moments, given by [`floor`](Self::floor) and [`ceiling`](Self::ceiling), is as asked.
    pub(super) fn at_some_moment(
        &self,
        name: &str,
        floor: Revision,
        ceiling: Revision,
        is: impl Fn(Option<&Sight>) -> bool,
    ) -> bool {
        let later =
            self.of(name).map(|fact| fact.sight.revision).filter(|revision| (floor + 1..ceiling).contains(revision));
        std::iter::once(floor).chain(later).any(|moment| is(self.standing(name, moment)))
    }

    /// Whether every change up to here is known.
    pub(super) fn covers(&self, revision: Revision) -> bool {
        (self.covered.0..=self.covered.1).contains(&revision)
    }

    /// The newest revision that anybody knew of before a moment: what is asked from then on may not be older.
    pub(super) fn floor(&self, asked: Stamp) -> Revision {
        let end = self.known.partition_point(|(told, _)| *told < asked);
        end.checked_sub(1).map_or(0, |last| self.known[last].1)
    }

    /// The first revision of a write that began after a moment: what was told until then is older.
    pub(super) fn ceiling(&self, told: Stamp) -> Revision {
        let first = self.ahead.partition_point(|(asked, _)| *asked <= told);
        self.ahead.get(first).map_or(Revision::MAX, |(_, revision)| *revision)
    }

    fn known(&self, history: &History) -> Vec<(Stamp, Revision)> {
        let told = history.operations.iter().filter_map(|operation| Some((operation.told, self.revision(operation)?)));
        let heard = history.watchers.iter().flatten().filter_map(|(told, heard)| match heard {
            Heard::Listed(revision, _) | Heard::Bookmark(revision) | Heard::Event(_, Sight { revision, .. }) => {
                Some((*told, *revision))
            }
            Heard::Resumed(_) | Heard::Expired => None,
        });
        let mut known: Vec<_> = told.chain(heard).collect();
        known.sort_unstable();
        let mut newest = 0;
        for (_, revision) in &mut known {
            newest = newest.max(*revision);
            *revision = newest;
        }
        known
    }

    fn ahead(&self, history: &History) -> Vec<(Stamp, Revision)> {
        let writes = history.operations.iter().filter(|operation| operation.is_acknowledged());
        let mut ahead: Vec<_> = writes.filter_map(|write| Some((write.asked, self.revision(write)?))).collect();
        ahead.sort_unstable();
        let mut oldest = Revision::MAX;
        for (_, revision) in ahead.iter_mut().rev() {
            oldest = oldest.min(*revision);
            *revision = oldest;
        }
        ahead
    }

    /// What an answer tells of the newest revision. A deletion does not say its own; the story does.
    fn revision(&self, operation: &Operation) -> Option<Revision> {
        match &operation.answer {
            Answer::Written(sight) | Answer::Found(sight) => Some(sight.revision),
            Answer::Listed(at, _) => Some(*at),
            Answer::Deleted(uid) => self.end_of(&operation.name, uid).map(|fact| fact.sight.revision),
            Answer::Absent | Answer::Refused(_) | Answer::Unknown => None,
        }
    }
}

/// From the first list on, as far as each stretch begins before the one before it ends.
fn covered(history: &History) -> (Revision, Revision) {
    let mut all: Vec<_> = history.watchers.iter().flat_map(|watcher| stretches(watcher)).collect();
    all.sort_unstable();
    let joined = all.into_iter().reduce(
        |joined, next| {
            if next.0 <= joined.1 { (joined.0, joined.1.max(next.1)) } else { joined }
        },
    );
    joined.unwrap_or_default()
}

/// How far a watcher came from each of its lists.
fn stretches(watcher: &[(Stamp, Heard)]) -> Vec<(Revision, Revision)> {
    let mut stretches: Vec<(Revision, Revision)> = Vec::new();
    for (_, heard) in watcher {
        match heard {
            Heard::Listed(at, _) => stretches.push((*at, *at)),
            Heard::Event(_, Sight { revision, .. }) | Heard::Bookmark(revision) => {
                if let Some((_, end)) = stretches.last_mut() {
                    *end = (*end).max(*revision);
                }
            }
            Heard::Resumed(_) | Heard::Expired => {}
        }
    }
    stretches
}
