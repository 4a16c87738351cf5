//! Further paths that answer GET: what the composition root serves beside the objects.
//!
//! They pass the same authentication and authorization: a path below an object is a subresource of it, any other path is
//! a non-resource URL.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc};

use axum::response::Response;
use futures::{FutureExt as _, future::BoxFuture};

use crate::{ApiError, UserInfo};

/// What a raw handler is asked.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// Who asks.
    pub user: UserInfo,
    /// What stood in place of the braces.
    pub params: BTreeMap<String, String>,
    /// The parameters behind the question mark.
    pub query: BTreeMap<String, String>,
}

impl RawRequest {
    /// What stood in place of `{name}`; empty if the pattern has no such place.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }
}

type Respond = dyn Fn(RawRequest) -> BoxFuture<'static, Result<Response, ApiError>> + Send + Sync;

/// A path and the function that answers it.
#[derive(Clone)]
pub struct RawHandler {
    pattern: Vec<Segment>,
    respond: Arc<Respond>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Param(String),
}

impl RawHandler {
    /// A handler for a pattern such as `/apis/toys.test/v1/namespaces/{namespace}/widgets/{name}/log`.
    pub fn new<F, R>(pattern: &str, respond: F) -> Self
    where
        F: Fn(RawRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) => Segment::Param(name.to_owned()),
            None => Segment::Literal(text.to_owned()),
        };
        let pattern = pattern.split('/').filter(|segment| !segment.is_empty()).map(segment).collect();
        Self { pattern, respond: Arc::new(move |request| respond(request).boxed()) }
    }

    /// What stands in the places of the pattern, if the path has its form.
    pub(super) fn matches(&self, path: &[&str]) -> Option<BTreeMap<String, String>> {
        if self.pattern.len() != path.len() {
            return None;
        }
        let mut params = BTreeMap::new();
        for (segment, found) in self.pattern.iter().zip(path) {
            match segment {
                Segment::Literal(literal) if literal == found => {}
                Segment::Literal(_) => return None,
                Segment::Param(name) => drop(params.insert(name.clone(), (*found).to_owned())),
            }
        }
        Some(params)
    }

    pub(super) fn respond(&self, request: RawRequest) -> BoxFuture<'static, Result<Response, ApiError>> {
        (self.respond)(request)
    }
}

impl fmt::Debug for RawHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawHandler").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::RawHandler;
    use crate::ApiError;

    #[test]
    fn a_pattern_matches_its_form_and_names_its_places() {
        let handler = RawHandler::new("/extra/{kind}/log", |_| async { Err(ApiError::no_such_path()) });
        let params = handler.matches(&["extra", "widgets", "log"]).unwrap();
        assert_eq!(params["kind"], "widgets");
        assert!(handler.matches(&["extra", "widgets"]).is_none());
        assert!(handler.matches(&["extra", "widgets", "other"]).is_none());
    }
}
