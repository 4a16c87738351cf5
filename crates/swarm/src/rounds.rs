//! Rounds: pictures are taken one at a time, and shared by everybody who waits.
//!
//! ```text
//! observe ─ask─> state.asked ──> run: wait for the spacing, look, publish ──> done ──> every waiting observe
//! ```
//!
//! Order is told by stamps, not by clocks: the beginning of a round and the end of an apply each take the next number, so "begun after
//! the owner's last apply" is a comparison of two integers. An observer that is dropped leaves nothing behind.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{failure::LookFailure, look::Looker, picture::Picture};

/// A failed round answers later observers for no longer than this, however old a picture they would take.
const FAILURE_AGE: Duration = Duration::from_secs(1);

/// When a round began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    stamp: u64,
    at: Instant,
}

/// A finished round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    begun: Begun,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub result: Result<Arc<Picture>, LookFailure>,
}

#[derive(Debug, Default)]
struct State {
    last_stamp: u64,
    /// Somebody needs a round that did not begin yet.
    asked: bool,
    running: Option<Begun>,
    /// Stamp of the end of each owner's last apply, until a picture was begun after it.
    applied: HashMap<String, u64>,
}

/// Takes the rounds, and hands them out.
pub(crate) struct Rounds {
    looker: Looker,
    /// Least time between the beginnings of two rounds.
    spacing: Duration,
    /// Held for a few instructions only, never across an await.
    state: Mutex<State>,
    asked: Notify,
    done: watch::Sender<Option<Arc<Round>>>,
}

impl Rounds {
    pub(crate) fn new(looker: Looker, spacing: Duration) -> Self {
        Rounds { looker, spacing, state: Mutex::default(), asked: Notify::new(), done: watch::Sender::new(None) }
    }

    /// Every round from now on; a receiver that is slow sees only the latest.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<Round>>> {
        self.done.subscribe()
    }

    /// A round that is at most `max_age` old and, for an owner, begun after the owner's last apply: the last one, else the running one, else a new one.
    ///
    /// Assumption: [`run`](Self::run) runs. `None` means that it was ended.
    pub(crate) async fn round(&self, uid: Option<&str>, max_age: Duration) -> Option<Arc<Round>> {
        let now = Instant::now();
        let not_before = |age: Duration| now.checked_sub(age);
        let (oldest_picture, oldest_failure) = (not_before(max_age), not_before(max_age.min(FAILURE_AGE)));
        let after = uid.and_then(|uid| self.state().applied.get(uid).copied()).unwrap_or_default();
        let fits = |begun: &Begun, oldest: Option<Instant>| {
            begun.stamp > after && oldest.is_none_or(|oldest| begun.at >= oldest)
        };
        let mut done = self.done.subscribe();
        loop {
            let last = done.borrow_and_update().clone();
            let last = last
                .filter(|round| fits(&round.begun, if round.result.is_ok() { oldest_picture } else { oldest_failure }));
            if last.is_some() {
                return last;
            }
            self.ask_unless(|running| fits(running, oldest_picture));
            done.changed().await.ok()?;
        }
    }

    /// Marks that an owner's objects were just changed: older pictures are no longer good for this owner.
    pub(crate) fn applied(&self, uid: &str) {
        let mut state = self.state();
        state.last_stamp += 1;
        let stamp = state.last_stamp;
        state.applied.insert(uid.to_owned(), stamp);
    }

    /// Takes rounds as they are asked for. Never ends.
    pub(crate) async fn run(&self) {
        let mut earliest = Instant::now();
        let mut picture = None;
        loop {
            while !self.state().asked {
                self.asked.notified().await;
            }
            tokio::time::sleep_until(earliest).await;
            let begun = self.begin();
            earliest = begun.at + self.spacing;
            let result = self.looker.look(picture.clone()).await.map(Arc::new);
            if let Ok(taken) = &result {
                picture = Some(Arc::clone(taken));
            }
            self.end(begun, result);
        }
    }

    fn begin(&self) -> Begun {
        let mut state = self.state();
        state.last_stamp += 1;
        state.asked = false;
        let begun = Begun { stamp: state.last_stamp, at: Instant::now() };
        state.running = Some(begun);
        begun
    }

    fn end(&self, begun: Begun, result: Result<Arc<Picture>, LookFailure>) {
        let mut state = self.state();
        state.running = None;
        if result.is_ok() {
            state.applied.retain(|_, applied| *applied > begun.stamp);
        }
        drop(state);
        self.done.send_replace(Some(Arc::new(Round { begun, took: begun.at.elapsed(), result })));
    }

    fn ask_unless(&self, running_fits: impl Fn(&Begun) -> bool) {
        let mut state = self.state();
        if state.running.as_ref().is_some_and(running_fits) {
            return;
        }
        state.asked = true;
        drop(state);
        self.asked.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before the lock is released, also if a thread panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
