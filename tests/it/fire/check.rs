//! Judges a history: each rule is a sentence about what clients may rely on, and each finding is a client who could not.
//!
//! What watchers heard is put together to one story, and everything else is compared with it. A history begins with an empty collection
//! that every watcher listed. Where no watcher was listening, nothing can be proved, which is a finding too.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use super::{
    history::{Answer, Ask, Heard, History, Kind, Operation, Revision, Sight, Stamp},
    story::{Fact, Story},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    /// One revision has one content, whoever is shown it.
    Content,
    /// What is acknowledged is in the story.
    Lost,
    /// What anybody was shown is in the story.
    Phantom,
    /// A watcher hears revisions in order, each once, and goes on where it was.
    Order,
    /// A watcher hears every revision on its way.
    Gap,
    /// An event says what it did: something is added where nothing was, and deleted as it last stood.
    Kind,
    /// What was refused is not in the story.
    Refused,
    /// A write happens once.
    Twice,
    /// Only what somebody wrote is in the story, and not before it was asked for.
    Invented,
    /// A write happens only on what it named.
    Condition,
    /// A read shows what was current at some moment between question and answer.
    Stale,
    /// Revisions only grow.
    Backwards,
    /// A list shows the state at its revision.
    Snapshot,
    /// Somebody was watching, so that all of this can be proved.
    Uncovered,
}

/// What is wrong, by rule.
#[derive(Default)]
pub(super) struct Findings(Vec<(Rule, String)>);

impl Findings {
    pub(super) fn add(&mut self, rule: Rule, text: String) {
        self.0.push((rule, text));
    }

    pub(super) fn rules(&self) -> HashSet<Rule> {
        self.0.iter().map(|(rule, _)| *rule).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} findings, the first of them:", self.0.len())?;
        self.0.iter().take(20).try_for_each(|(rule, text)| writeln!(f, "{rule:?}: {text}"))
    }
}

/// Every rule on every testimony.
pub(super) fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    let story = Story::new(history, &mut findings);
    let mut check = Check { story: &story, findings: &mut findings };
    check.events();
    check.marks(&history.operations);
    for watcher in &history.watchers {
        check.watcher(watcher);
    }
    for operation in &history.operations {
        check.operation(operation);
    }
    findings
}

struct Check<'a> {
    story: &'a Story,
    findings: &'a mut Findings,
}

impl<'a> Check<'a> {
    fn add(&mut self, rule: Rule, text: String) {
        self.findings.add(rule, text);
    }

    /// Each change follows from what stood there before.
    fn events(&mut self) {
        for fact in self.story.facts.values() {
            let before = self.before(&fact.sight);
            let follows = match (fact.kind, before) {
                (Kind::Added, None) => true,
                (Kind::Modified, Some(before)) => before.uid == fact.sight.uid,
                (Kind::Deleted, Some(before)) => before.digest == fact.sight.digest,
                _ => false,
            };
            if !follows {
                self.add(Rule::Kind, format!("{fact:?} after {before:?}"));
            }
        }
    }

