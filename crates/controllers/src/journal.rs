//! What was reconciled, when, how it went, and when it will be tried again.
//!
//! Kept in memory and served by the composition root: nothing periodic is written into objects that people watch. It also owns the count of
//! failures in a row, from which the pauses between retries grow.

use std::{collections::BTreeMap, sync::Mutex, sync::PoisonError, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Longest words of a failure, in bytes.
const WORDS_LIMIT: usize = 2_000;

/// How a pass went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Everything was as wanted.
    Unchanged,
    /// Something was changed outside, so many actions.
    Changed(usize),
    /// It failed; the chain of causes.
    Failed(String),
}

impl Outcome {
    /// The same with words of bounded length: an API may answer with pages.
    fn bounded(mut self) -> Self {
        if let Self::Failed(words) = &mut self {
            words.truncate(words.floor_char_boundary(WORDS_LIMIT));
        }
        self
    }
}

/// The last pass over one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// `NotebookServer`, …
    pub kind: String,
    /// Its namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When the last pass ended.
    pub last_reconcile: Timestamp,
    /// How it went.
    pub outcome: Outcome,
    /// When it will be looked at again, if nothing happens before.
    pub next_try: Timestamp,
    /// Passes since this process started.
    pub passes: u64,
    /// Failures in a row.
    pub failures: u32,
}

/// A kind, a namespace, a name.
type Key = (&'static str, String, String);

/// The last pass of every object that exists.
#[derive(Debug, Default)]
pub struct Journal {
    // Held for a lookup or an insertion, never across a wait.
    entries: Mutex<BTreeMap<Key, Entry>>,
}

impl Journal {
    /// Every entry, by kind, namespace and name.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    /// Notes a pass; answers how long to wait: what the plan says, or a growing pause after a failure.
    pub(crate) fn note(
        &self,
        (kind, namespace, name): (&'static str, &str, &str),
        outcome: Outcome,
        wake_up: Duration,
        now: Timestamp,
    ) -> Duration {
        let mut entries = self.lock();
        let entry = entries.entry((kind, namespace.to_owned(), name.to_owned())).or_insert_with(|| Entry {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            last_reconcile: now,
            outcome: Outcome::Unchanged,
            next_try: now,
            passes: 0,
            failures: 0,
        });
        entry.failures = if matches!(outcome, Outcome::Failed(_)) { entry.failures.saturating_add(1) } else { 0 };
        let wait = if entry.failures == 0 { wake_up } else { pause(entry.failures).min(wake_up) };
        entry.passes += 1;
        entry.outcome = outcome.bounded();
        entry.last_reconcile = now;
        entry.next_try = now + wait;
        wait
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, kind: &'static str, namespace: &str, name: &str) {
        self.lock().remove(&(kind, namespace.to_owned(), name.to_owned()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Entry>> {
        // A panic while it was held leaves at worst one stale line of a report.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures - 1)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end_with_a_success() {
        let journal = Journal::default();
        let now = Timestamp::UNIX_EPOCH;
        let fail = || journal.note(("K", "n", "x"), Outcome::Failed("no".into()), Duration::from_mins(10), now);
        let pauses: Vec<_> = (0..12).map(|_| fail().as_millis()).collect();
        assert_eq!(pauses[..3], [200, 400, 800]);
        assert_eq!(pauses[11], 60_000);
        assert_eq!(journal.note(("K", "n", "x"), Outcome::Unchanged, Duration::from_secs(7), now).as_secs(), 7);
        assert_eq!(journal.entries()[0].passes, 13);
        assert_eq!(journal.note(("K", "n", "x"), Outcome::Failed("é".repeat(5_000)), Duration::MAX, now), FIRST_PAUSE);
        assert!(matches!(&journal.entries()[0].outcome, Outcome::Failed(words) if words.len() == WORDS_LIMIT));
        journal.forget("K", "n", "x");
        assert!(journal.entries().is_empty());
    }
}
