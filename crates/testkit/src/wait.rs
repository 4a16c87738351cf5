//! Bounded waits: for a condition, never for a time.

use std::time::Duration;

use tokio::time::Instant;

/// Longest wait for anything that should come: far more than it takes, also on a machine that does other things.
pub const LIMIT: Duration = Duration::from_mins(2);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until something is there.
///
/// # Panics
///
/// With `what`, after [`LIMIT`].
pub async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "waited in vain for: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
