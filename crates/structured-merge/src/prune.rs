//! Removes what an applier wanted before and nobody wants now.

use serde_json::Value;

use crate::field_set::{FieldSet, Node};
use crate::path::PathElement;
use crate::remove::remove;
use crate::schema::TypeRef;

/// The merged value without the fields that `last` had and that are not in `owned`, the fields of all managers after this apply.
///
/// Guarantees:
///
/// - A list item, or an entry of a map, goes with all that is in it; who wants to keep it must own the item and not only a
///   field of it.
/// - A declared field that holds a container goes with the last field that somebody owned in it. Defaults that the server
///   filled in have no owner, and go with it.
pub(crate) fn prune(form: &TypeRef, merged: &Value, last: &FieldSet, owned: &FieldSet) -> Value {
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
