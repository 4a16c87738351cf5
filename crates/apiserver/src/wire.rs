//! The wire: what a request says, and how an answer looks.
//!
//! Everything here speaks HTTP, JSON, YAML and protobuf and knows nothing of storage. A request passes
//! `path` → `query` → `decode`; an answer passes `negotiate` → `output`, `table` or `watch_frames`.

mod selectors;

pub(crate) use selectors::{FieldSelector, LabelSelector};
