//! Which resources exist: the built-in kinds, and one entry per served version of each CustomResourceDefinition.
//!
//! Readers take a snapshot; a changed CustomResourceDefinition swaps the whole table at once, so that a request sees
//! either the old schema everywhere or the new one.

use std::sync::Arc;

/// One resource in one version, with everything that requests about it need.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Empty for core.
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// `/status` exists: the main resource does not write status, and generation counts spec changes.
    pub(crate) has_status: bool,
    /// `/scale` exists.
    pub(crate) has_scale: bool,
    /// What clients may do: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub(crate) verbs: &'static [&'static str],
    /// Built-in kinds take strategic merge patches and unconditional updates.
    pub(crate) built_in: bool,
    /// Where its objects lie: `/registry/<group or core>/<storage plural>/`. Both Event groups share one.
    pub(crate) storage_prefix: String,
}

/// The table of resources.
pub(crate) struct Catalogue {
    /// Sorted by group and version, in discovery's order.
    pub(crate) resources: std::sync::RwLock<Arc<Vec<Arc<Resource>>>>,
}
