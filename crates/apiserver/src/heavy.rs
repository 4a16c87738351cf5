//! Work that may keep a processor for long: a worker of the runtime hands its other tasks on before it begins.

use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};

/// What is smaller is done where it is: handing tasks on costs more. In bytes of text.
const LIGHT: usize = 16 * 1024;

/// About how long the text of a value is, in bytes.
pub(crate) fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => 4 + text.len(),
        Value::Array(items) => 4 + items.iter().map(weight).sum::<usize>(),
        Value::Object(fields) => 4 + fields.iter().map(|(name, value)| 4 + name.len() + weight(value)).sum::<usize>(),
    }
}

/// Does work whose time grows with this many bytes.
///
/// A runtime with one thread has nobody to hand tasks on to; there the work is just done.
pub(crate) fn run<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) if bytes > LIGHT => tokio::task::block_in_place(work),
        _ => work(),
    }
}
