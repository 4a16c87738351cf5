//! A CustomResourceDefinition, checked: what the API server needs to serve the resource.

use serde_json::Value;

use crate::openapi::{ALL_VERBS, ResourceDoc};
use crate::{Columns, FieldError, FieldPath, Structural};

mod check;
mod conversion;
mod version;

/// Whether objects live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// Beside the namespaces.
    Cluster,
}

/// The names under which a resource is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Lower case, in paths.
    pub plural: String,
    /// Lower case, for command lines; the kind in lower case unless given.
    pub singular: String,
    /// CamelCase, in objects.
    pub kind: String,
    /// The kind of lists; `<kind>List` unless given.
    pub list_kind: String,
    /// Abbreviations for command lines.
    pub short_names: Vec<String>,
    /// Groups such as `all`.
    pub categories: Vec<String>,
}

/// The `scale` subresource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Where the wanted number stands, below `.spec`.
    pub spec_replicas: FieldPath,
    /// Where the present number stands, below `.status`.
    pub status_replicas: FieldPath,
    /// Where the selector stands as text, below `.spec` or `.status`.
    pub label_selector: Option<FieldPath>,
}

/// How objects move between versions.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversion {
    /// Only `apiVersion` changes.
    None,
    /// By a webhook; its `clientConfig` as written, an object that is not checked further here.
    Webhook(Value),
}

/// A field that field selectors may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectableField {
    /// The label in a selector: `spec.class`.
    pub label: String,
    /// Where it stands.
    pub path: FieldPath,
}

/// One version of the resource.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of a CustomResourceDefinition, independent of the others"
)]
pub struct Version {
    /// `v1alpha1`.
    pub name: String,
    /// Whether requests may use it.
    pub served: bool,
    /// Whether objects are stored in it; true for exactly one.
    pub storage: bool,
    /// Whether clients that use it are warned.
    pub deprecated: bool,
    /// The warning, if not the usual one.
    pub deprecation_warning: Option<String>,
    /// The schema.
    pub schema: Structural,
    /// Whether the `status` subresource exists.
    pub status: bool,
    /// The `scale` subresource, if it exists.
    pub scale: Option<Scale>,
    /// The printer columns.
    pub columns: Columns,
    /// Fields for field selectors beside `metadata.name` and `metadata.namespace`.
    pub selectable_fields: Vec<SelectableField>,
}

/// A CustomResourceDefinition that passed every check.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The API group.
    pub group: String,
    /// The names, completed by defaults.
    pub names: Names,
    /// Whether objects live in a namespace.
    pub scope: Scope,
    /// As written, at least one.
    pub versions: Vec<Version>,
    /// How objects move between versions.
    pub conversion: Conversion,
}

impl Definition {
    /// Reads and checks a whole CustomResourceDefinition object.
    pub fn from_crd(crd: &Value) -> Result<Self, Vec<FieldError>> {
        check::definition(crd)
    }

    /// The version that is stored.
    pub fn storage_version(&self) -> Option<&Version> {
        self.versions.iter().find(|version| version.storage)
    }

    /// The version of that name.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// Served version names, the most preferred first (`v2`, `v1`, `v1beta1`, `v1alpha1`, others by name).
    pub fn served_by_priority(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.served().map(|version| version.name.as_str()).collect();
        names.sort_by(|one, other| priority(other).cmp(&priority(one)).then_with(|| one.cmp(other)));
        names
    }

    /// The versions that requests may use.
    pub fn served(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(|version| version.served)
    }
}

impl Version {
    /// What the version adds to the OpenAPI document of its group.
    pub fn doc<'a>(&'a self, definition: &'a Definition) -> ResourceDoc<'a> {
        ResourceDoc {
            kind: &definition.names.kind,
            plural: &definition.names.plural,
            namespaced: definition.scope == Scope::Namespaced,
            schema: self.schema.json(),
            verbs: ALL_VERBS.to_vec(),
            status: self.status,
            scale: self.scale.is_some(),
            strategic_merge: false,
        }
    }
}

/// Stability, then numbers: larger is preferred. Nothing for names of another form, which come last.
fn priority(name: &str) -> Option<(u8, u64, u64)> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('0'));
    let rest = name.strip_prefix('v')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, rest) = (number(&rest[..end])?, &rest[end..]);
    if rest.is_empty() {
        return Some((2, major, 0));
    }
    let beta = rest.strip_prefix("beta").map(|minor| (1, minor));
    let (stability, minor) = beta.or_else(|| rest.strip_prefix("alpha").map(|minor| (0, minor)))?;
    Some((stability, major, number(minor)?))
}

#[cfg(test)]
mod tests;
