//! The wire: what a request says, and how an answer looks.
//!
//! Everything here speaks HTTP, JSON, YAML and protobuf and knows nothing of storage. A request passes
//! `path` → `query` → `decode`; an answer passes `negotiate` → `output`, `table` or `watch_frames`.

pub(crate) mod decode;
pub(crate) mod discovery;
pub(crate) mod negotiate;
pub(crate) mod openapi;
pub(crate) mod output;
pub(crate) mod path;
pub(crate) mod query;
mod selectors;
pub(crate) mod service_paths;
mod table;
pub(crate) mod watch_frames;

pub(crate) use selectors::{FieldSelector, LabelSelector};
