//! From version to version by a webhook, for kinds whose versions differ in more than `apiVersion`.
//!
//! Conversion stands between the store and everything else. What comes out of the store is put into the version of the
//! request before anybody looks at it, and what goes in is put into the stored version last, so that all between is the same with and
//! without a webhook:
//!
//! ```text
//! store ─► record, changes ─► in the version of the resource? ─yes──────────────────────────► codec ─► selectors, answers
//!                                        │ no                                                  ▲
//!                                        ▼                                                     │ text in that version
//!                                  shared: asked before? ─yes──────────────────────────────────┤
//!                                        │ no: by chunks                                       │
//!                                        ▼                                                     │
//!                        review ─► webhook ─► checked, pruned, completed ──────────────────────┘
//!
//! create, update, patch ─► object ─► in the stored version? ─yes─► text ─► store
//!                                        │ no                       ▲
//!                                        └► webhook: there and back ┘   the way back is the answer
//!
//! delete marks, finalizers, owner references ─► the stored text, in whatever version it is ─► store     no webhook
//! ```
//!
//! A write is converted there and back before it is committed: a webhook that fails leaves nothing behind, and the answer
//! shows what the next reader will see. A kind without webhook takes none of these ways and waits for nothing.
//!
//! Bounds: 30 s for a question, 500 objects or 1 MiB in one (an answer may have 3 MiB), four questions of one request at once; what the
//! caller bounds besides; what is kept of the answers, see [`shared`].

mod review;
mod shared;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use essaim_schema::{Conversion, Definition, Structural};
use essaim_store::{Change, ChangeKind, Record};
use futures::{TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;

use self::shared::{Identity, Shared, Wanted};
use super::{
    Presented, Registry,
    admission::complete,
    codec::{self, Codec},
    limits,
    object::{copy_meta, metadata_mut, set_meta, top},
};
use crate::{
    ApiError,
    catalogue::{Resource, api_version},
    heavy,
    webhook::Caller,
};

/// How long a webhook may take, as in Kubernetes; a handler waits a little longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that one question holds; an object alone may be larger.
const CHUNK_OBJECTS: usize = 500;
const CHUNK_BYTES: usize = 1024 * 1024;
/// So many questions of one request are under way at once.
const AT_ONCE: usize = 4;
/// What deletions, finalizers and owners change. Webhooks cannot change it, so it may be written without asking one.
const MARKS: [&str; 5] =
    ["deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation", "ownerReferences"];

/// Converts the objects of one definition.
pub(crate) struct Converter {
    group: String,
    kind: String,
    /// `clientConfig` as written.
    config: Value,
    /// By `apiVersion`; those that are not served too.
    schemas: Vec<(String, Structural)>,
    caller: Arc<Caller>,
    shared: Shared,
}

impl fmt::Debug for Converter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converter").field("group", &self.group).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Converter {
    /// Nothing for a definition whose versions differ in `apiVersion` only.
    pub(crate) fn new(definition: &Definition, caller: &Arc<Caller>) -> Option<Self> {
        let Conversion::Webhook(config) = &definition.conversion else { return None };
        let group = definition.group.clone();
        let schemas =
            definition.versions.iter().map(|version| (api_version(&group, &version.name), version.schema.clone()));
        let schemas = schemas.collect();
        let (config, kind) = (config.clone(), definition.names.kind.clone());
        Some(Self { group, kind, config, schemas, caller: caller.clone(), shared: Shared::default() })
    }

    /// Objects in another version, in their order.
    pub(super) async fn convert(&self, objects: Vec<Value>, to: &str) -> Result<Vec<Value>, ApiError> {
        let question = review::Question::new(objects, to);
        let answer = self.caller.call(&self.config, "", &question.body(), PATIENCE).await;
        let converted = answer.map_err(|error| question.failed(&error.to_string()));
        let converted = converted.and_then(|answer| question.read(answer)).map_err(|message| self.failure(&message))?;
        let completed = converted.into_iter().map(|mut object| {
            limits::check_depth(&object)?;
            self.complete(&mut object);
            Ok(object)
        });
        completed.collect::<Result<_, ApiError>>().map_err(|error| self.failure(&question.failed(&error.message)))
    }

    /// An object as it is stored, complete under the present schema of its version.
    fn stored(&self, text: &[u8]) -> Result<Value, ApiError> {
        let mut object: Value = serde_json::from_slice(text).map_err(ApiError::internal)?;
        self.complete(&mut object);
        Ok(object)
    }

    fn complete(&self, object: &mut Value) {
        let version = top(object, "apiVersion");
        if let Some((_, schema)) = self.schemas.iter().find(|(name, _)| name == version) {
            complete(schema, object);
        }
    }

    /// Stored texts as texts in the version of the resource.
    async fn texts(self: &Arc<Self>, wanted: Vec<Wanted>, resource: &Resource) -> Result<Vec<Bytes>, ApiError> {
        let to = resource.api_version();
        let ask = |texts: Vec<Bytes>| self.clone().ask(texts, to.clone());
        let joined = self.shared.join(&wanted, (CHUNK_OBJECTS, CHUNK_BYTES), ask);
        let own = stream::iter(joined.own.iter().map(|claim| Ok(claim.asked())));
        own.try_for_each_concurrent(AT_ONCE, async |asked| asked.await.map(drop)).await.map_err(ApiError::from)?;
        let mut texts = Vec::with_capacity(wanted.len());
        for place in joined.places {
            texts.push(place.text().await?);
        }
        Ok(texts)
    }

    async fn ask(self: Arc<Self>, texts: Vec<Bytes>, to: String) -> Result<Vec<Bytes>, shared::Failed> {
        let bytes = texts.iter().map(Bytes::len).sum();
        let objects = heavy::run(bytes, || texts.iter().map(|text| self.stored(text)).collect::<Result<Vec<_>, _>>())?;
        let converted = self.convert(objects, &to).await?;
        Ok(heavy::run(bytes, || converted.iter().map(codec::encode_stored).collect::<Result<_, _>>())?)
    }

    fn failure(&self, message: &str) -> ApiError {
        tracing::warn!(group = %self.group, kind = %self.kind, error = %message, "a conversion webhook failed");
        ApiError::new(500, "InternalError", message)
    }
}

