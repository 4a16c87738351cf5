//! What the parts of a request under way share: until when it lasts, and what else its client is to be told.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// More than an answer has room for.
const WARNINGS: usize = 200;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Underway {
    /// When it will have been answered, with a failure if there is nothing better.
    pub(crate) until: Instant,
    /// What the client is to be told besides. A std mutex: it is held to push or to take.
    warnings: Mutex<Vec<String>>,
}

impl Underway {
    /// A request that begins.
    pub(crate) fn until(until: Instant) -> Self {
        Self { until, warnings: Mutex::default() }
    }

    /// Notes what the client is to be told, once.
    pub(super) fn warn(&self, warnings: Vec<String>) {
        let mut noted = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings {
            if noted.len() < WARNINGS && !noted.contains(&warning) {
                noted.push(warning);
            }
        }
    }

    /// What was noted so far.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