    /// What stood there just before a change.
    fn before(&self, sight: &Sight) -> Option<&'a Sight> {
        self.story.standing(&sight.name, sight.revision - 1)
    }

    /// Each change was asked for by one write, which was not refused and is in the story no second time.
    fn marks(&mut self, operations: &[Operation]) {
        let writes: HashMap<&str, &Operation> =
            operations.iter().filter(|one| !one.mark.is_empty()).map(|one| (one.mark.as_str(), one)).collect();
        let mut seen = HashSet::new();
        for fact in self.story.facts.values().filter(|fact| fact.kind != Kind::Deleted) {
            let Some(mark) = self.new_mark(fact) else {
                self.add(Rule::Invented, format!("{fact:?} says nothing new"));
                continue;
            };
            if !seen.insert(mark) {
                self.add(Rule::Twice, format!("{mark} again: {fact:?}"));
            }
            match writes.get(mark) {
                Some(write) if write.name != fact.sight.name || write.asked > fact.told => {
                    self.add(Rule::Invented, format!("{fact:?} out of {write:?}"));
                }
                Some(write) if matches!(write.answer, Answer::Refused(_)) => {
                    self.add(Rule::Refused, format!("{write:?}, and yet {fact:?}"));
                }
                Some(_) => {}
                None => self.add(Rule::Invented, format!("nobody wrote {fact:?}")),
            }
        }
    }

    /// The mark that came with a change.
    fn new_mark(&self, fact: &'a Fact) -> Option<&'a str> {
        let before = self.before(&fact.sight).map(|sight| &sight.marks);
        fact.sight
            .marks
            .iter()
            .find(|mark| !mark.is_empty() && !before.is_some_and(|marks| marks.contains(mark)))
            .map(String::as_str)
    }

    /// A watcher alone: in order, without a gap, and lists that its events join to.
    fn watcher(&mut self, heard: &[(Stamp, Heard)]) {
        let (mut position, mut furthest): (Option<Revision>, Revision) = (None, 0);
        for (_, heard) in heard {
            furthest = position.unwrap_or(furthest);
            match (heard, position) {
                (Heard::Listed(at, items), _) => {
                    if *at < furthest {
                        self.add(Rule::Backwards, format!("a watcher that was at {furthest} has to begin at {at}"));
                    }
                    self.snapshot(*at, items);
                    position = Some(*at);
                }
                (Heard::Expired, _) => position = None,
                (Heard::Resumed(from), Some(last)) if *from == last => {}
                (Heard::Event(_, Sight { revision, .. }), Some(last)) if *revision > last => {
                    self.no_gap(last, revision - 1);
                    position = Some(*revision);
                }
                (Heard::Bookmark(revision), Some(last)) if *revision >= last => {
                    self.no_gap(last, *revision);
                    position = Some(*revision);
                }
                _ => self.add(Rule::Order, format!("{heard:?} at {position:?}")),
            }
        }
    }

    fn no_gap(&mut self, after: Revision, up_to: Revision) {
        let later = self.story.facts.range(after + 1..).take_while(|(revision, _)| **revision <= up_to);
        for (_, missed) in later {
            self.add(Rule::Gap, format!("a watcher did not hear {missed:?}"));
        }
    }

    fn operation(&mut self, operation: &Operation) {
        let (floor, ceiling) = (self.story.floor(operation.asked), self.story.ceiling(operation.told));
        let at_some_moment =
            |is: fn(Option<&Sight>) -> bool| self.story.at_some_moment(&operation.name, floor, ceiling, is);
        let current = match (&operation.answer, operation.ask) {
            (Answer::Absent | Answer::Refused(404), _) => at_some_moment(|sight| sight.is_none()),
            (Answer::Refused(409), Ask::Create) => at_some_moment(|sight| sight.is_some()),
            (Answer::Found(found), _) => {
                self.exists(found);
                self.story.at_some_moment(&operation.name, floor, ceiling, |sight| sight == Some(found))
            }
            (Answer::Listed(at, items), _) => {
                if *at < floor {
                    self.add(Rule::Backwards, format!("a list at {at} when {floor} was known"));
                }
                self.snapshot(*at, items);
                *at < ceiling
            }
            (Answer::Written(sight), _) => {
                self.written(operation, sight, floor);
                true
            }
            (Answer::Deleted(uid), _) => {
                self.deleted(operation, uid, floor);
                true
            }
            (Answer::Refused(_) | Answer::Unknown, _) => true,
        };
        if !current {
            self.add(Rule::Stale, format!("not between {floor} and {ceiling}: {operation:?}"));
        }
    }

    fn written(&mut self, operation: &Operation, sight: &Sight, floor: Revision) {
        if sight.revision <= floor {
            self.add(Rule::Backwards, format!("{floor} was known before {operation:?}"));
        }
        let is_there = self.covered(sight.revision) && self.is_in_story(sight, Rule::Lost);
        if !is_there {
            return;
        }
        if self.new_mark(&self.story.facts[&sight.revision]) != Some(&operation.mark) {
            self.add(Rule::Lost, format!("what is acknowledged is not what was written: {operation:?}"));
        }
        let before = self.before(sight).map(|sight| sight.revision);
        let may = match operation.ask {
            Ask::Create => before.is_none(),
            Ask::Put(on) => before == Some(on),
            _ => before.is_some(),
        };
        if !may {
            self.add(Rule::Condition, format!("{operation:?} happened on {before:?}"));
        }
    }

    fn deleted(&mut self, operation: &Operation, uid: &str, floor: Revision) {
        let Some(fact) = self.story.end_of(&operation.name, uid) else {
            return self.add(Rule::Lost, format!("still there: {operation:?}"));
        };
        if fact.sight.revision <= floor {
            self.add(Rule::Backwards, format!("{floor} was known before {operation:?}, which is {fact:?}"));
        }
        let before = self.before(&fact.sight).map(|sight| sight.revision);
        if matches!(operation.ask, Ask::Delete(on @ Some(_)) if on != before) {
            self.add(Rule::Condition, format!("{operation:?} happened on {before:?}"));
        }
    }

    /// A list against the story.
    fn snapshot(&mut self, at: Revision, items: &[Sight]) {
        if !self.covered(at) {
            return;
        }
        for item in items {
            self.exists(item);
        }
        let listed: BTreeMap<&str, &Sight> = items.iter().map(|item| (item.name.as_str(), item)).collect();
        let picture = self.story.picture(at);
        if listed != picture || listed.len() != items.len() {
            let wrong = items.iter().find(|item| picture.get(item.name.as_str()) != Some(item));
            let missing = picture.iter().find(|(name, _)| !listed.contains_key(*name));
            self.add(Rule::Snapshot, format!("a list at {at}: wrong {wrong:?}, missing {missing:?}"));
        }
    }

    fn exists(&mut self, sight: &Sight) {
        if self.covered(sight.revision) {
            self.is_in_story(sight, Rule::Phantom);
        }
    }

    fn is_in_story(&mut self, sight: &Sight, otherwise: Rule) -> bool {
        match self.story.facts.get(&sight.revision) {
            None => self.add(otherwise, format!("no watcher was told of {sight:?}")),
            Some(fact) if fact.sight != *sight || fact.kind == Kind::Deleted => {
                self.add(Rule::Content, format!("{sight:?} to one client, {fact:?} to a watcher"));
            }
            Some(_) => return true,
        }
        false
    }

    /// Whether the whole story up to here was heard.
    fn covered(&mut self, revision: Revision) -> bool {
        let covered = self.story.covers(revision);
        if !covered {
            self.add(Rule::Uncovered, format!("nobody heard everything up to {revision}"));
        }
        covered
    }
}

#[cfg(test)]
mod tests;
