//! Bounded waits that say what they waited for.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until `look` finds something, at most for `limit`.
///
/// `what` and `see` go into the error of a wait in vain: the thing, and where the reason should stand.
///
/// # Errors
/// The first error of `look` ends the wait; [`Error::Waited`] at the limit.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    see: &dyn Display,
    mut look: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let end = now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if now() >= end {
            return Err(Error::Waited { what: what.to_owned(), limit, see: see.to_string() });
        }
        thread::sleep(PAUSE);
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's tool waits in real time; nothing is decided from it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_vain_names_what_and_where_to_look() {
        let error = until::<()>("the moon", Duration::from_millis(1), &"the sky", || Ok(None)).unwrap_err().to_string();
        assert!(error.contains("the moon") && error.contains("the sky"), "{error}");
    }
}
