//! The only place that reads or writes YAML, so that the library can be changed.
//!
//! Bodies come from anybody who may write: aliases, depth and size are bounded before anything is built.

use std::thread;

use serde::Serialize;
use serde_yaml::options::DuplicateKeyPolicy;

use super::value;
use crate::{ApiError, heavy, registry::Document};

/// The parser's frames are so large that a server's thread has no room for the deepest document that is admitted, and an
/// overflow ends the process. Memory is only taken as far as it is used.
const STACK: usize = 16 << 20;

/// Reads the only document of the body, on a stack of its own.
pub(super) fn document(bytes: &[u8]) -> Result<Document, ApiError> {
    let on_own_stack = || {
        thread::scope(|scope| {
            let parser = thread::Builder::new().name("yaml".to_owned()).stack_size(STACK);
            let parser = parser.spawn_scoped(scope, || parse(bytes)).map_err(ApiError::internal)?;
            parser.join().unwrap_or_else(|_| Err(ApiError::internal("the YAML parser panicked")))
        })
    };
    heavy::run(bytes.len(), on_own_stack)
}

fn parse(bytes: &[u8]) -> Result<Document, ApiError> {
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
