//! Removes what an applier wanted before and nobody wants now.

use serde_json::Value;

use crate::field_set::{FieldSet, Node};
use crate::fields_of::fields_of;
use crate::path::PathElement;
use crate::remove::remove;
use crate::schema::TypeRef;

/// The merged value without the fields that `last` had and that are not in `owned`, the fields of all managers after this apply.
///
/// Guarantees: a field goes only if it was in `last`, or is below a list item or container that goes and nobody owns it;
/// a container goes with the last thing in it, unless somebody owns the container.
pub(crate) fn prune(form: &TypeRef, merged: &Value, last: &FieldSet, owned: &FieldSet) -> Value {
    let (last, owned) = (with_containers(form, last), with_containers(form, owned));
    let all = with_containers(form, &fields_of(form, merged));
    // The whole subtrees of what was applied before, then less what is still owned somewhere in them.
    let cut = fields_in(form, &remove(form, merged, &last));
    let kept = remove(form, merged, &all.difference(&cut.union(&owned)));
    let gone = all.difference(&fields_in(form, &kept));
    remove(form, merged, &gone.intersection(&last))
}

fn fields_in(form: &TypeRef, value: &Value) -> FieldSet {
    with_containers(form, &fields_of(form, value))
}

/// The set, and the declared fields above its members. They are not members by themselves, see [`fields_of`].
fn with_containers(form: &TypeRef, set: &FieldSet) -> FieldSet {
    set.filter_map(|element, node| {
        let children = with_containers(form.below(element), &node.children);
        let is_container = !children.is_empty() && is_declared(form, element);
        Some(Node {
            member: node.member || is_container,
            children,
        })
    })
}

fn is_declared(form: &TypeRef, element: &PathElement) -> bool {
    matches!((form, element), (TypeRef::Map(map), PathElement::Field(name)) if map.fields.contains_key(name))
}
