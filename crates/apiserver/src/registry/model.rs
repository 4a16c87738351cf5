//! The vocabulary of the registry: what a request asks for, and what it gets.

use std::{pin::Pin, sync::Arc};

use essaim_store::Revision;
use futures::Stream;
use serde_json::Value;

use super::Presented;
use crate::{ApiError, UserInfo, catalogue::Resource};

/// Which objects of a resource a request is about.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The resource as served in the version of the request.
    pub(crate) resource: Arc<Resource>,
    /// `None` for a cluster-scoped resource, or for all namespaces (list, watch).
    pub(crate) namespace: Option<String>,
}

/// `status`, `scale`, or the object itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The main resource.
    Main,
    /// `/status`
    Status,
    /// `/scale`
    Scale,
}

/// What to do about unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Say nothing.
    Ignore,
    /// Answer with warnings.
    #[default]
    Warn,
    /// Refuse.
    Strict,
}

/// The parameters of a write.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteOptions {
    /// `dryRun=All`
    pub(crate) dry_run: bool,
    /// `fieldManager`, or the product of the user agent; at most 128 bytes.
    pub(crate) field_manager: String,
    /// `fieldValidation`
    pub(crate) field_validation: FieldValidation,
    /// `force`, for server-side apply.
    pub(crate) force: bool,
    /// Server-side apply, or a PUT, may change what stands there and make nothing new.
    pub(crate) update_only: bool,
    /// Sees the object before it is stored, with the rights of whoever asked.
    pub(crate) guard: crate::auth::Guard,
    /// Who asks; nobody for the server's own tasks.
    pub(crate) user: Option<Arc<UserInfo>>,
    /// The request that it is part of.
    pub(crate) underway: Option<Arc<super::Underway>>,
}

/// The body of a write, decoded: the value, and fields that stood twice in the text.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The object.
    pub(crate) value: Value,
    /// Paths such as `spec.image` that occurred more than once; the last value won.
    pub(crate) duplicates: Vec<String>,
}

/// A patch, by its media type.
#[derive(Clone, Debug)]
pub(crate) enum Patch {
    /// `application/json-patch+json`
    Json(json_patch::Patch),
    /// `application/merge-patch+json`
    Merge(Document),
    /// `application/strategic-merge-patch+json`: built-in kinds only.
    Strategic(Document),
    /// `application/apply-patch+yaml`
    Apply(Document),
}

/// The answer to a write.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// The object as it stands now, in the version of the request.
    pub(crate) object: Presented,
    /// 201 instead of 200.
    pub(crate) created: bool,
    /// For `Warning: 299` headers.
    pub(crate) warnings: Vec<String>,
}

/// The answer to a deletion.
#[derive(Clone, Debug)]
pub(crate) enum Deleted {
    /// It is gone; the `Status` with `details.uid`.
    Gone(Value),
    /// Finalizers hold it; the object with its deletion timestamp.
    Pending(Presented),
}

/// `DeleteOptions`, from the body or the query.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    /// `Background` (default), `Foreground`, `Orphan`.
    pub(crate) propagation_policy: Option<String>,
    /// Must match, else 409.
    pub(crate) uid: Option<String>,
    /// Must match, else 409.
    pub(crate) resource_version: Option<String>,
    /// `dryRun=All`
    pub(crate) dry_run: bool,
    /// Who asks; nobody for the server's own tasks.
    pub(crate) user: Option<Arc<UserInfo>>,
    /// The request that it is part of.
    pub(crate) underway: Option<Arc<super::Underway>>,
}

/// Label and field selectors, parsed and checked against what the resource can select by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selectors {
    /// `labelSelector`
    pub(crate) labels: crate::wire::LabelSelector,
    /// `fieldSelector`
    pub(crate) fields: crate::wire::FieldSelector,
}

/// The parameters of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListOptions {
    pub(crate) selectors: Selectors,
    /// 0 means all.
    pub(crate) limit: usize,
    /// The token of the page before.
    pub(crate) continue_token: Option<String>,
    /// As sent.
    pub(crate) resource_version: Option<String>,
    /// As sent.
    pub(crate) resource_version_match: Option<String>,
}

/// What a list found.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// In the order of their keys, each with its `resourceVersion`.
    pub(crate) items: Vec<Presented>,
    /// Of the picture, not of the newest item.
    pub(crate) revision: Revision,
    /// The token of the next page.
    pub(crate) continue_token: Option<String>,
    /// How many lie behind this page; only without selectors.
    pub(crate) remaining: Option<usize>,
}

/// The parameters of a watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchOptions {
    pub(crate) selectors: Selectors,
    /// As sent.
    pub(crate) resource_version: Option<String>,
    /// As sent.
    pub(crate) resource_version_match: Option<String>,
    /// `allowWatchBookmarks`
    pub(crate) bookmarks: bool,
    /// `sendInitialEvents`
    pub(crate) send_initial_events: Option<bool>,
    /// The watch ends cleanly after so long.
    pub(crate) timeout: Option<std::time::Duration>,
}

/// One event of a watch.
#[derive(Clone, Debug)]
pub(crate) enum WatchEvent {
    /// `ADDED`, `MODIFIED` or `DELETED`, with the object (its `resourceVersion` is the event's).
    Object(&'static str, Presented),
    /// `BOOKMARK`; true when it ends the initial events.
    Bookmark(Revision, bool),
    /// `ERROR`; the stream ends after it.
    Error(Arc<ApiError>),
}

/// Events in batches; the stream ends at the timeout, after an error, or when the server stops.
pub(crate) type WatchStream = Pin<Box<dyn Stream<Item = Vec<WatchEvent>> + Send>>;
