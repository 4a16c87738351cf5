//! What a poisoned lock means here: nothing.
//!
//! Every critical section of these engines replaces whole values or pushes onto a log, so a panic elsewhere cannot
//! leave one half done; refusing all reads for ever would be worse than going on.

use std::sync::{LockResult, PoisonError};

/// Takes the guard of a lock, poisoned or not.
pub(crate) trait Held<T> {
    /// The guard.
    fn held(self) -> T;
}

impl<T> Held<T> for LockResult<T> {
    fn held(self) -> T {
        self.unwrap_or_else(PoisonError::into_inner)
    }
}
