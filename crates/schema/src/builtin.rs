//! The kinds that the API server serves without a CustomResourceDefinition, as data files.

use std::sync::LazyLock;

use serde_json::Value;

use crate::openapi::ResourceDoc;
use crate::{Columns, Structural};

/// One built-in kind.
#[derive(Clone, Debug)]
pub struct Builtin {
    /// The API group, empty for core.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// CamelCase kind.
    pub kind: String,
    /// Lower-case plural, as in the path.
    pub plural: String,
    /// Lower-case singular.
    pub singular: String,
    /// Abbreviations for command lines.
    pub short_names: Vec<String>,
    /// Groups such as `api-extensions`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// The verbs served.
    pub verbs: Vec<String>,
    /// Whether the `status` subresource exists.
    pub status: bool,
    /// The schema, for strict decoding, server-side apply and `kubectl explain`.
    pub schema: Structural,
    /// The printer columns.
    pub columns: Columns,
}

impl Builtin {
    /// What the kind adds to the OpenAPI document of its group and version.
    pub fn doc(&self) -> ResourceDoc<'_> {
        ResourceDoc {
            kind: &self.kind,
            plural: &self.plural,
            namespaced: self.namespaced,
            schema: self.schema.json(),
            verbs: self.verbs.iter().map(String::as_str).collect(),
            status: self.status,
            scale: false,
        }
    }
}

/// Every built-in kind.
pub fn all() -> &'static [Builtin] {
    &[]
}

/// The built-in kind of that name.
pub fn find(group: &str, version: &str, kind: &str) -> Option<&'static Builtin> {
    all().iter().find(|one| one.group == group && one.version == version && one.kind == kind)
}

/// The schema of ObjectMeta.
pub(crate) fn object_meta_json() -> &'static Value {
    static JSON: LazyLock<Value> = LazyLock::new(|| parse(include_str!("builtin/object_meta.json")));
    &JSON
}

/// Reads a file that comes with this crate; a test makes sure that each is JSON.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
