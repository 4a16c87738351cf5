//! Who asked for a write, and the request that it is part of. The server's own writes have no asker.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::UserInfo;

/// More than an answer has room for.
const WARNINGS: usize = 200;

/// Whom a write is done for.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) user: Arc<UserInfo>,
    pub(crate) request: Arc<Underway>,
}

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