/// The records with their texts in the version of the resource.
pub(super) async fn served(mut records: Vec<Record>, resource: &Resource) -> Result<Vec<Record>, ApiError> {
    let Some(converter) = &resource.conversion else { return Ok(records) };
    let foreign: Vec<usize> = (0..records.len()).filter(|at| is_foreign(&records[*at].value, resource)).collect();
    let wanted = foreign.iter().map(|at| Wanted::of(&records[*at], resource)).collect();
    let texts = Box::pin(converter.texts(wanted, resource)).await?;
    for (at, text) in foreign.into_iter().zip(texts) {
        records[at].value = text;
    }
    Ok(records)
}

/// The changes with their texts in the version of the resource. The state before a change only `with_previous`, or where it is shown:
/// for a deletion.
pub(super) async fn served_changes(
    mut changes: Vec<Arc<Change>>,
    with_previous: bool,
    resource: &Resource,
) -> Result<Vec<Arc<Change>>, ApiError> {
    let Some(converter) = &resource.conversion else { return Ok(changes) };
    let (mut wanted, mut places) = (Vec::new(), Vec::new());
    for (at, change) in changes.iter().enumerate() {
        let deleted = change.kind == ChangeKind::Deleted;
        if !deleted && is_foreign(&change.value, resource) {
            let identity = Identity::new(&change.key, change.revision, resource);
            wanted.push(Wanted { identity, text: change.value.clone() });
            places.push((at, false));
        }
        let previous = change.previous.as_ref().filter(|_| deleted || with_previous);
        if let Some(previous) = previous.filter(|previous| is_foreign(&previous.value, resource)) {
            wanted.push(Wanted::of(previous, resource));
            places.push((at, true));
        }
    }
    let texts = Box::pin(converter.texts(wanted, resource)).await?;
    for ((at, is_previous), text) in places.into_iter().zip(texts) {
        let change = Arc::make_mut(&mut changes[at]);
        match &mut change.previous {
            Some(previous) if is_previous => previous.value = text,
            _ => change.value = text,
        }
    }
    Ok(changes)
}

/// The text to store for an object, and the object as the next reader will see it.
pub(super) async fn encode(object: Value, resource: &Resource) -> Result<(Bytes, Value), ApiError> {
    let other_version = resource.storage_schema.is_some();
    let Some(converter) = resource.conversion.as_ref().filter(|_| other_version) else {
        return Ok((codec::encode(&object, resource)?, object));
    };
    Box::pin(there_and_back(converter, object, resource)).await
}

async fn there_and_back(
    converter: &Converter,
    mut object: Value,
    resource: &Resource,
) -> Result<(Bytes, Value), ApiError> {
    let revision = metadata_mut(&mut object).remove("resourceVersion");
    let stored = converter.convert(vec![object], &resource.storage_api_version).await?;
    let text = stored.first().map(codec::encode_stored).transpose()?;
    let shown = converter.convert(stored, &resource.api_version()).await?.pop();
    let (Some(text), Some(mut shown)) = (text, shown) else {
        return Err(ApiError::internal("a conversion lost its object"));
    };
    if let Some(revision) = revision {
        set_meta(&mut shown, "resourceVersion", revision);
    }
    Ok((text, shown))
}

/// The text to store for an object that was only marked: as it is stored, with the marks. Needs no webhook.
pub(super) fn encode_marked(marked: &Value, standing: &Record, resource: &Resource) -> Result<Bytes, ApiError> {
    let Some(converter) = &resource.conversion else { return codec::encode(marked, resource) };
    let mut stored = converter.stored(&standing.value)?;
    for field in MARKS {
        copy_meta(&mut stored, field, marked);
    }
    codec::encode_stored(&stored)
}

/// Whether text has to be converted before the resource can show it.
fn is_foreign(text: &[u8], resource: &Resource) -> bool {
    /// The one field that tells.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        api_version: String,
    }
    if text.starts_with(resource.stored_head.as_bytes()) {
        return false;
    }
    // What other programs stored may be ordered otherwise. What cannot be read is refused by the codec.
    serde_json::from_slice::<Head>(text).is_ok_and(|head| head.api_version != resource.api_version())
}

impl Registry {
    /// A record as the resource serves it.
    pub(super) async fn presented(&self, record: &Record, resource: &Resource) -> Result<Presented, ApiError> {
        if resource.conversion.is_none() {
            return self.codec.present(record, resource);
        }
        let served = served(vec![record.clone()], resource).await?;
        served.first().map_or_else(|| Err(ApiError::no_such_path()), |record| self.codec.present(record, resource))
    }

    /// A record as the resource serves it, to be looked into or changed.
    pub(super) async fn live(&self, record: &Record, resource: &Resource) -> Result<Value, ApiError> {
        self.presented(record, resource).await?.into_value()
    }
}

impl Codec {
    /// A record for those who look at its marks only: in the version in which it is stored, if others take a webhook.
    pub(super) fn marks(&self, record: &Record, resource: &Resource) -> Result<Value, ApiError> {
        let Some(converter) = &resource.conversion else { return self.value(record, resource) };
        let mut object = converter.stored(&record.value)?;
        set_meta(&mut object, "resourceVersion", record.modified.to_string());
        Ok(object)
    }
}
