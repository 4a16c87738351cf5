//! Who sends a request: from the `Authorization` header, else from the session cookie.

use std::sync::Arc;

use http::{HeaderMap, header};

use crate::answer::Refusal;
use crate::cookies;
use crate::gateway::Shared;
use crate::session::Identity;

/// An authenticated caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Arc<Identity>,
    /// True if a browser may have added the proof by itself: such requests must come from our own pages.
    pub(crate) by_cookie: bool,
}

/// Finds the caller.
///
/// A token that the API does not know does not spoil a valid cookie: Jupyter's own pages send the notebook's token
/// along with every request.
pub(crate) async fn authenticate(shared: &Shared, headers: &HeaderMap) -> Result<Caller, Refusal> {
    if let Some(token) = token(headers)
        && let Some(identity) = shared.access.identify(token).await?
    {
        return Ok(Caller { identity, by_cookie: false });
    }
    let identity = session(shared, headers).ok_or(Refusal::Unauthenticated)?;
    Ok(Caller { identity: Arc::new(identity), by_cookie: true })
}

fn session(shared: &Shared, headers: &HeaderMap) -> Option<Identity> {
    let now = (shared.options.clock)();
    let values =
        headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(cookies::sessions);
    values.into_iter().find_map(|value| shared.sessions.verify(value, now))
}

/// The token of `Authorization: token …` or `Bearer …`.
fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("bearer");
    known.then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_token_are_read() {
        for (value, expected) in [
            ("token abc", Some("abc")),
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic YTpi", None),
            ("abc", None),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(token(&headers), expected, "{value}");
        }
    }
}
