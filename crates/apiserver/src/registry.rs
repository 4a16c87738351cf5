//! Reads and writes of objects: the strategies between the wire and the store.
//!
//! The order of a write is that of Kubernetes: decode, strict check, prune, default, admission, validate, webhooks, commit.
//! A write that changes nothing is answered with what stands there: no revision, no event.
//!
//! ```text
//! create ─┐
//! update ─┼─► decode ─► metadata, strategy ─► admission ─► validate ─► managers ─► commit ─► store
//! patch  ─┘                                                                          ▲
//! delete, namespaces, garbage, definitions, events ──────────────────────────────────┘
//! get, list, watch ◄── codec (the stored text, parsed only where somebody looks inside) ◄── store
//! ```

mod admission;
mod cached_list;
mod codec;
mod commit;
mod conversion;
mod create;
mod decode;
mod definitions;
mod delete;
mod events;
mod garbage;
mod json_patch;
mod limits;
mod list;
mod managers;
mod metadata;
mod model;
mod names;
mod namespaces;
mod object;
mod parsed;
mod patch;
mod presented;
mod read;
mod scale;
mod selection;
mod service_accounts;
mod strategic;
mod strategy;
mod tasks;
mod tokens;
mod turns;
mod underway;
mod update;
mod versions;
mod watch;
mod webhooks;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use essaim_store::Store;

pub(crate) use model::{
    DeleteOptions, Deleted, Document, FieldValidation, List, ListOptions, Part, Patch, Scope, Selectors, WatchEvent,
    WatchOptions, WatchStream, WriteOptions, Written,
};

pub(crate) use conversion::Converter;
pub(crate) use metadata::seconds;
pub(crate) use presented::Presented;
pub(crate) use underway::Underway;

pub use admission::{Admission, AdmissionRequest, Operation};

use crate::{Clock, catalogue::Catalogue};

/// The objects behind the API.
///
/// The operations stand in the modules below, one file each: `create`, `update`, `patch`, `delete`, `list`, `watch`:
///
/// ```text
/// async fn get(&self, scope: &Scope, name: &str, part: Part) -> Result<Presented, ApiError>
/// async fn list(&self, scope: &Scope, options: ListOptions) -> Result<List, ApiError>
/// async fn watch(&self, scope: &Scope, options: WatchOptions) -> Result<WatchStream, ApiError>
/// async fn create(&self, scope: &Scope, body: Document, options: &WriteOptions) -> Result<Written, ApiError>
/// async fn update(&self, scope: &Scope, name: &str, part: Part, body: Document, options: &WriteOptions) -> Result<Written, ApiError>
/// async fn patch(&self, scope: &Scope, name: &str, part: Part, patch: Patch, options: &WriteOptions) -> Result<Written, ApiError>
/// async fn delete(&self, scope: &Scope, name: &str, options: &DeleteOptions) -> Result<Deleted, ApiError>
/// async fn delete_collection(&self, scope: &Scope, list: ListOptions, options: &DeleteOptions) -> Result<List, ApiError>
///
/// async fn cached_list(&self, resource: &Arc<Resource>) -> Result<Arc<Vec<Arc<Value>>>, ApiError>
/// ```
///
/// Life: [`new`](Self::new), then [`open`](Self::open) before the first request, then [`spawn_tasks`](Self::spawn_tasks).
pub(crate) struct Registry {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Clock,
    admission: Vec<Arc<dyn Admission>>,
    codec: codec::Codec,
    cached_lists: cached_list::CachedLists,
    turns: turns::Turns,
    webhooks: webhooks::Webhooks,
    definitions: tokio::sync::Mutex<crate::catalogue::Definitions>,
}

impl Registry {
    /// A registry over a store; it knows only the built-in kinds until it is [opened](Self::open).
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, admission: Vec<Arc<dyn Admission>>) -> Self {
        Self {
            store,
            catalogue: Arc::new(Catalogue::new()),
            clock,
            admission,
            codec: codec::Codec::default(),
            cached_lists: cached_list::CachedLists::default(),
            turns: turns::Turns::default(),
            webhooks: webhooks::Webhooks::default(),
            definitions: tokio::sync::Mutex::default(),
        }
    }
}
