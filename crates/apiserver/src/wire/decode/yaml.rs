//! The only place that reads or writes YAML, so that the library can be changed.
//!
//! Bodies come from anybody who may write: aliases, depth and size are bounded before anything is built.

use serde::Serialize;
use serde_yaml::options::DuplicateKeyPolicy;

use super::value;
use crate::{ApiError, registry::Document};

/// Reads the only document of the body.
pub(super) fn document(bytes: &[u8]) -> Result<Document, ApiError> {
    let limits = serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
        budget: serde_yaml::budget! { max_depth: 128, max_nodes: 250_000, max_aliases: 100, max_anchors: 100 },
    };
    serde_yaml::with_deserializer_from_slice_with_options(bytes, limits, |deserializer| value::document(deserializer))
        .map_err(|error| ApiError::bad_request(format!("error converting YAML to JSON: {error}")))
}

/// Writes a value as YAML.
pub(super) fn to_text(value: &impl Serialize) -> Result<String, ApiError> {
    serde_yaml::to_string(value).map_err(ApiError::internal)
}
