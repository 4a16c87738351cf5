//! Bad histories made by hand, one and more for each rule: a check that finds nothing in them proves nothing.

use super::{Rule, check};
use crate::fire::history::{Answer, Ask, Heard, History, Kind, Operation, Revision, Sight, Stamp};

fn sight(name: &str, uid: &str, revision: Revision, marks: [&str; 2]) -> Sight {
    let digest = marks
        .iter()
        .flat_map(|mark| mark.bytes())
        .fold(u64::from(uid.as_bytes()[0]), |sum, byte| sum * 31 + u64::from(byte));
    Sight { name: name.into(), uid: uid.into(), revision, marks: marks.map(Into::into), digest }
}

fn write(ask: Ask, name: &str, mark: &str, asked: Stamp, answer: Answer) -> Operation {
    Operation { ask, name: name.into(), mark: mark.into(), asked, told: asked + 5, answer }
}

/// The life of `a`: made at 2, replaced at 3, its status patched at 5, deleted at 6, made again at 8.
fn life() -> Vec<(Kind, Sight)> {
    vec![
        (Kind::Added, sight("a", "u", 2, ["m1", ""])),
        (Kind::Modified, sight("a", "u", 3, ["m2", ""])),
        (Kind::Modified, sight("a", "u", 5, ["m2", "m3"])),
        (Kind::Deleted, sight("a", "u", 6, ["m2", "m3"])),
        (Kind::Added, sight("a", "v", 8, ["m4", ""])),
    ]
}

/// Three watchers and five acknowledged writes, at 10, 20, …, each heard of before the next one.
fn good() -> History {
    let life = life();
    let written = |n: usize| Answer::Written(life[n].1.clone());
    let operations = vec![
        write(Ask::Create, "a", "m1", 10, written(0)),
        write(Ask::Put(2), "a", "m2", 20, written(1)),
        write(Ask::Patch, "a", "m3", 30, written(2)),
        write(Ask::Delete(Some(5)), "a", "", 40, Answer::Deleted("u".into())),
        write(Ask::Create, "a", "m4", 50, written(4)),
        write(Ask::Get, "a", "", 60, Answer::Found(life[4].1.clone())),
        write(Ask::List, "", "", 70, Answer::Listed(9, vec![life[4].1.clone()])),
    ];
    let mut whole = vec![(1, Heard::Listed(1, vec![]))];
    for (n, (kind, sight)) in life.iter().enumerate() {
        whole.push((16 + 10 * n as Stamp, Heard::Event(*kind, sight.clone())));
    }
    whole.push((90, Heard::Bookmark(9)));
    let mut resumed = whole.clone();
    resumed.insert(3, (27, Heard::Resumed(3)));
    let mut expired = whole.clone();
    expired.splice(4..5, [(46, Heard::Expired), (47, Heard::Listed(7, vec![]))]);
    History { operations, watchers: vec![whole, resumed, expired] }
}

/// The rules that a change to the good history breaks.
#[track_caller]
fn breaks(rule: Rule, spoil: impl FnOnce(&mut History)) {
    let mut history = good();
    spoil(&mut history);
    let findings = check(&history);
    assert!(findings.rules().contains(&rule), "{rule:?} was not found, but {findings}");
}

/// The sight in what the first watcher heard.
fn heard(history: &mut History, n: usize) -> &mut Sight {
    match &mut history.watchers[0][n].1 {
        Heard::Event(_, sight) => sight,
        other => panic!("not an event: {other:?}"),
    }
}

/// Spoils what all watchers heard alike.
fn all_heard(history: &mut History, revision: Revision, spoil: impl Fn(&mut Kind, &mut Sight)) {
    for (_, heard) in history.watchers.iter_mut().flatten() {
        if let Heard::Event(kind, sight) = heard
            && sight.revision == revision
        {
            spoil(kind, sight);
        }
    }
}

fn forget(history: &mut History, revision: Revision) {
    for watcher in &mut history.watchers {
        watcher.retain(|(_, heard)| !matches!(heard, Heard::Event(_, sight) if sight.revision == revision));
    }
}

#[test]
fn a_good_history_has_no_findings() {
    let findings = check(&good());
    assert!(findings.is_empty(), "{findings}");
}

#[test]
fn a_write_whose_answer_was_lost_may_have_happened_or_not() {
    let mut history = good();
    history.operations[2].answer = Answer::Unknown;
    assert!(check(&history).is_empty());
    let never = write(Ask::Patch, "a", "m9", 35, Answer::Unknown);
    history.operations.push(never);
    assert!(check(&history).is_empty());
}

#[test]
fn one_revision_with_two_contents_is_found() {
    breaks(Rule::Content, |history| heard(history, 2).digest += 1);
    breaks(Rule::Content, |history| heard(history, 2).name = "b".into());
    breaks(Rule::Content, |history| {
        let Answer::Found(found) = &mut history.operations[5].answer else { unreachable!() };
        found.digest += 1;
    });
}

#[test]
fn a_lost_acknowledged_write_is_found() {
    breaks(Rule::Lost, |history| forget(history, 3));
    breaks(Rule::Lost, |history| forget(history, 6));
    breaks(Rule::Lost, |history| history.operations[1].mark = "m7".into());
}

#[test]
fn an_object_that_never_existed_is_found() {
    let ghost = sight("ghost", "g", 4, ["m7", ""]);
    breaks(Rule::Phantom, |history| {
        history.operations.push(write(Ask::Get, "ghost", "", 33, Answer::Found(ghost.clone())));
    });
    breaks(Rule::Phantom, |history| {
        history.operations.push(write(Ask::List, "", "", 33, Answer::Listed(5, vec![ghost.clone()])));
    });
}

