//! How much may be under way at once, and how long clients may take. A request that does not fit is answered with 429,
//! never queued.
//!
//! One user gets at most half of the places, so that nobody shuts out everybody else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ApiError, UserInfo};

/// How much may be under way at once, and how long it may take; the defaults are those of Kubernetes where it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests that read.
    pub reads: usize,
    /// Requests that write.
    pub writes: usize,
    /// Watches; they stay for long and are counted apart.
    pub watches: usize,
    /// Connections; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Requests at once on one connection of HTTP/2. One client has many watches on one connection.
    pub streams: u32,
    /// A client that does not finish its handshake, asks nothing at all, or does not answer a ping in this time is cut off.
    pub silence: Duration,
    /// How often a silent connection of HTTP/2 is tried.
    pub ping: Duration,
    /// How long a connection may stay open between two requests; also how long the head of one may take.
    pub idle: Duration,
    /// A client that takes nothing of what is written to it for this long is cut off; one that takes less than 64 KiB of an
    /// answer in this time loses the answer.
    pub stalled: Duration,
    /// Longer than this no request may take but a watch; the time that its body takes to come counts.
    pub handler: Duration,
    /// How long requests under way may take when the listener stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads: 400,
            writes: 200,
            watches: 10_000,
            connections: 10_000,
            streams: 1000,
            silence: Duration::from_secs(10),
            ping: Duration::from_secs(30),
            idle: Duration::from_secs(90),
            stalled: Duration::from_secs(30),
            handler: Duration::from_secs(34),
            drain: Duration::from_secs(10),
        }
    }
}

/// The weight of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    Read,
    Write,
    Watch,
}

impl Class {
    pub(super) fn of_verb(verb: &str) -> Self {
        match verb {
            "get" | "list" => Self::Read,
            "watch" => Self::Watch,
            _ => Self::Write,
        }
    }
}

/// A place among the requests under way; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    taken: Option<(OwnedSemaphorePermit, Share)>,
}

impl Place {
    /// Whether somebody else waits for it.
    pub(super) fn is_counted(&self) -> bool {
        self.taken.is_some()
    }
}

/// How many places each user has; none is left out. A std mutex: it is held for a look-up only.
type Shares = Arc<Mutex<HashMap<(String, Class), usize>>>;

/// One place of those that one user may have; given back when dropped.
#[derive(Debug)]
struct Share {
    shares: Shares,
    key: (String, Class),
}

impl Share {
    fn take(shares: &Shares, key: (String, Class), most: usize) -> Option<Self> {
        let mut counts = shares.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.get(&key).is_some_and(|count| *count >= most) {
            return None;
        }
        *counts.entry(key.clone()).or_default() += 1;
        Some(Self { shares: shares.clone(), key })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// The places that are left.
#[derive(Debug)]
pub(super) struct Gate {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    pub(super) limits: Limits,
    shares: Shares,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            reads: places(limits.reads),
            writes: places(limits.writes),
            watches: places(limits.watches),
            limits,
            shares: Shares::default(),
        }
    }

    /// How many requests are under way, in the words of Kubernetes.
    pub(super) fn under_way(&self) -> [(&'static str, usize); 2] {
        let taken = |places: &Semaphore, all: usize| all.saturating_sub(places.available_permits());
        [("readOnly", taken(&self.reads, self.limits.reads)), ("mutating", taken(&self.writes, self.limits.writes))]
    }

    /// Takes a place. Those who may do everything pass always, so that the system can be repaired while it is flooded;
    /// but their watches count too, since each holds memory.
    pub(super) fn enter(&self, class: Class, user: &UserInfo) -> Result<Place, ApiError> {
        if user.is_master() && class != Class::Watch {
            return Ok(Place { taken: None });
        }
        let (places, all) = match class {
            Class::Read => (&self.reads, self.limits.reads),
            Class::Write => (&self.writes, self.limits.writes),
            Class::Watch => (&self.watches, self.limits.watches),
        };
        let most = if user.is_master() { all } else { all.div_ceil(2) };
        let permit = places.clone().try_acquire_owned().map_err(|_| ApiError::too_many_requests())?;
        let share = Share::take(&self.shares, (user.name.clone(), class), most);
        Ok(Place { taken: Some((permit, share.ok_or_else(ApiError::too_many_requests)?)) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Gate, Limits};
    use crate::UserInfo;

    #[test]
    fn one_user_leaves_half_of_the_places_to_the_others() {
        let gate = Gate::new(Limits { reads: 4, writes: 4, watches: 4, ..Limits::default() });
        let (alice, bob) = (UserInfo::new("alice", ["staff"]), UserInfo::new("bob", ["staff"]));
        let taken = [gate.enter(Class::Write, &alice).unwrap(), gate.enter(Class::Write, &alice).unwrap()];
        assert_eq!(gate.enter(Class::Write, &alice).unwrap_err().code, 429);
        assert!(gate.enter(Class::Write, &bob).is_ok() && gate.enter(Class::Read, &alice).is_ok());
        drop(taken);
        assert!(gate.enter(Class::Write, &alice).is_ok());
        assert!(gate.shares.lock().unwrap().is_empty());
    }

    #[test]
    fn a_full_house_answers_with_429_and_a_place_given_back_can_be_taken() {
        let gate = Gate::new(Limits { reads: 1, writes: 1, watches: 1, ..Limits::default() });
        let alice = UserInfo::new("alice", ["staff"]);
        let place = gate.enter(Class::Read, &alice).unwrap();
        let refused = gate.enter(Class::Read, &alice).unwrap_err();
        assert_eq!((refused.code, refused.retry_after_seconds), (429, Some(1)));
        assert!(gate.enter(Class::Write, &alice).is_ok());
        assert!(gate.enter(Class::Read, &UserInfo::new("root", ["system:masters"])).is_ok());
        drop(place);
        assert!(gate.enter(Class::Read, &alice).is_ok());
    }
}
