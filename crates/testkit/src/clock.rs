//! A clock that tests set.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A clock that goes with real time until it is held, and jumps when it is told to. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    /// The time that it shows, where it does not go.
    held: Option<Timestamp>,
    /// How far it is ahead of real time, where it goes.
    ahead: SignedDuration,
}

impl TestClock {
    /// A clock that shows real time.
    pub fn going() -> Self {
        Self(Arc::new(Mutex::new(Hands { held: None, ahead: SignedDuration::ZERO })))
    }

    /// A clock that stands still.
    pub fn held_at(time: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands { held: Some(time), ahead: SignedDuration::ZERO })))
    }

    /// What it shows.
    pub fn now(&self) -> Timestamp {
        let hands = self.hands();
        hands.held.unwrap_or_else(|| real_time() + hands.ahead)
    }

    /// Holds it at a time.
    pub fn hold_at(&self, time: Timestamp) {
        self.hands().held = Some(time);
    }

    /// Puts it forward, or back.
    pub fn advance(&self, by: SignedDuration) {
        let mut hands = self.hands();
        match &mut hands.held {
            Some(time) => *time += by,
            None => hands.ahead += by,
        }
    }

    /// The function that product code asks.
    pub fn function(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "the test clock goes with real time until it is held")]
fn real_time() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_clock_moves_only_when_told() {
        let clock = TestClock::held_at(Timestamp::UNIX_EPOCH);
        let function = clock.function();
        clock.advance(SignedDuration::from_mins(2));
        assert_eq!(function(), Timestamp::from_second(120).unwrap());
    }

    #[test]
    fn a_going_clock_can_be_ahead() {
        let clock = TestClock::going();
        let before = clock.now();
        clock.advance(SignedDuration::from_hours(1));
        assert!(clock.now() >= before + SignedDuration::from_hours(1));
    }
}