#[test]
fn events_out_of_order_or_twice_are_found() {
    breaks(Rule::Order, |history| history.watchers[0].swap(2, 3));
    breaks(Rule::Order, |history| {
        let again = history.watchers[0][2].clone();
        history.watchers[0].insert(3, again);
    });
    breaks(Rule::Order, |history| history.watchers[1][3].1 = Heard::Resumed(2));
    breaks(Rule::Order, |history| history.watchers[0].push((99, Heard::Bookmark(8))));
    // After 410 nothing may come but a list.
    breaks(Rule::Order, |history| drop(history.watchers[2].remove(5)));
}

#[test]
fn a_gap_of_one_watcher_is_found() {
    breaks(Rule::Gap, |history| drop(history.watchers[0].remove(3)));
    // What was before the bookmark has to come before it.
    breaks(Rule::Gap, |history| drop(history.watchers[0].remove(5)));
    // The list after a 410 has to be where its events begin.
    breaks(Rule::Gap, |history| history.watchers[2][5].1 = Heard::Listed(5, vec![life()[2].1.clone()]));
}

#[test]
fn an_event_that_does_not_follow_is_found() {
    breaks(Rule::Kind, |history| all_heard(history, 8, |kind, _| *kind = Kind::Modified));
    breaks(Rule::Kind, |history| all_heard(history, 3, |kind, _| *kind = Kind::Added));
    breaks(Rule::Kind, |history| all_heard(history, 3, |_, sight| sight.uid = "w".into()));
    breaks(Rule::Kind, |history| all_heard(history, 6, |_, sight| sight.digest += 1));
}

#[test]
fn a_refused_write_that_happened_is_found() {
    breaks(Rule::Refused, |history| history.operations[1].answer = Answer::Refused(409));
}

#[test]
fn a_write_that_happened_twice_is_found() {
    breaks(Rule::Twice, |history| all_heard(history, 8, |_, sight| sight.marks[0] = "m1".into()));
}

#[test]
fn a_change_that_nobody_asked_for_is_found() {
    breaks(Rule::Invented, |history| history.operations[1].mark = "m7".into());
    breaks(Rule::Invented, |history| history.operations[1].name = "b".into());
    breaks(Rule::Invented, |history| history.operations[1].asked = 80);
    breaks(Rule::Invented, |history| all_heard(history, 3, |_, sight| sight.marks = ["m1", ""].map(Into::into)));
}

#[test]
fn a_write_on_something_else_than_it_named_is_found() {
    breaks(Rule::Condition, |history| history.operations[1].ask = Ask::Put(1));
    breaks(Rule::Condition, |history| history.operations[2].ask = Ask::Create);
    breaks(Rule::Condition, |history| history.operations[3].ask = Ask::Delete(Some(3)));
    breaks(Rule::Condition, |history| history.operations[4].ask = Ask::Patch);
}

#[test]
fn a_read_of_the_past_or_of_the_future_is_found() {
    let [first, last] = [0, 4].map(|n: usize| life()[n].1.clone());
    breaks(Rule::Stale, |history| history.operations.push(write(Ask::Get, "a", "", 33, Answer::Found(first))));
    breaks(Rule::Stale, |history| history.operations.push(write(Ask::Get, "a", "", 33, Answer::Absent)));
    breaks(Rule::Stale, |history| history.operations.push(write(Ask::Get, "a", "", 44, Answer::Found(last.clone()))));
    breaks(Rule::Stale, |history| history.operations.push(write(Ask::Patch, "a", "m7", 33, Answer::Refused(404))));
    breaks(Rule::Stale, |history| history.operations.push(write(Ask::Create, "b", "m7", 33, Answer::Refused(409))));
    breaks(Rule::Stale, |history| history.operations.push(write(Ask::List, "", "", 34, Answer::Listed(9, vec![last]))));
}

#[test]
fn revisions_that_go_backwards_are_found() {
    breaks(Rule::Backwards, |history| history.operations[1].asked = 62);
    breaks(Rule::Backwards, |history| history.operations[3].asked = 62);
    let old = vec![life()[1].1.clone()];
    breaks(Rule::Backwards, |history| history.watchers[2][5].1 = Heard::Listed(4, old.clone()));
    breaks(Rule::Backwards, |history| history.operations.push(write(Ask::List, "", "", 44, Answer::Listed(4, old))));
}

#[test]
fn a_list_that_is_no_snapshot_is_found() {
    breaks(Rule::Snapshot, |history| history.operations[6].answer = Answer::Listed(9, vec![]));
    let [old, new] = [2, 4].map(|n: usize| life()[n].1.clone());
    breaks(Rule::Snapshot, |history| history.operations[6].answer = Answer::Listed(9, vec![old.clone()]));
    breaks(Rule::Snapshot, |history| history.operations[6].answer = Answer::Listed(9, vec![new.clone(), new]));
    breaks(Rule::Snapshot, |history| history.watchers[2][5].1 = Heard::Listed(7, vec![old]));
}

#[test]
fn what_nobody_watched_is_not_taken_for_proved() {
    breaks(Rule::Uncovered, |history| history.watchers.clear());
    breaks(Rule::Uncovered, |history| history.operations[6].answer = Answer::Listed(12, vec![life()[4].1.clone()]));
    breaks(Rule::Uncovered, |history| drop(history.watchers.drain(..2)));
}
