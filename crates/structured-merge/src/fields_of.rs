//! The fields that a value has, which are those that its applier owns.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::field_set::FieldSet;
use crate::items::Items;
use crate::path::{Path, PathElement};
use crate::schema::{ListType, MapType, Shape, TypeRef};

/// All leaves of a value, list items, and fields of maps that are not declared.
///
/// A declared field that holds a container with content is not a member itself: two managers may fill it together, and it
/// goes when the last thing in it goes.
pub fn fields_of(form: &TypeRef, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(form, value, &mut Path::default(), &mut set);
    set
}

fn collect(form: &TypeRef, value: &Value, path: &mut Path, set: &mut FieldSet) {
    match form.shape(Some(value)) {
        None | Some(Shape::Leaf) => set.insert(path),
        Some(Shape::Map(map)) => collect_fields(map, value, path, set),
        Some(Shape::List(list)) => collect_items(list, value, path, set),
    }
}

fn collect_fields(map: &MapType, value: &Value, path: &mut Path, set: &mut FieldSet) {
    for (name, value) in value.as_object().into_iter().flatten() {
        path.descend(PathElement::field(name), |path| {
            collect(map.field(name), value, path, set);
            // Kubernetes leaves empty lists without owner. Then a second apply of one would change the object again.
            let is_empty = value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
            if is_empty || !map.fields.contains_key(name) {
                set.insert(path);
            }
        });
    }
}

fn collect_items(list: &ListType, value: &Value, path: &mut Path, set: &mut FieldSet) {
    let items = Items::new(list, Some(value));
    let elements: BTreeSet<_> = items.elements().collect();
    for element in elements {
        path.descend(element.clone(), |path| {
            // Of duplicates nobody can own a part.
            if let [item] = items.get(element) {
                collect(&list.items, item, path, set);
            }
            set.insert(path);
        });
    }
}
