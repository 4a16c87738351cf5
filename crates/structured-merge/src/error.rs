//! Why a write was refused.

use crate::conflict::{self, Conflict};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an object could not be merged, or its owners not be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Other managers own fields that the patch would change. HTTP 409; one cause for each conflict.
    #[error("{}", conflict::summary(.0))]
    Conflicts(Vec<Conflict>),
    /// The patch carries ownership of its own. HTTP 400.
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsInPatch,
    /// The patch is written in another API version than the request. HTTP 400.
    #[error("Incorrect version specified in apply patch. Specified patch version: {patch}, expected: {expected}")]
    VersionMismatch {
        /// `apiVersion` of the patch, empty if it has none.
        patch: String,
        /// The version of the request.
        expected: String,
    },
    /// An apply patch needs a field manager. HTTP 422.
    #[error("fieldManager is required for apply patch")]
    ManagerRequired,
    /// The patch does not have the form that the schema gives. HTTP 400.
    #[error("{path}: {message}")]
    Invalid {
        /// Where, as `.spec.items[name="a"]`.
        path: String,
        /// What is wrong there.
        message: String,
    },
    /// The object is needed in another version, and not known in it.
    #[error("the object is not known in version {0}")]
    Unconverted(String),
    /// An object is not a JSON object. HTTP 400.
    #[error("expected an object")]
    NotAnObject,
    /// An object or a field set is nested deeper than [`crate::MAX_DEPTH`]. HTTP 400.
    #[error("nested deeper than {} levels", crate::MAX_DEPTH)]
    TooDeep,
    /// `FieldsV1` does not follow its format.
    #[error("invalid fieldsV1 entry {entry:?}")]
    FieldsV1 {
        /// The key that cannot be read.
        entry: String,
    },
    /// An entry of `metadata.managedFields` does not follow its format.
    #[error("invalid managedFields entry {index}: {message}")]
    ManagedFields {
        /// Position in the list.
        index: usize,
        /// What is wrong with it.
        message: &'static str,
    },
}
