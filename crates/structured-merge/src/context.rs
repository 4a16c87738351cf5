//! What a write brings along beside the objects.

use crate::field_set::FieldSet;
use crate::path::Path;
use crate::schema::Schema;

/// The circumstances of an ordinary create, update or patch.
#[derive(Debug, Clone, Copy)]
pub struct UpdateContext<'a> {
    /// Who writes: the `fieldManager` parameter, else the user agent up to the first `/`.
    pub manager: &'a str,
    /// Version of the request, as `group/version`; the objects are in it.
    pub api_version: &'a str,
    /// The subresource that was written to, such as `status`.
    pub subresource: Option<&'a str>,
    /// The time of the write, RFC 3339 in UTC with seconds.
    pub now: &'a str,
    /// The form of the object.
    pub schema: &'a Schema,
    /// Fields, written with dots, that this endpoint puts back: `status` for the main resource; `metadata` and `spec` for
    /// `/status`. They are neither owned nor in conflict.
    pub reset_fields: &'a [&'a str],
    /// The API versions that still exist. Ownership under another version is dropped. Empty: none is dropped.
    pub known_versions: &'a [&'a str],
}

/// The circumstances of an apply patch; the fields that both have mean the same as in [`UpdateContext`].
#[derive(Debug, Clone, Copy)]
pub struct ApplyContext<'a> {
    /// Who applies: the `fieldManager` parameter, which must be given.
    pub manager: &'a str,
    /// Version of the request; the patch must name it.
    pub api_version: &'a str,
    /// The subresource that was written to.
    pub subresource: Option<&'a str>,
    /// The time of the write.
    pub now: &'a str,
    /// Take fields over from other managers instead of refusing.
    pub force: bool,
    /// The form of the object.
    pub schema: &'a Schema,
    /// Fields that this endpoint puts back.
    pub reset_fields: &'a [&'a str],
    /// The API versions that still exist.
    pub known_versions: &'a [&'a str],
}

impl UpdateContext<'_> {
    pub(crate) fn reset_set(&self) -> FieldSet {
        self.reset_fields.iter().map(|field| Path::dotted(field)).collect()
    }

    pub(crate) fn knows_version(&self, version: &str) -> bool {
        self.known_versions.is_empty() || version == self.api_version || self.known_versions.contains(&version)
    }
}

impl<'a> ApplyContext<'a> {
    /// The same circumstances for the part of the work that does not depend on how the write was meant.
    pub(crate) fn as_update(&self) -> UpdateContext<'a> {
        let Self { manager, api_version, subresource, now, force: _, schema, reset_fields, known_versions } = *self;
        UpdateContext { manager, api_version, subresource, now, schema, reset_fields, known_versions }
    }
}
