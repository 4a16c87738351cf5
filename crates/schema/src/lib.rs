//! Structural schemas: validate, prune, default, CEL, printer columns, OpenAPI.
//!
//! Everything here is a function of JSON values: no client, no clock, no files. The API server calls it in the
//! order that Kubernetes uses for a write: [`Structural::prune`], [`Structural::default`], [`Structural::validate`];
//! and for a read [`Structural::default`], then [`Structural::prune_nulls`].
//!
//! ```text
//! CustomResourceDefinition ─ Definition::from_crd ─┬─ Structural   prune, default, validate (with CEL rules)
//!                                                  ├─ Columns      Table cells
//!                                                  ├─ FieldPath    scale, selectable fields
//!                                                  └─ openapi      documents for kubectl
//! builtin/*.json ─ builtin::all ───────────────────┘
//! ```

pub mod builtin;
mod cel_rules;
mod columns;
mod defaulting;
mod definition;
mod error;
mod field_path;
mod format;
mod human;
mod json_path;
mod node;
pub mod openapi;
mod path;
mod pattern;
mod pruning;
mod quantity;
mod structural;
mod validate;

pub use cel_rules::{Condition, all_hold};
pub use columns::Columns;
pub use definition::{Conversion, Definition, Names, Scale, Scope, SelectableField, Version};
pub use error::{FieldError, Reason, Violation};
pub use field_path::FieldPath;
pub use human::human_duration;
pub use json_path::JsonPath;
pub use node::whole;
pub use quantity::{ParseQuantityError, Quantity};
pub use structural::Structural;

#[cfg(test)]
mod properties;
