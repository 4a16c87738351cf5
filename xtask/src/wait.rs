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

/// Tries again and again until `attempt` succeeds, at most for `limit`: for what fails only because something else is still coming up.
///
/// # Errors
/// The last error of `attempt`, when the limit is over.
pub(crate) fn until_it_succeeds<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let end = now() + limit;
    loop {
        match attempt() {
            Err(_) if now() < end => thread::sleep(PAUSE),
            outcome => return outcome,
        }
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

    #[test]
    fn an_attempt_in_vain_ends_with_its_own_error() {
        let mut attempts = 0;
        let error = until_it_succeeds::<()>(Duration::from_millis(1), || {
            attempts += 1;
            until("the moon", Duration::ZERO, &"the sky", || Ok(None))
        });
        assert!(attempts > 1 && matches!(error, Err(Error::Waited { what, .. }) if what == "the moon"));
    }
}
