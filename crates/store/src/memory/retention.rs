//! How much of the past is kept.

use std::time::Duration;

/// Which changes the log keeps. The oldest goes as soon as one bound is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// At most so many changes.
    pub events: usize,
    /// At most so many bytes of values that only the log still holds.
    pub bytes: usize,
    /// No change older than this. Also how long a deleted secret stays in the file of an embedded store.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        // A Kubernetes API server keeps five to ten minutes (etcd's compaction interval); a client whose watch broke is back in seconds.
        Self { events: 100_000, bytes: 64 << 20, age: Duration::from_mins(10) }
    }
}
