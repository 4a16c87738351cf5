//! Lays an applied value over a live one.

use serde_json::Value;

use crate::items::Items;
use crate::schema::{ListType, MapType, Shape, TypeRef};

/// What `live` becomes when `applied` is laid over it. Nothing is removed.
///
/// List items come in the order of `applied`; items that only `live` has stay where they are relative to the ones that both have.
pub fn merge(form: &TypeRef, live: &Value, applied: &Value) -> Value {
    match (form.shape(Some(live)), form.shape(Some(applied))) {
        (Some(Shape::Map(_)), Some(Shape::Map(map))) => merge_maps(map, live, applied),
        (Some(Shape::List(_)), Some(Shape::List(list))) => merge_lists(list, live, applied),
        // Null says nothing of what is in a container.
        (Some(Shape::Map(_) | Shape::List(_)), None) => live.clone(),
        _ => applied.clone(),
    }
}

fn merge_maps(map: &MapType, live: &Value, applied: &Value) -> Value {
    let mut merged = live.as_object().cloned().unwrap_or_default();
    for (name, applied) in applied.as_object().into_iter().flatten() {
        let value = match merged.get(name) {
            Some(live) => merge(map.field(name), live, applied),
            None => applied.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

fn merge_lists(list: &ListType, live: &Value, applied: &Value) -> Value {
    let (live, applied) = (Items::new(list, Some(live)), Items::new(list, Some(applied)));
    let wanted = || applied.order.iter().filter_map(|(element, item)| Some((element.as_ref()?, *item)));
    let mut shared = wanted().map(|(element, _)| element).filter(|element| live.contains(Some(element))).peekable();
    let mut waiting = live.order.iter().map(|(element, item)| (element.as_ref(), *item)).peekable();

    let mut merged = Vec::new();
    for (element, item) in wanted() {
        // What stands in `live` before the next item that both have. Shared items on the way have another place in `applied`.
        let next = shared.peek().copied();
        while let Some((candidate, passed)) = waiting.next_if(|(candidate, _)| next.is_none() || *candidate != next) {
            if !applied.contains(candidate) {
                merged.push(passed.clone());
            }
        }
        if shared.next_if_eq(&element).is_some() {
            waiting.next();
        }
        merged.push(match live.get(element) {
            [live] => merge(&list.items, live, item),
            _ => item.clone(),
        });
    }
    merged.extend(waiting.filter(|(element, _)| !applied.contains(*element)).map(|(_, item)| item.clone()));
    Value::Array(merged)
}
