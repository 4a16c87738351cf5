//! What whoever opens the store may choose, and what is chosen otherwise.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

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

/// Which changes the log keeps. The oldest goes as soon as one bound is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// At most so many changes.
    pub events: usize,
    /// At most so many bytes of values that only the log still holds.
    pub bytes: usize,
    /// No change older than this. Also how long a deleted secret stays in the file.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        // A Kubernetes API server keeps five to ten minutes (etcd's compaction interval); a client whose watch broke is back in seconds.
        Self { events: 100_000, bytes: 64 << 20, age: Duration::from_mins(10) }
    }
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
fn system_clock() -> SystemTime {
    SystemTime::now()
}
