//! The issuer's public keys, kept for a while.
//!
//! ```text
//! key known and fresh ─────────────► use it
//! key known, older than an hour ───► one request fetches; the others, and it too if that fails, use what is known for a day
//! key unknown ─────────────────────► fetch, but not within 10 s of the last time: it may have been published since
//! fetch failed ────────────────────► no other try for 2 s, 4 s, … 60 s
//! ```
//!
//! Guarantees: at most one fetch at a time, and none that a client can cause oftener than that by sending tokens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::fetch::{Key, Source};
use crate::{auth::jwt::PublicKey, error::chain};

/// Older keys are fetched again, so that those which the issuer withdrew are no longer believed.
const REFRESH: SignedDuration = SignedDuration::from_hours(1);
/// Older keys are not believed, even if the issuer does not answer.
const OLDEST: SignedDuration = SignedDuration::from_hours(24);
/// The issuer is not asked again sooner.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_PAUSE_SECONDS: i64 = 60;

/// The keys of one issuer.
pub(super) struct Keys {
    source: Source,
    /// A std mutex: it is held for a look only.
    state: Mutex<State>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    keys: Arc<Vec<Key>>,
    fetched: Option<Timestamp>,
    /// Not asked again before.
    pause_until: Option<Timestamp>,
    failures: u32,
}

impl Keys {
    pub(super) fn new(source: Source) -> Self {
        Self { source, state: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The keys with which a token that names this key, or none, may be signed. Waits for the issuer at most as long as one
    /// fetch takes.
    pub(super) async fn for_token(&self, id: Option<&str>, now: Timestamp) -> Result<Vec<PublicKey>, &'static str> {
        let state = self.look();
        let known = state.named(id);
        let current = !known.is_empty() && state.is_younger(REFRESH, now);
        if !current && state.may_ask(now) {
            match self.fetching.try_lock() {
                Ok(_fetching) => self.fetch(now).await,
                // Whoever has no key waits for those that are on their way.
                Err(_) if known.is_empty() => drop(self.fetching.lock().await),
                Err(_) => {}
            }
        }
        let state = self.look();
        let known = state.named(id);
        match state.fetched {
            None => Err("the keys of the issuer could not be fetched"),
            Some(_) if !state.is_younger(OLDEST, now) => Err("the keys of the issuer are too old to be believed"),
            Some(_) if known.is_empty() => Err("the issuer has no such key"),
            Some(_) => Ok(known),
        }
    }

    fn look(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancellation: counts as asked, so that clients who hang up early cannot make it ask more often.
    async fn fetch(&self, now: Timestamp) {
        if !self.look().may_ask(now) {
            return;
        }
        self.lock().pause(now, PAUSE);
        match self.source.fetch().await {
            Ok(keys) => {
                tracing::info!(
                    issuer = self.source.issuer(),
                    keys = keys.len(),
                    "fetched the keys of the identity provider"
                );
                let mut state = self.lock();
                *state = State { keys: Arc::new(keys), fetched: Some(now), ..State::default() };
                state.pause(now, PAUSE);
            }
            Err(error) => {
                let causes = chain(&error);
                tracing::warn!(issuer = self.source.issuer(), causes, "cannot fetch the keys of the identity provider");
                let mut state = self.lock();
                state.failures = state.failures.saturating_add(1);
                let seconds = 2_i64.saturating_pow(state.failures).min(LONGEST_PAUSE_SECONDS);
                state.pause(now, SignedDuration::from_secs(seconds));
            }
        }
    }
}

impl State {
    /// The keys of that name; all of them if the token names none.
    fn named(&self, id: Option<&str>) -> Vec<PublicKey> {
        let fits = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        self.keys.iter().filter(fits).map(|key| key.public.clone()).collect()
    }

    fn is_younger(&self, age: SignedDuration, now: Timestamp) -> bool {
        self.fetched.is_some_and(|fetched| now.duration_since(fetched) < age)
    }

    /// A clock that was put back must not silence it for good.
    fn may_ask(&self, now: Timestamp) -> bool {
        let longest = SignedDuration::from_secs(LONGEST_PAUSE_SECONDS);
        self.pause_until.is_none_or(|until| now >= until || until.duration_since(now) > longest)
    }

    fn pause(&mut self, now: Timestamp, pause: SignedDuration) {
        self.pause_until = now.checked_add(pause).ok();
    }
}
