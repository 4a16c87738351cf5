//! Server-side apply and field ownership over JSON objects, as Kubernetes defines them.
//!
//! An API server calls two functions. [`update()`] is for an ordinary create, update or patch whose outcome is already
//! known: it only brings `metadata.managedFields` up to date. [`apply()`] is for an apply patch: it merges what a manager
//! wants with what is stored, removes what that manager wanted before and nobody wants now, and refuses when another
//! manager wants something else.
//!
//! ```text
//!            Schema ──────────────┬───────────────┬──────────────┐
//!                                 ▼               ▼              ▼
//! live, applied ──► validate ──► merge ──► prune (remove) ──► compare ──► conflicts? ──► ManagedFields ──► object
//! ```
//!
//! # Guarantees
//!
//! - No I/O and no clock: the time of a change is an argument.
//! - A write that changes nothing keeps every timestamp; see [`same_ignoring_times`].
//! - Input from clients (`FieldsV1`, objects, annotations) leads to an [`Error`] or is ignored, never to a panic.
//!
//! # Not here
//!
//! Conversion between API versions, defaulting and schema validation are the caller's. All objects of one call are in the version
//! and follow the schema that the context names. Where versions differ in more than `apiVersion`, [`update_across()`] and
//! [`apply_across()`] ask the caller for the object in the [versions](Versions) of its other owners.

mod adapt;
mod apply;
mod compare;
mod conflict;
mod context;
mod error;
mod field_set;
mod fields_of;
mod fields_v1;
mod items;
mod last_applied;
mod managed_fields;
mod merge;
mod object;
mod path;
mod prune;
mod record;
mod remove;
mod scalar;
mod schema;
mod update;
mod validate;
mod versions;

pub use apply::{Applied, apply, apply_across};
pub use compare::{Comparison, compare};
pub use conflict::Conflict;
pub use context::{ApplyContext, UpdateContext};
pub use error::{Error, Result};
pub use field_set::FieldSet;
pub use fields_of::fields_of;
pub use managed_fields::{Entry, ManagedFields, Operation};
pub use merge::merge;
pub use object::{same_ignoring_times, strip_for_comparison};
pub use path::{Path, PathElement};
pub use remove::remove;
pub use scalar::Scalar;
pub use schema::{ListKey, ListKind, ListType, MapType, Others, Schema, TypeRef};
pub use update::{update, update_across};
pub use versions::{OneForm, Versions};

/// The deepest nesting that objects and field sets may have.
///
/// A field set is stored four levels below the root of its object, and JSON parsers stop at 128: an object near that depth could
/// be written and never be read again.
pub const MAX_DEPTH: usize = 100;
