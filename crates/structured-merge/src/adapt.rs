//! Owners as they were stored, brought into line with the schema of today.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::context::UpdateContext;
use crate::error::Result;
use crate::field_set::{FieldSet, Node};
use crate::fields_of::fields_of;
use crate::items::Items;
use crate::managed_fields::{Entry, ManagedFields};
use crate::object;
use crate::path::PathElement;
use crate::schema::{ListKind, Shape, TypeRef};
use crate::versions::{self, Versions};

/// The owners of `live`, less what cannot be: versions that are gone, fields that nobody owns.
///
/// Who owned parts of what has become atomic owns the whole; who owned the whole of what has become granular owns all its parts.
///
/// # Errors
///
/// Those of [`Versions::convert`], which is asked for the versions in which somebody owned such a whole.
pub(crate) fn adapt(
    mut managed: ManagedFields,
    live: &Value,
    ctx: &UpdateContext<'_>,
    versions: &dyn Versions,
) -> Result<ManagedFields> {
    let form = |entry: &Entry| versions::form(ctx, versions, &entry.api_version);
    managed.retain(|entry| ctx.knows_version(&entry.api_version));
    managed.map_fields(|entry| collapse(form(entry), &entry.fields).difference(&object::unowned()));
    // The version in whose words somebody speaks; nothing for those of the request.
    let words =
        |entry: &Entry| versions::other_form(ctx, versions, &entry.api_version).map(|_| entry.api_version.clone());
    let wholes = managed.entries().iter().filter(|entry| has_whole(form(entry), &entry.fields)).map(words);
    for spoken in wholes.collect::<BTreeSet<_>>() {
        let seen = match &spoken {
            Some(version) => versions::view(versions, live, version)?,
            None => Some(live.clone()),
        };
        // Nothing is taken apart that cannot be seen.
        let Some(seen) = seen else { continue };
        let speakers = managed.entries().iter().filter(|entry| words(entry) == spoken);
        let everybody = speakers.fold(FieldSet::default(), |all, entry| all.union(&entry.fields));
        managed.map_fields(|entry| {
            if words(entry) != spoken {
                return entry.fields.clone();
            }
            expand(form(entry), &entry.fields, Some(&seen), &everybody)
        });
    }
    Ok(managed)
}

/// Turns ownership of parts of an atomic value into ownership of the value.
fn collapse(form: &TypeRef, set: &FieldSet) -> FieldSet {
    set.filter_map(|element, node| {
        let below = form.below(element);
        if !node.children.is_empty() && is_atomic(below, &node.children) {
            return Some(Node { member: true, children: FieldSet::default() });
        }
        Some(Node { member: node.member, children: collapse(below, &node.children) })
    })
}

fn is_atomic(form: &TypeRef, parts: &FieldSet) -> bool {
    match form {
        TypeRef::Scalar => false,
        TypeRef::Map(map) => map.atomic,
        TypeRef::List(list) => list.kind == ListKind::Atomic,
        // A deduced list is atomic, a deduced map is not.
        TypeRef::Deduced => parts.nodes().any(|(element, _)| !matches!(element, PathElement::Field(_))),
    }
}

/// Whether the set has a member that may be such a whole: a declared container, and nothing below it.
fn has_whole(form: &TypeRef, set: &FieldSet) -> bool {
    set.nodes().any(|(element, node)| {
        let below = form.below(element);
        is_whole(below, node) || has_whole(below, &node.children)
    })
}

fn is_whole(form: &TypeRef, node: &Node) -> bool {
    let granular = match form {
        TypeRef::Map(map) => !map.atomic,
        TypeRef::List(list) => list.kind != ListKind::Atomic,
        TypeRef::Scalar | TypeRef::Deduced => false,
    };
    granular && node.member && node.children.is_empty()
}

/// Turns ownership of a whole into ownership of all that it holds. *Assumption*: `set` is in `everybody`.
///
/// A container that a manager applied empty looks the same. It is told apart by what others own in it: while a value is
/// atomic, nobody owns a part. Kubernetes does not look, and makes that manager the owner of what others filled in.
fn expand(form: &TypeRef, set: &FieldSet, live: Option<&Value>, everybody: &FieldSet) -> FieldSet {
    set.filter_map(|element, node| {
        let (below, value) = (form.below(element), at(form, live, element));
        let parts = &everybody.node(element)?.children;
        let children = match value {
            Some(value) if is_whole(below, node) && parts.is_empty() => fields_of(below, value),
            _ => expand(below, &node.children, value, parts),
        };
        Some(Node { member: node.member, children })
    })
}

/// What one step leads to; nothing if it is not there, or there twice.
fn at<'v>(form: &TypeRef, value: Option<&'v Value>, element: &PathElement) -> Option<&'v Value> {
    match (element, form.shape(value)?) {
        (PathElement::Field(name), _) => value?.get(name),
        (_, Shape::List(list)) => match Items::new(list, value).get(element) {
            [item] => Some(*item),
            _ => None,
        },
        _ => None,
    }
}
