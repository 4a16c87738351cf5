//! Stored bytes and served objects.
//!
//! Stored is canonical JSON in the storage version, without `metadata.resourceVersion`: the store knows the revision,
//! and so the bytes of an object do not change when nothing else does. Defaults are filled in again on every
//! reading, so that old objects show new ones.

use std::sync::Arc;

use bytes::Bytes;
use essaim_store::{Change, ChangeKind, Key, Record, Revision};
use serde_json::Value;

use super::{
    admission::complete,
    object::{metadata_mut, set_meta},
    parsed::{Identity, Parsed},
    versions,
};
use crate::{ApiError, catalogue::Resource};

/// Where an object lies.
pub(super) fn key(resource: &Resource, namespace: Option<&str>, name: &str) -> Key {
    let prefix = &resource.storage_prefix;
    match namespace.filter(|_| resource.namespaced) {
        Some(namespace) => Key::new(format!("{prefix}{namespace}/{name}")),
        None => Key::new(format!("{prefix}{name}")),
    }
}

/// Where the objects of a namespace lie, or of all.
pub(super) fn prefix(resource: &Resource, namespace: Option<&str>) -> String {
    match namespace.filter(|_| resource.namespaced) {
        Some(namespace) => format!("{}{namespace}/", resource.storage_prefix),
        None => resource.storage_prefix.clone(),
    }
}

/// The bytes to store for a served object.
pub(super) fn encode(object: &Value, resource: &Resource) -> Bytes {
    let mut stored = object.clone();
    versions::to_stored(&mut stored, resource);
    encode_stored(stored)
}

/// The bytes of an object in its stored form.
pub(super) fn encode_stored(mut stored: Value) -> Bytes {
    metadata_mut(&mut stored).remove("resourceVersion");
    Bytes::from(stored.to_string())
}

/// The stored form of a record, with its revision. For the server's own tasks, which change no other fields than those they name.
pub(super) fn decode_stored(record: &Record) -> Result<Value, ApiError> {
    let mut object: Value = serde_json::from_slice(&record.value).map_err(ApiError::internal)?;
    set_meta(&mut object, "resourceVersion", record.modified.to_string());
    Ok(object)
}

/// Reads stored bytes as the resource serves them.
fn decode(bytes: &[u8], revision: Revision, resource: &Resource) -> Option<Value> {
    let mut object: Value = serde_json::from_slice(bytes).ok()?;
    versions::from_stored(&mut object, resource);
    complete(&resource.schema, &mut object);
    set_meta(&mut object, "resourceVersion", revision.to_string());
    Some(object)
}

/// Reads stored bytes, each state of an object once. Clones share what was read.
#[derive(Clone, Default)]
pub(super) struct Codec {
    parsed: Arc<Parsed>,
}

impl Codec {
    /// A record as the resource serves it. The one place where stored bytes become objects.
    pub(super) fn present(&self, record: &Record, resource: &Resource) -> Result<Arc<Value>, ApiError> {
        self.present_bytes(&record.key, &record.value, record.modified, resource, false)
    }

    /// The object of a change: the new state, or the last one with the revision of its deletion.
    pub(super) fn present_change(&self, change: &Change, resource: &Resource) -> Result<Arc<Value>, ApiError> {
        match (change.kind, &change.previous) {
            (ChangeKind::Deleted, Some(_)) => self.present_previous(change, resource),
            _ => self.present_bytes(&change.key, &change.value, change.revision, resource, false),
        }
    }

    /// The state before a change, with the revision of the change.
    pub(super) fn present_previous(&self, change: &Change, resource: &Resource) -> Result<Arc<Value>, ApiError> {
        let bytes = change.previous.as_ref().map(|previous| &previous.value[..]).unwrap_or_default();
        self.present_bytes(&change.key, bytes, change.revision, resource, true)
    }

    fn present_bytes(
        &self,
        key: &Key,
        bytes: &[u8],
        revision: Revision,
        resource: &Resource,
        previous: bool,
    ) -> Result<Arc<Value>, ApiError> {
        let identity = Identity { key: key.clone(), revision, reading: resource.identity, previous };
        let object = self.parsed.get_or_parse(identity, bytes.len(), || decode(bytes, revision, resource));
        object.ok_or_else(|| ApiError::internal(format!("the bytes stored under {} are no object", key.as_str())))
    }

    /// An object just written, with its revision. Readers share it, so that it is not parsed again.
    pub(super) fn written(
        &self,
        key: &Key,
        size: usize,
        mut object: Value,
        revision: Revision,
        resource: &Resource,
    ) -> Arc<Value> {
        set_meta(&mut object, "resourceVersion", revision.to_string());
        let object = Arc::new(object);
        // A detour over another schema may have taken something away that this object still shows.
        if resource.storage_schema.is_none() {
            let identity = Identity { key: key.clone(), revision, reading: resource.identity, previous: false };
            self.parsed.remember(identity, size, &object);
        }
        object
    }
}
