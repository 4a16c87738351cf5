//! Reads and writes of objects: the strategies between the wire and the store.
//!
//! The order of a write is that of Kubernetes: decode, strict check, prune, default, admission, validate, webhooks, quotas, commit.
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
mod collections;
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
mod quota;
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

pub use admission::{Admission, AdmissionRequest, Admitted, Operation};
pub use collections::{Collection, Looks};
pub use quota::{Amounts, Charge, Claim, Growth, Quota};

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
    admission_rests_on: Vec<Collection>,
    quotas: Vec<quota::Kept>,
    /// The collections that any rule rests on, and where their objects lie.
    stamped: Vec<(Collection, String)>,
    looked: collections::Looked,
    codec: codec::Codec,
    cached_lists: cached_list::CachedLists,
    turns: turns::Turns,
    webhooks: webhooks::Webhooks,
    definitions: tokio::sync::Mutex<crate::catalogue::Definitions>,
}

impl Registry {
    /// A registry over a store; it knows only the built-in kinds until it is [opened](Self::open).
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, admission: Vec<Arc<dyn Admission>>) -> Self {
        let mut registry = Self {
            store,
            catalogue: Arc::new(Catalogue::new()),
            clock,
            admission_rests_on: distinct(admission.iter().flat_map(|rule| rule.rests_on())),
            admission,
            quotas: Vec::new(),
            stamped: Vec::new(),
            looked: collections::Looked::default(),
            codec: codec::Codec::default(),
            cached_lists: cached_list::CachedLists::default(),
            turns: turns::Turns::default(),
            webhooks: webhooks::Webhooks::default(),
            definitions: tokio::sync::Mutex::default(),
        };
        registry.note_collections();
        registry
    }

    /// The same with quotas.
    pub(crate) fn with_quotas(mut self, quotas: Vec<Arc<dyn Quota>>) -> Self {
        self.quotas = quotas.into_iter().map(quota::Kept::new).collect();
        self.note_collections();
        self
    }

    fn note_collections(&mut self) {
        let judged = self.quotas.iter().flat_map(quota::Kept::rests_on).copied();
        let all = distinct(self.admission_rests_on.iter().copied().chain(judged));
        self.stamped = all.into_iter().map(|collection| (collection, collection.prefix())).collect();
    }
}

fn distinct(collections: impl Iterator<Item = Collection>) -> Vec<Collection> {
    let mut distinct = Vec::new();
    for collection in collections {
        if !distinct.contains(&collection) {
            distinct.push(collection);
        }
    }
    distinct
}
