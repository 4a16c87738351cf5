//! Stored bytes and served objects.
//!
//! Stored is canonical JSON in the storage version, without `metadata.resourceVersion`: the store knows the revision,
//! and so the bytes of an object do not change when nothing else does. What was written under an older schema gets its
//! defaults again on every reading, so that old objects show new ones; everything else is served as it is stored.

use std::sync::Arc;

use bytes::Bytes;
use essaim_store::{Change, ChangeKind, Key, Record, Revision};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value};

use super::{
    admission::complete,
    object::{set_meta, top},
    parsed::{Identity, Parsed},
    presented::Presented,
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
pub(super) fn encode(object: &Value, resource: &Resource) -> Result<Bytes, ApiError> {
    if versions::is_stored_form(resource) {
        return encode_stored(object);
    }
    let mut stored = object.clone();
    versions::to_stored(&mut stored, resource);
    encode_stored(&stored)
}

/// The bytes of an object in its stored form. Its revision, if it shows one, is left out.
pub(super) fn encode_stored(stored: &Value) -> Result<Bytes, ApiError> {
    let mut text = serde_json::to_vec(&Text(stored)).map_err(ApiError::internal)?;
    // It is kept as long as the object: without the room that it grew into.
    text.shrink_to_fit();
    Ok(text.into())
}

/// `apiVersion`, `kind` and `metadata` stand in front, where [`Presented`] expects them.
struct Text<'a>(&'a Value);

const FRONT: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(fields) = self.0 else { return self.0.serialize(serializer) };
        let mut map = serializer.serialize_map(None)?;
        for name in FRONT {
            match fields.get(name) {
                Some(Value::Object(metadata)) if name == "metadata" => {
                    map.serialize_entry(name, &Metadata(metadata))?;
                }
                Some(value) => map.serialize_entry(name, value)?,
                None => {}
            }
        }
        for (name, value) in fields.iter().filter(|(name, _)| !FRONT.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Without the revision, which the store knows.
struct Metadata<'a>(&'a Map<String, Value>);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(name, _)| *name != "resourceVersion"))
    }
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
    // It should have been converted before: to rename its version would be to lie.
    if resource.conversion.is_some() && top(&object, "apiVersion") != resource.api_version() {
        return None;
    }
    versions::from_stored(&mut object, resource);
    complete(&resource.schema, &mut object);
    set_meta(&mut object, "resourceVersion", revision.to_string());
    Some(object)
}

/// Stored records as the resources serve them.
#[derive(Clone, Default)]
pub(super) struct Codec {
    parsed: Arc<Parsed>,
}

/// One state of an object.
struct State<'a> {
    key: &'a Key,
    text: &'a Bytes,
    /// The revision of the text.
    written: Revision,
    /// The revision that clients are to see.
    shown: Revision,
    /// It is what stood there before `shown`.
    previous: bool,
}

impl<'a> State<'a> {
    fn of(record: &'a Record) -> Self {
        let Record { key, value, modified, .. } = record;
        Self { key, text: value, written: *modified, shown: *modified, previous: false }
    }

    /// What a change made of the object; nothing if it is gone.
    fn after(change: &'a Change) -> Option<Self> {
        let Change { key, value, revision, .. } = change;
        let state = Self { key, text: value, written: *revision, shown: *revision, previous: false };
        Some(state).filter(|_| change.kind != ChangeKind::Deleted)
    }

    /// What stood there before a change, with the revision of the change.
    fn before(change: &'a Change) -> Option<Self> {
        let previous = change.previous.as_ref()?;
        let (written, shown) = (previous.modified, change.revision);
        Some(Self { key: &change.key, text: &previous.value, written, shown, previous: true })
    }
}

impl Codec {
    /// A record as the resource serves it.
    pub(super) fn present(&self, record: &Record, resource: &Resource) -> Result<Presented, ApiError> {
        self.present_state(&State::of(record), resource)
    }

    /// A record as the resource serves it, to be looked into or changed.
    pub(super) fn value(&self, record: &Record, resource: &Resource) -> Result<Value, ApiError> {
        self.present(record, resource)?.into_value()
    }

    /// The object that an event of this change shows: the new state, or the last one with the revision of its deletion.
    pub(super) fn present_change(&self, change: &Change, resource: &Resource) -> Result<Presented, ApiError> {
        let state = State::after(change).or_else(|| State::before(change));
        self.present_state(&state.ok_or_else(|| unreadable(&change.key))?, resource)
    }

    /// The state before a change, with the revision of the change.
    pub(super) fn present_previous(&self, change: &Change, resource: &Resource) -> Result<Presented, ApiError> {
        self.present_state(&State::before(change).ok_or_else(|| unreadable(&change.key))?, resource)
    }

    /// Whether the object was and is one that `chosen` chooses. However many ask, it is parsed once.
    pub(super) fn choose(
        &self,
        change: &Change,
        resource: &Resource,
        chosen: impl Fn(&Value) -> bool,
    ) -> Result<(bool, bool), ApiError> {
        let choose = |state: Option<State<'_>>| match state {
            Some(state) => self.parse(&state, resource).map(|object| chosen(&object)),
            None => Ok(false),
        };
        Ok((choose(State::before(change))?, choose(State::after(change))?))
    }

    /// What was just written, as the resource serves it: in another version than the stored one without the fields that
    /// were not stored.
    pub(super) fn written(text: &Bytes, mut object: Value, revision: Revision, resource: &Resource) -> Presented {
        let stored = Presented::as_stored(text, revision, revision, resource);
        // What a webhook converted was read again already.
        let relabelled = resource.storage_schema.is_some() && resource.conversion.is_none();
        let read = || relabelled.then(|| decode(text, revision, resource)).flatten().map(Presented::from);
        stored.or_else(read).unwrap_or_else(|| {
            set_meta(&mut object, "resourceVersion", revision.to_string());
            object.into()
        })
    }

    fn present_state(&self, state: &State<'_>, resource: &Resource) -> Result<Presented, ApiError> {
        match Presented::as_stored(state.text, state.written, state.shown, resource) {
            Some(stored) => Ok(stored),
            None => self.parse(state, resource).map(Presented::Value),
        }
    }

    fn parse(&self, state: &State<'_>, resource: &Resource) -> Result<Arc<Value>, ApiError> {
        let State { key, text, shown, previous, .. } = *state;
        let identity = Identity { key: key.clone(), revision: shown, reading: resource.identity, previous };
        let object = self.parsed.get_or_parse(identity, text.len(), || decode(text, shown, resource));
        object.ok_or_else(|| unreadable(key))
    }
}

fn unreadable(key: &Key) -> ApiError {
    ApiError::internal(format!("the bytes stored under {} are no object", key.as_str()))
}
