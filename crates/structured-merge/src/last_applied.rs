//! The way from client-side to server-side apply: what `kubectl` left in its annotation it may take over without force.

use serde_json::{Map, Value};

use crate::compare::compare;
use crate::conflict::Conflict;
use crate::context::ApplyContext;
use crate::field_set::FieldSet;
use crate::fields_of::fields_of;
use crate::object;
use crate::validate::validate;

/// The one manager for which the annotation counts; whoever does not want this takes another name.
const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Kubernetes' limit for all annotations of an object together.
const MAX_ANNOTATIONS_BYTES: usize = 256 * 1024;

/// The conflicts that the annotation does not excuse.
pub(crate) fn unexcused(conflicts: Vec<Conflict>, live: Option<&Value>, ctx: &ApplyContext<'_>) -> Vec<Conflict> {
    let excused =
        live.filter(|_| ctx.manager == KUBECTL).and_then(|live| unchanged_since(live, ctx)).unwrap_or_default();
    conflicts.into_iter().filter(|conflict| !excused.contains(&conflict.path)).collect()
}

/// The fields of the last client-side apply that still have its values.
fn unchanged_since(live: &Value, ctx: &ApplyContext<'_>) -> Option<FieldSet> {
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    object::check(&last).ok()?;
    let form = ctx.schema.root();
    if last.get("apiVersion").and_then(Value::as_str) != Some(ctx.api_version) || validate(form, &last).is_err() {
        return None;
    }
    let changes = compare(form, &last, live);
    let fields = fields_of(form, &last);
    Some(fields.difference(&changes.modified).difference(&changes.added).difference(&changes.removed))
}

/// Keeps the annotation in step with a server-side apply, for clients that still apply the old way.
pub(crate) fn sync(object: &mut Value, applied: &Value, ctx: &ApplyContext<'_>) {
    if ctx.manager != KUBECTL || annotation(object).is_none() {
        return;
    }
    let text = format!("{}\n", without_annotation(applied));
    let Some(annotations) = annotations_mut(object) else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), Value::from(text));
    let bytes: usize = annotations.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes > MAX_ANNOTATIONS_BYTES {
        annotations.remove(ANNOTATION);
    }
}

fn without_annotation(applied: &Value) -> Value {
    let mut applied = object::without_managed_fields(applied);
    if let Some(annotations) = annotations_mut(&mut applied) {
        annotations.remove(ANNOTATION);
    }
    applied
}

fn annotation(object: &Value) -> Option<&str> {
    let text = object.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

fn annotations_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object::metadata_mut(object)?.get_mut("annotations")?.as_object_mut()
}
