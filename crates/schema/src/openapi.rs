//! OpenAPI v3 documents, one for each group and version, as kubectl reads them.

use serde_json::{Value, json};

/// What one resource adds to the document of its group and version.
#[derive(Clone, Debug)]
pub struct ResourceDoc<'a> {
    /// CamelCase kind.
    pub kind: &'a str,
    /// Lower-case plural, as in the path.
    pub plural: &'a str,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// The `openAPIV3Schema`, as written.
    pub schema: &'a Value,
    /// The verbs served: `create`, `delete`, `deletecollection`, `get`, `list`, `patch`, `update`, `watch`.
    pub verbs: Vec<&'a str>,
    /// Whether the `status` subresource exists.
    pub status: bool,
    /// Whether the `scale` subresource exists.
    pub scale: bool,
}

/// Every verb of an ordinary resource.
pub const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The document served at `/openapi/v3/apis/GROUP/VERSION` (`/openapi/v3/api/v1` for the empty group).
pub fn document(group: &str, version: &str, resources: &[ResourceDoc<'_>]) -> Value {
    let _ = (group, version, resources);
    json!({})
}
