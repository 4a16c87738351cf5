//! Takes the namespace and the name out of `/user/<namespace>/<name>/…`.
//!
//! Invariant: a path that another program could read as pointing to another server is refused, never guessed. What
//! follows the name is the notebook's business and is forwarded byte for byte.

/// Where the notebook servers live.
const PREFIX: &str = "/user/";
const MAX_LABEL: usize = 63;

/// Which server a path points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserPath<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    /// Not below `/user/<namespace>/<name>`.
    NotAServer,
    /// May mean several things.
    Ambiguous(&'static str),
}

/// Reads the raw, still percent-encoded path of a request.
pub(crate) fn parse(path: &str) -> Result<UserPath<'_>, PathError> {
    let rest = path.strip_prefix(PREFIX).ok_or(PathError::NotAServer)?;
    let mut parts = rest.splitn(3, '/');
    let (Some(namespace), Some(name)) = (parts.next(), parts.next()) else {
        return Err(PathError::NotAServer);
    };
    let tail = parts.next();
    if name.is_empty() && tail.is_none() && is_label(namespace) {
        return Err(PathError::NotAServer);
    }
    if !is_label(namespace) || !is_label(name) {
        return Err(PathError::Ambiguous("the namespace and the name are lower case letters, digits and hyphens"));
    }
    refuse_tricks(tail.unwrap_or_default())?;
    Ok(UserPath { namespace, name })
}

/// True for what Kubernetes accepts as the name of a namespace.
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= MAX_LABEL
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Refuses what no honest client sends, because clients resolve it themselves.
fn refuse_tricks(tail: &str) -> Result<(), PathError> {
    if tail.contains("%00") {
        return Err(PathError::Ambiguous("the path contains a null byte"));
    }
    if tail.split(['/', '\\']).any(is_dot_segment) {
        return Err(PathError::Ambiguous("the path contains a dot segment"));
    }
    Ok(())
}

/// True for `.` and `..`, also percent-encoded and also when the slash beside them is.
fn is_dot_segment(segment: &str) -> bool {
    if !segment.contains(['.', '%']) {
        return false;
    }
    let plain = segment.to_ascii_lowercase().replace("%2e", ".").replace("%5c", "/").replace("%2f", "/");
    plain.split('/').any(|part| part == "." || part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_the_first_two_segments() {
        let alice = Ok(UserPath { namespace: "alice", name: "lab-1" });
        let alike = [
            "/user/alice/lab-1",
            "/user/alice/lab-1/",
            "/user/alice/lab-1/lab/tree/a%20b%2Fc.ipynb",
            "/user/alice/lab-1//x",
        ];
        for path in alike {
            assert_eq!(parse(path), alice, "{path}");
        }
    }

    #[test]
    fn other_paths_are_no_servers() {
        for path in [
            "/",
            "/user",
            "/user/",
            "/user/alice",
            "/user/alice/",
            "/users/alice/lab",
            "//user/alice/lab",
            "/USER/alice/lab",
        ] {
            assert!(matches!(parse(path), Err(PathError::NotAServer | PathError::Ambiguous(_))), "{path}");
        }
        assert_eq!(parse("/user/alice/"), Err(PathError::NotAServer));
    }

    #[test]
    fn tricks_in_the_namespace_or_name_are_refused() {
        let tricks = [
            "/user//alice/lab",
            "/user/alice//lab",
            "/user/alice%2flab/x",
            "/user/alice/../bob/lab",
            "/user/../user/bob/lab",
            "/user/alice/lab%00/x",
            "/user/alice/%2e%2e/bob",
            "/user/Alice/lab",
            "/user/alice/lab;x=1/",
            "/user/alice/-lab/",
            "/user/alice\\lab/x",
            "/user/%61lice/lab/",
        ];
        for path in tricks {
            assert!(matches!(parse(path), Err(PathError::Ambiguous(_))), "{path}");
        }
    }

    #[test]
    fn tricks_behind_the_name_are_refused() {
        let tricks = [
            "..",
            "../../bob/lab",
            "a/./b",
            "%2e%2E/x",
            "a/.%2e/b",
            "..%2f..%2fbob",
            "a\\..\\b",
            "a%5c..%5cb",
            "x%00y",
        ];
        for tail in tricks {
            assert!(matches!(parse(&format!("/user/alice/lab/{tail}")), Err(PathError::Ambiguous(_))), "{tail}");
        }
        for tail in ["a..b", "...", ".hidden", "a%2Fb", "v1.2/x", "%252e%252e"] {
            assert!(parse(&format!("/user/alice/lab/{tail}")).is_ok(), "{tail}");
        }
    }
}
