//! One stored form, several served ones.
//!
//! Versions of a custom resource differ in nothing but `apiVersion`, unless a webhook converts them, which is done in
//! [`conversion`](super::conversion) before anything comes here. The two groups of Event name the same fields
//! differently; the core form is the stored one.

use serde_json::Value;

use super::{admission::complete, object::as_map};
use crate::catalogue::{EVENTS_GROUP, Resource};

/// The names of Event's fields: in core, in `events.k8s.io`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// From the stored form to the one that the resource serves.
pub(super) fn from_stored(object: &mut Value, resource: &Resource) {
    if is_new_event(resource) {
        rename(object, EVENT_FIELDS);
    }
    let fields = as_map(object);
    fields.insert("apiVersion".into(), resource.api_version().into());
    fields.insert("kind".into(), resource.kind.as_str().into());
}

/// Whether the form that the resource serves is the stored one.
pub(super) fn is_stored_form(resource: &Resource) -> bool {
    resource.storage_schema.is_none() && !is_new_event(resource)
}

/// From the form that the resource serves to the stored one.
pub(super) fn to_stored(object: &mut Value, resource: &Resource) {
    if is_new_event(resource) {
        rename(object, EVENT_FIELDS.map(|(core, new)| (new, core)));
    }
    as_map(object).insert("apiVersion".into(), resource.storage_api_version.as_str().into());
    if let Some(schema) = &resource.storage_schema {
        complete(schema, object);
    }
}

fn is_new_event(resource: &Resource) -> bool {
    resource.is(EVENTS_GROUP, "events")
}

fn rename(object: &mut Value, fields: [(&str, &str); 7]) {
    let map = as_map(object);
    for (from, to) in fields {
        if let Some(value) = map.remove(from) {
            map.insert(to.into(), value);
        }
    }
}
