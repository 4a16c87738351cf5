//! OpenAPI v3 documents, one for each group and version, as kubectl reads them.
//!
//! kubectl asks three things of a document: the schema of a kind (found by `x-kubernetes-group-version-kind`), the query
//! parameters of the kind's PATCH operation (`fieldValidation`, `dryRun`), and descriptions for `explain`.

mod operations;
mod schemas;

use serde_json::{Map, Value, json};

/// What one resource adds to the document of its group and version.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, as in discovery documents")]
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
    /// Whether it takes strategic merge patches, as the built-in kinds do and no custom resource does.
    pub strategic_merge: bool,
}

/// Every verb of an ordinary resource.
pub const ALL_VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The document served at `/openapi/v3/apis/GROUP/VERSION` (`/openapi/v3/api/v1` for the empty group).
pub fn document(group: &str, version: &str, resources: &[ResourceDoc<'_>]) -> Value {
    let api = Api { group, version };
    let mut schemas = schemas::shared();
    let mut paths = Map::new();
    paths.insert(format!("{}/", api.root()), operations::discovery(&api));
    for resource in resources {
        schemas::add(&api, resource, &mut schemas);
        operations::add(&api, resource, &mut paths);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// The schema of one built-in kind as it stands in its document, with `apiVersion`, `kind` and `metadata`.
pub fn core_schema(group: &str, version: &str, kind: &str) -> Option<Value> {
    let builtin = crate::builtin::find(group, version, kind)?;
    Some(schemas::object(&Api { group, version }, &builtin.doc()))
}

/// A group and version.
struct Api<'a> {
    group: &'a str,
    version: &'a str,
}

impl Api<'_> {
    fn root(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// `dev.essaim.v1alpha1.NotebookServer`: the group backwards, so that related names sort together.
    fn schema_name(&self, kind: &str) -> String {
        if self.group.is_empty() {
            return format!("io.k8s.api.core.{}.{kind}", self.version);
        }
        let backwards: Vec<&str> = self.group.split('.').rev().collect();
        format!("{}.{}.{kind}", backwards.join("."), self.version)
    }

    fn group_version_kind(&self, kind: &str) -> Value {
        json!({"group": self.group, "version": self.version, "kind": kind})
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The name of a type of `meta/v1`.
fn meta(name: &str) -> String {
    format!("io.k8s.apimachinery.pkg.apis.meta.v1.{name}")
}

#[cfg(test)]
mod tests;
