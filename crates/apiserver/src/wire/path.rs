//! What a path is about: a resource, or something else.
//!
//! ```text
//! /api/v1/namespaces/{ns}/{resource}/{name}/{subresource}
//! /apis/{group}/{version}/…
//! ```
//!
//! Segments are split before they are decoded, so that an encoded slash can never make a new segment; a segment that
//! decodes to a slash, a dot or two, or a control character names nothing and is answered with 404.

use crate::ApiError;

/// The path of a request about a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// Empty for core.
    pub(crate) group: String,
    pub(crate) version: String,
    /// `None` for cluster-scoped resources and for all namespaces.
    pub(crate) namespace: Option<String>,
    /// The plural.
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    /// `status`, `scale`, or what the composition root registered.
    pub(crate) subresource: Option<String>,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Objects.
    Resource(ResourcePath),
    /// `/api` and `/api/v1`, `/apis` and below up to the version.
    Discovery(Discovery),
    /// Anything else, such as `/version`; without its trailing slash.
    NonResource(String),
}

impl Target {
    /// The version of its group, if it is about objects.
    pub(crate) fn version(&self) -> &str {
        if let Self::Resource(path) = self { &path.version } else { "" }
    }
}

/// A document that tells which resources exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    /// `/apis/{group}`
    Group(String),
    /// `/api/{version}` with the empty group, or `/apis/{group}/{version}`.
    Version(String, String),
}

/// Reads the path of a request.
pub(crate) fn parse(path: &str) -> Result<Target, ApiError> {
    let segments = segments(path)?;
    let words = segments.iter().map(String::as_str).collect::<Vec<_>>();
    Ok(match words.as_slice() {
        ["api"] => Target::Discovery(Discovery::Core),
        ["apis"] => Target::Discovery(Discovery::Groups),
        ["apis", group] => Target::Discovery(Discovery::Group((*group).into())),
        ["api", version] => Target::Discovery(Discovery::Version(String::new(), (*version).into())),
        ["apis", group, version] => Target::Discovery(Discovery::Version((*group).into(), (*version).into())),
        ["api", version, rest @ ..] => Target::Resource(resource("", version, rest)?),
        ["apis", group, version, rest @ ..] => Target::Resource(resource(group, version, rest)?),
        _ => Target::NonResource(format!("/{}", words.join("/"))),
    })
}

/// The decoded segments of a path; a trailing slash does not matter.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, ApiError> {
    let path = path.strip_prefix('/').ok_or_else(ApiError::no_such_path)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/').map(segment).collect()
}

/// What stands behind the version.
fn resource(group: &str, version: &str, rest: &[&str]) -> Result<ResourcePath, ApiError> {
    let mut path = ResourcePath { group: group.into(), version: version.into(), ..ResourcePath::default() };
    let rest = match rest {
        // `/namespaces/{name}` and `/namespaces/{name}/status` are about the namespace itself.
        ["namespaces", _, "status" | "finalize"] | ["namespaces", _] | ["namespaces"] => rest,
        ["namespaces", namespace, rest @ ..] => {
            path.namespace = Some((*namespace).into());
            rest
        }
        rest => rest,
    };
    let (resource, name, subresource) = match rest {
        [resource] => (resource, None, None),
        [resource, name] => (resource, Some(*name), None),
        [resource, name, subresource] => (resource, Some(*name), Some(*subresource)),
        _ => return Err(ApiError::no_such_path()),
    };
    path.resource = (*resource).into();
    path.name = name.map(Into::into);
    path.subresource = subresource.map(Into::into);
    Ok(path)
}

fn segment(raw: &str) -> Result<String, ApiError> {
    let decoded =
        percent_decode(raw).ok_or_else(|| ApiError::bad_request("the path is not valid percent-encoded UTF-8"))?;
    let nothing = decoded.is_empty() || decoded == "." || decoded == "..";
    if nothing || decoded.contains('/') || decoded.chars().any(char::is_control) {
        return Err(ApiError::no_such_path());
    }
    Ok(decoded)
}

/// Replaces `%41` by what it stands for; nothing if an escape is broken or the result is no UTF-8.
pub(crate) fn percent_decode(raw: &str) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let mut decoded = [0];
            hex::decode_to_slice(digits, &mut decoded).ok()?;
            out.extend(decoded);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::{Discovery, ResourcePath, Target, parse};

    fn resource(path: &str) -> ResourcePath {
        match parse(path).unwrap() {
            Target::Resource(resource) => resource,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn resource_paths_are_taken_apart() {
        let path = resource("/apis/toys.test/v1/namespaces/alice/widgets/one/status");
        assert_eq!((path.group.as_str(), path.version.as_str()), ("toys.test", "v1"));
        assert_eq!(path.namespace.as_deref(), Some("alice"));
        assert_eq!(path.resource, "widgets");
        assert_eq!(path.name.as_deref(), Some("one"));
        assert_eq!(path.subresource.as_deref(), Some("status"));
    }

    #[test]
    fn a_namespace_is_a_resource_and_a_prefix() {
        assert_eq!(resource("/api/v1/namespaces").name, None);
        let one = resource("/api/v1/namespaces/alice");
        assert_eq!((one.resource.as_str(), one.name.as_deref(), one.namespace), ("namespaces", Some("alice"), None));
        assert_eq!(resource("/api/v1/namespaces/alice/status").subresource.as_deref(), Some("status"));
        let inside = resource("/api/v1/namespaces/alice/secrets/");
        assert_eq!((inside.resource.as_str(), inside.namespace.as_deref()), ("secrets", Some("alice")));
        assert_eq!(resource("/api/v1/namespaces/alice/configmaps/status").name.as_deref(), Some("status"));
    }

    #[test]
    fn trailing_slashes_do_not_matter() {
        assert_eq!(parse("/api/").unwrap(), Target::Discovery(Discovery::Core));
        assert_eq!(parse("/apis/").unwrap(), parse("/apis").unwrap());
        assert_eq!(parse("/version/").unwrap(), Target::NonResource("/version".into()));
        assert_eq!(parse("/").unwrap(), Target::NonResource("/".into()));
        assert_eq!(parse("/apis/g/v1/").unwrap(), Target::Discovery(Discovery::Version("g".into(), "v1".into())));
    }

    #[test]
    fn hostile_paths_lead_nowhere() {
        for path in [
            "///",
            "/api//v1",
            "/api/v1/secrets/..",
            "/api/v1/x/%2e%2e",
            "/api/v1/x/a%2fb",
            "/api/v1/x/%00",
            "/api/v1/a/b/c/d",
        ] {
            assert_eq!(parse(path).unwrap_err().code, 404, "{path}");
        }
        for path in ["/api/v1/x/%", "/api/v1/x/%zz", "/api/v1/x/%ff"] {
            assert_eq!(parse(path).unwrap_err().code, 400, "{path}");
        }
        assert_eq!(resource("/api/v1/secrets/a%20b").name.as_deref(), Some("a b"));
    }
}
