//! Removes what an applier wanted before and nobody wants now.

use serde_json::Value;

use crate::context::UpdateContext;
use crate::error::Result;
use crate::field_set::{FieldSet, Node};
use crate::fields_of::fields_of;
use crate::managed_fields::Entry;
use crate::object;
use crate::path::PathElement;
use crate::remove::remove;
use crate::schema::TypeRef;
use crate::versions::{self, Versions};

/// The merged value without the fields that `last` had and that none of the owners has, each in the version of its entry.
///
/// The removal is made in the version of `last`. What somebody owns in another version comes back there.
pub(crate) fn prune_across(
    merged: Value,
    last: &Entry,
    owners: &[&Entry],
    scope: &UpdateContext<'_>,
    versions: &dyn Versions,
) -> Result<Value> {
    let is_other = |entry: &Entry| versions::other_form(scope, versions, &entry.api_version).is_some();
    if !is_other(last) && !owners.iter().any(|one| is_other(one)) {
        return Ok(prune(scope.schema.root(), &merged, &last.fields, &kept_fields(owners.iter())));
    }
    let form = |version: &str| versions::form(scope, versions, version);
    let kept_in = |version: &str| kept_fields(owners.iter().filter(|one| one.api_version == version));
    let into = |object: Value, from: &str, to: &str| {
        if from == to { Ok(object) } else { versions::converted(versions, &object, to) }
    };
    let mut at = last.api_version.as_str();
    let mut whole = into(merged.clone(), scope.api_version, at)?;
    let mut left = prune(form(at), &whole, &last.fields, &kept_in(at));
    if left == whole {
        return Ok(merged);
    }
    for version in other_versions(owners, at, scope.api_version) {
        (whole, left) = (into(whole, at, version)?, into(left, at, version)?);
        let form = form(version);
        let lost = with_containers(form, &fields_of(form, &whole));
        let lost = lost.difference(&with_containers(form, &fields_of(form, &left)));
        left = remove(form, &whole, &lost.difference(&with_containers(form, &kept_in(version))));
        at = version;
    }
    into(left, at, scope.api_version)
}

/// The versions of the owners but the one that was looked at, each once; that of the request last.
fn other_versions<'e>(owners: &[&'e Entry], seen: &str, request: &str) -> Vec<&'e str> {
    let mut others: Vec<&str> = Vec::new();
    for owner in owners {
        let version = owner.api_version.as_str();
        if version != seen && !others.contains(&version) {
            others.push(version);
        }
    }
    others.sort_by_key(|version| *version == request);
    others
}

/// What stays whoever applied it before: what anybody owns after this apply, and what nobody can own.
fn kept_fields<'e>(owners: impl Iterator<Item = &'e &'e Entry>) -> FieldSet {
    owners.fold(object::unowned(), |kept, entry| kept.union(&entry.fields))
}

/// The merged value without the fields that `last` had and that are not in `owned`, the fields of all managers after this apply.
///
/// Guarantees:
///
/// - A list item, or an entry of a map, goes with all that is in it; who wants to keep it must own the item and not only a
///   field of it.
/// - A declared field that holds a container goes with the last field that somebody owned in it. Defaults that the server
///   filled in have no owner, and go with it.
fn prune(form: &TypeRef, merged: &Value, last: &FieldSet, owned: &FieldSet) -> Value {
    remove(form, merged, &with_containers(form, last).difference(&with_containers(form, owned)))
}

/// The set, and the declared fields above its members. They are not members by themselves, see [`fields_of`](crate::fields_of()).
fn with_containers(form: &TypeRef, set: &FieldSet) -> FieldSet {
    set.filter_map(|element, node| {
        let children = with_containers(form.below(element), &node.children);
        let is_container = !children.is_empty() && is_declared(form, element);
        Some(Node { member: node.member || is_container, children })
    })
}

fn is_declared(form: &TypeRef, element: &PathElement) -> bool {
    matches!((form, element), (TypeRef::Map(map), PathElement::Field(name)) if map.fields.contains_key(name))
}
