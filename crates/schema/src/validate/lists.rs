//! Lists whose items must differ: sets by value, maps by their keys.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Errors;
use crate::FieldError;
use crate::node::{ListType, Node, key_of};
use crate::path::Path;

pub(super) fn check(node: &Node, items: &[Value], path: &Path<'_>, errors: &mut Errors) {
    match &node.list_type {
        ListType::Atomic => {}
        ListType::Set => {
            let mut seen = HashSet::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                if !seen.insert(item) {
                    errors.push(FieldError::duplicate(path.index(index).to_string(), item));
                }
            }
        }
        ListType::Map(keys) => {
            let mut seen = HashSet::with_capacity(items.len());
            for (index, item) in items.iter().enumerate().filter(|(_, item)| item.is_object()) {
                let key = key_of(keys, node.items.as_deref(), item);
                if !seen.insert(key.clone()) {
                    errors.push(FieldError::duplicate(path.index(index).to_string(), &shown(keys, &key)));
                }
            }
        }
    }
}

/// The keys of an item as a small object.
fn shown(keys: &[String], values: &[Option<&Value>]) -> Value {
    let pairs = keys.iter().zip(values).filter_map(|(key, value)| Some((key.clone(), (*value)?.clone())));
    Value::Object(pairs.collect::<Map<_, _>>())
}
