//! How much may be under way at once. What does not fit is answered with 429, never queued.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ApiError, UserInfo};

/// How much may be under way at once; the defaults are those of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests that read.
    pub reads: usize,
    /// Requests that write.
    pub writes: usize,
    /// Watches; they stay for long and are counted apart.
    pub watches: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { reads: 400, writes: 200, watches: 10_000 }
    }
}

/// The weight of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    _permit: Option<OwnedSemaphorePermit>,
}

/// The places that are left.
#[derive(Debug)]
pub(super) struct Gate {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    watches: Arc<Semaphore>,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { reads: places(limits.reads), writes: places(limits.writes), watches: places(limits.watches) }
    }

    /// Takes a place. Those who may do everything pass always, so that the system can be repaired while it is flooded;
    /// but their watches count too, since each holds memory.
    pub(super) fn enter(&self, class: Class, user: &UserInfo) -> Result<Place, ApiError> {
        if user.is_master() && class != Class::Watch {
            return Ok(Place { _permit: None });
        }
        let places = match class {
            Class::Read => &self.reads,
            Class::Write => &self.writes,
            Class::Watch => &self.watches,
        };
        let permit = places.clone().try_acquire_owned().map_err(|_| ApiError::too_many_requests())?;
        Ok(Place { _permit: Some(permit) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Gate, Limits};
    use crate::UserInfo;

    #[test]
    fn a_full_house_answers_with_429_and_a_place_given_back_can_be_taken() {
        let gate = Gate::new(Limits { reads: 1, writes: 1, watches: 1 });
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
