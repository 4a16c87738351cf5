//! How the items of a list are told apart.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::path::PathElement;
use crate::scalar::Scalar;
use crate::schema::{ListKey, ListKind, ListType};

/// The items of a list under the elements that select them.
#[derive(Default)]
pub(crate) struct Items<'v> {
    /// Each item in place. Stored lists may hold items without an element, if their schema was another when they were stored.
    pub(crate) order: Vec<(Option<PathElement>, &'v Value)>,
    by_element: BTreeMap<PathElement, Vec<&'v Value>>,
}

impl<'v> Items<'v> {
    /// Indexes a list; anything else has no items.
    pub(crate) fn new(list: &ListType, value: Option<&'v Value>) -> Self {
        let mut items = Self::default();
        for item in value.and_then(Value::as_array).into_iter().flatten() {
            let element = element(list, item).ok();
            if let Some(element) = &element {
                items.by_element.entry(element.clone()).or_default().push(item);
            }
            items.order.push((element, item));
        }
        items
    }

    /// The items that `element` selects; more than one if the list has duplicates.
    pub(crate) fn get(&self, element: &PathElement) -> &[&'v Value] {
        self.by_element.get(element).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn contains(&self, element: Option<&PathElement>) -> bool {
        element.is_some_and(|element| self.by_element.contains_key(element))
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = &PathElement> {
        self.by_element.keys()
    }
}

/// The element that selects an item, or why there is none.
pub(crate) fn element(list: &ListType, item: &Value) -> Result<PathElement, String> {
    match (&list.kind, item) {
        (ListKind::Map(keys), Value::Object(_)) => keys
            .iter()
            .map(|key| Ok((key.name.clone(), key_value(key, item)?)))
            .collect::<Result<_, _>>()
            .map(PathElement::Key),
        (ListKind::Map(_), _) => Err("an item of a keyed list must be a map".to_owned()),
        (ListKind::Set, Value::Null) => Err("an item of a set must not be null".to_owned()),
        (ListKind::Set, _) => {
            Scalar::new(item).map(PathElement::Value).ok_or_else(|| "an item of a set must be a scalar".to_owned())
        }
        (ListKind::Atomic, _) => Err("the items of an atomic list are not told apart".to_owned()),
    }
}

fn key_value(key: &ListKey, item: &Value) -> Result<Scalar, String> {
    match (item.get(&key.name), &key.default) {
        (Some(value), _) => Scalar::new(value).ok_or_else(|| format!("key field {:?} must be a scalar", key.name)),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(format!("the item omits key field {:?}, which has no default", key.name)),
    }
}
