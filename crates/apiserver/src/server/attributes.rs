//! What a request is about, as far as authorization is concerned.

use http::Method;

use crate::{
    ApiError,
    auth::{Attributes, Target},
    wire::{
        path::{self, ResourcePath},
        query::Query,
    },
};

/// The method is not for this path.
pub(super) fn method_not_allowed() -> ApiError {
    ApiError::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}

/// The request in the words of rules.
pub(super) fn of(
    target: &path::Target,
    raw_path: &str,
    method: &Method,
    query: &Query,
) -> Result<Attributes, ApiError> {
    match target {
        path::Target::Resource(path) => of_resource(path, method, query),
        path::Target::Discovery(_) => {
            Ok(Attributes::path(&method.as_str().to_ascii_lowercase(), raw_path.trim_end_matches('/')))
        }
        path::Target::NonResource(path) => Ok(Attributes::path(&method.as_str().to_ascii_lowercase(), path)),
    }
}

fn of_resource(path: &ResourcePath, method: &Method, query: &Query) -> Result<Attributes, ApiError> {
    let verb = verb(method, path.name.is_some(), query)?;
    // A namespace lies in itself, so that a role in it can allow to read it.
    let is_namespace = path.group.is_empty() && path.resource == "namespaces";
    let own = if is_namespace { path.name.as_ref() } else { None };
    let namespace = path.namespace.as_ref().or(own);
    // A list of one name is as narrow as a get: rules for that name allow it. Nothing else looks at selectors.
    let narrows = matches!(verb, "list" | "watch");
    let selected =
        || query.selectors().ok().and_then(|selectors| selectors.fields.required("metadata.name").map(str::to_owned));
    let name = path.name.clone().or_else(|| selected().filter(|_| narrows)).unwrap_or_default();
    Ok(Attributes {
        verb: verb.into(),
        namespace: namespace.cloned().unwrap_or_default(),
        target: Target::Resource {
            group: path.group.clone(),
            resource: path.resource.clone(),
            subresource: path.subresource.clone().unwrap_or_default(),
            name,
        },
    })
}

/// The verb of a request about a resource.
fn verb(method: &Method, named: bool, query: &Query) -> Result<&'static str, ApiError> {
    Ok(match (method.as_str(), named) {
        ("GET", true) => "get",
        ("GET", false) if query.flag("watch") => "watch",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return Err(method_not_allowed()),
    })
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::of;
    use crate::{
        auth::Target,
        wire::{path, query::Query},
    };

    fn attributes(method: &Method, uri: &str) -> (String, String, Target) {
        let uri: http::Uri = uri.parse().unwrap();
        let found = of(&path::parse(uri.path()).unwrap(), uri.path(), method, &Query::parse(&uri).unwrap()).unwrap();
        (found.verb, found.namespace, found.target)
    }

    #[test]
    fn verbs_follow_from_method_name_and_watch() {
        let verb = |method: Method, uri: &str| attributes(&method, uri).0;
        assert_eq!(verb(Method::GET, "/api/v1/secrets"), "list");
        assert_eq!(verb(Method::GET, "/api/v1/secrets?&watch=1"), "watch");
        assert_eq!(verb(Method::GET, "/api/v1/namespaces/a/secrets/x?watch=1"), "get");
        assert_eq!(verb(Method::DELETE, "/api/v1/namespaces/a/secrets"), "deletecollection");
        assert_eq!(verb(Method::GET, "/version"), "get");
    }

    #[test]
    fn a_namespace_lies_in_itself_and_a_selected_name_counts() {
        assert_eq!(attributes(&Method::GET, "/api/v1/namespaces/alice").1, "alice");
        let (_, _, target) = attributes(&Method::GET, "/api/v1/namespaces/a/secrets?fieldSelector=metadata.name%3Dx");
        assert!(matches!(target, Target::Resource { name, .. } if name == "x"));
        for method in [Method::POST, Method::DELETE] {
            let uri = "/api/v1/namespaces/a/secrets?fieldSelector=metadata.name%3Dx";
            let (_, _, target) = attributes(&method, uri);
            assert!(
                matches!(target, Target::Resource { name, .. } if name.is_empty()),
                "{method}: the body may name another"
            );
        }
    }
}
