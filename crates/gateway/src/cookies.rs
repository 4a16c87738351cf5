//! Reads and edits cookies without touching those that are not ours.

/// Name of the session cookie.
pub(crate) const SESSION: &str = "essaim-session";

/// The values of all session cookies in a `Cookie` header; a page of a notebook may have added a false one.
pub(crate) fn sessions(header: &str) -> impl Iterator<Item = &str> {
    header
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.trim() == SESSION)
        .map(|(_, value)| value.trim())
}

/// The `Cookie` header for a notebook server: without our cookie, the others as they were. `None` if nothing remains.
pub(crate) fn without_session(header: &str) -> Option<String> {
    let others: Vec<&str> =
        header.split(';').map(str::trim).filter(|pair| !pair.is_empty() && !is_session(pair)).collect();
    (!others.is_empty()).then(|| others.join("; "))
}

/// True if a browser would take this `Set-Cookie` for our cookie.
pub(crate) fn sets_session(set_cookie: &[u8]) -> bool {
    let pair = set_cookie.split(|byte| *byte == b';').next().unwrap_or_default();
    is_session(String::from_utf8_lossy(pair).trim())
}

/// A cookie without a name is sent back as its value alone, so `=essaim-session=x` is ours as well.
fn is_session(pair: &str) -> bool {
    let pair = pair.trim_start_matches(['=', ' ', '\t']);
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    name.trim().eq_ignore_ascii_case(SESSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookie_is_found_among_others() {
        let found: Vec<_> = sessions("a=1; essaim-session=x.y; essaim-sessions=no; essaim-session=z").collect();
        assert_eq!(found, ["x.y", "z"]);
    }

    #[test]
    fn only_our_cookie_is_taken_out() {
        assert_eq!(without_session("_xsrf=2|a; essaim-session=x; b=\"c d\"").as_deref(), Some("_xsrf=2|a; b=\"c d\""));
        assert_eq!(without_session("essaim-session=x"), None);
        assert_eq!(without_session("=essaim-session=x; ESSAIM-SESSION=y"), None);
        assert_eq!(without_session("my-essaim-session=x").as_deref(), Some("my-essaim-session=x"));
    }

    #[test]
    fn a_notebook_cannot_set_our_cookie() {
        for ours in [
            "essaim-session=x; Path=/",
            " essaim-session =x",
            "=essaim-session=x",
            "Essaim-Session=x",
            "essaim-session",
        ] {
            assert!(sets_session(ours.as_bytes()), "{ours}");
        }
        for other in ["_xsrf=essaim-session=1", "a=b; essaim-session=x", "essaim=session"] {
            assert!(!sets_session(other.as_bytes()), "{other}");
        }
    }
}
