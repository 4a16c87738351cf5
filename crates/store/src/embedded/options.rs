//! What whoever opens the store may choose, and what is chosen otherwise.

use std::{fmt, sync::Arc, time::SystemTime};

use crate::memory::Retention;

/// How the store learns what time it is.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// How the embedded store behaves.
#[derive(Clone)]
pub struct Options {
    /// How many transactions may wait; one more is refused with [`Error::Busy`](crate::Error::Busy).
    pub queue: usize,
    /// How many bytes of transactions may wait.
    pub queue_bytes: usize,
    /// At most so many transactions share one disk transaction.
    pub batch: usize,
    /// What is kept of the past.
    pub retention: Retention,
    /// The time, which only decides how old a change is.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 4_096,
            queue_bytes: 64 << 20,
            batch: 512,
            retention: Retention::default(),
            clock: Arc::new(system_clock),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue, queue_bytes, batch, retention, clock: _ } = self;
        f.debug_struct("Options")
            .field("queue", queue)
            .field("queue_bytes", queue_bytes)
            .field("batch", batch)
            .field("retention", retention)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the default clock, replaced in tests through `Options::clock`")]
pub(crate) fn system_clock() -> SystemTime {
    SystemTime::now()
}
