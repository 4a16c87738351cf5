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
    let mut shared = applied.order.iter().map(|(element, _)| element).filter(|element| live.contains(element)).peekable();
    let mut waiting = live.order.iter().peekable();
    let mut merged = Vec::new();
    for (element, item) in &applied.order {
        while let Some((candidate, live_only)) = waiting.next_if(|(candidate, _)| shared.peek() != Some(&candidate)) {
            merged.extend((!applied.contains(candidate)).then(|| (*live_only).clone()));
        }
        if shared.next_if_eq(&element).is_some() {
            waiting.next_if(|(candidate, _)| candidate == element);
        }
        merged.push(match live.get(element) {
            [live] => merge(&list.items, live, item),
            _ => (*item).clone(),
        });
    }
    let rest = waiting.filter(|(candidate, _)| !applied.contains(candidate));
    merged.extend(rest.map(|(_, live_only)| (*live_only).clone()));
    Value::Array(merged)
}
