//! Takes fields out of a value.

use serde_json::Value;

use crate::field_set::FieldSet;
use crate::items;
use crate::path::PathElement;
use crate::schema::{ListType, MapType, Shape, TypeRef};

/// The value without the members of `fields` and what is below them. A container that loses all it had stays, empty.
pub fn remove(form: &TypeRef, value: &Value, fields: &FieldSet) -> Value {
    match form.shape(Some(value)) {
        None | Some(Shape::Leaf) => value.clone(),
        Some(Shape::Map(map)) => remove_fields(map, value, fields),
        Some(Shape::List(list)) => remove_items(list, value, fields),
    }
}

fn remove_fields(map: &MapType, value: &Value, fields: &FieldSet) -> Value {
    let kept = value.as_object().into_iter().flatten().filter_map(|(name, value)| {
        let value = remove_at(map.field(name), &PathElement::field(name), value, fields)?;
        Some((name.clone(), value))
    });
    Value::Object(kept.collect())
}

fn remove_items(list: &ListType, value: &Value, fields: &FieldSet) -> Value {
    let kept = value.as_array().into_iter().flatten().filter_map(|item| match items::element(list, item) {
        Ok(element) => remove_at(&list.items, &element, item, fields),
        Err(_) => Some(item.clone()),
    });
    kept.collect()
}

fn remove_at(form: &TypeRef, element: &PathElement, value: &Value, fields: &FieldSet) -> Option<Value> {
    match fields.node(element) {
        None => Some(value.clone()),
        Some(node) if node.member => None,
        Some(node) => Some(remove(form, value, &node.children)),
    }
}
