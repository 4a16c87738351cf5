//! Strategic merge patches, for the built-in kinds.
//!
//! A merge patch, except that a few lists are merged item by item, and that directives in the patch (`$patch`, `$retainKeys`,
//! `$deleteFromPrimitiveList/…`, `$setElementOrder/…`) say what a merge alone cannot.
//!
//! Lists are as long as bodies allow, so nothing here looks through one list for each item of another.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::ApiError;

/// Lists that are merged: by this field of their items, or by value.
const MERGED: [(&str, Option<&str>); 8] = [
    ("ownerReferences", Some("uid")),
    ("conditions", Some("type")),
    ("secrets", Some("name")),
    ("imagePullSecrets", Some("name")),
    ("webhooks", Some("name")),
    ("matchConditions", Some("name")),
    ("finalizers", None),
    ("managedFields", None),
];

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const REMOVE_VALUES: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Carries out a strategic merge patch.
pub(super) fn merge(patch: &Value, object: &Value) -> Result<Value, ApiError> {
    let Value::Object(patch) = patch else {
        return Err(ApiError::bad_request("a strategic merge patch must be an object"));
    };
    let object = object.as_object().cloned().unwrap_or_default();
    Ok(Value::Object(merge_map(patch, object)?))
}

fn merge_map(patch: &Map<String, Value>, mut object: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    match patch.get(DIRECTIVE).map(|directive| directive.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("replace") => return Ok(without_directives(patch)),
        Some("delete") => return Ok(Map::new()),
        Some(other) => return Err(ApiError::bad_request(format!("unknown directive {DIRECTIVE}: {other:?}"))),
    }
    if let Some(Value::Array(retained)) = patch.get(RETAIN) {
        let retained = retained.iter().filter_map(Value::as_str).collect::<HashSet<_>>();
        object.retain(|field, _| retained.contains(field.as_str()));
    }
    for (field, value) in patch {
        if let Some(list) = field.strip_prefix(REMOVE_VALUES) {
            remove_values(object.get_mut(list), value);
        } else if !(field == DIRECTIVE || field == RETAIN || field.starts_with(ORDER)) {
            merge_field(field, value, &mut object)?;
        }
    }
    // Last, when the lists have their new items.
    for (field, order) in patch {
        if let Some(list) = field.strip_prefix(ORDER) {
            set_order(list, order, object.get_mut(list));
        }
    }
    Ok(object)
}

fn merge_field(field: &str, value: &Value, object: &mut Map<String, Value>) -> Result<(), ApiError> {
    let merged = match (value, object.remove(field)) {
        (Value::Null, _) => return Ok(()),
        (Value::Object(patch), Some(Value::Object(standing))) => Value::Object(merge_map(patch, standing)?),
        (Value::Object(patch), _) => Value::Object(merge_map(patch, Map::new())?),
        (Value::Array(patch), standing) => {
            let standing = standing.and_then(|list| list.as_array().cloned()).unwrap_or_default();
            match MERGED.iter().find(|(list, _)| *list == field) {
                Some((_, Some(key))) => Value::Array(merge_list(patch, standing, key)?),
                Some((_, None)) if field == "finalizers" => Value::Array(merge_values(patch, standing)),
                _ => value.clone(),
            }
        }
        (other, _) => other.clone(),
    };
    object.insert(field.into(), merged);
    Ok(())
}

/// Merges items that have the same key; new ones go to the end.
fn merge_list(patch: &[Value], standing: Vec<Value>, key: &str) -> Result<Vec<Value>, ApiError> {
    if patch
        .iter()
        .any(|item| item.get(DIRECTIVE).is_some_and(|directive| directive == "replace") && item.get(key).is_none())
    {
        return Ok(patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).cloned().collect());
    }
    // Where the items of a key are, the first one last.
    let mut places: HashMap<Value, Vec<usize>> = HashMap::new();
    for (at, item) in standing.iter().enumerate().rev() {
        if let Some(found) = item.get(key) {
            places.entry(found.clone()).or_default().push(at);
        }
    }
    let mut items = standing.into_iter().map(Some).collect::<Vec<_>>();
    for item in patch {
        let Value::Object(fields) = item else {
            return Err(ApiError::bad_request("the items of this list must be objects"));
        };
        let Some(wanted) = fields.get(key) else {
            return Err(ApiError::bad_request(format!("map: {item} does not contain declared merge key: {key}")));
        };
        let at = places.get(wanted).and_then(|places| places.last().copied());
        match (at, fields.get(DIRECTIVE).and_then(Value::as_str)) {
            (Some(at), Some("delete")) => {
                items[at] = None;
                places.get_mut(wanted).and_then(Vec::pop);
            }
            (None, Some("delete")) => {}
            (Some(at), _) => {
                let one = items[at].take().and_then(|one| one.as_object().cloned()).unwrap_or_default();
                items[at] = Some(Value::Object(merge_map(fields, one)?));
            }
            (None, _) => {
                places.insert(wanted.clone(), vec![items.len()]);
                items.push(Some(Value::Object(merge_map(fields, Map::new())?)));
            }
        }
    }
    Ok(items.into_iter().flatten().collect())
}

fn merge_values(patch: &[Value], mut standing: Vec<Value>) -> Vec<Value> {
    let mut known = standing.iter().cloned().collect::<HashSet<_>>();
    for value in patch {
        if known.insert(value.clone()) {
            standing.push(value.clone());
        }
    }
    standing
}

fn remove_values(list: Option<&mut Value>, values: &Value) {
    if let (Some(Value::Array(list)), Value::Array(values)) = (list, values) {
        let values = values.iter().collect::<HashSet<_>>();
        list.retain(|one| !values.contains(one));
    }
}

/// Brings the items that the order names into that order, before the others.
fn set_order(field: &str, order: &Value, list: Option<&mut Value>) {
    let (Value::Array(order), Some(Value::Array(list))) = (order, list) else { return };
    let key = MERGED.iter().find(|(merged, _)| *merged == field).and_then(|(_, key)| *key);
    // Of several equal ones the first counts.
    let places = order.iter().enumerate().rev().map(|(at, one)| (identity(one, key), at)).collect::<HashMap<_, _>>();
    list.sort_by_key(|item| places.get(&identity(item, key)).copied().unwrap_or(order.len()));
}

/// By what an item of a merged list is known.
fn identity<'a>(item: &'a Value, key: Option<&str>) -> Option<&'a Value> {
    key.map_or(Some(item), |key| item.get(key))
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    patch
        .iter()
        .filter(|(field, _)| !field.starts_with('$'))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::merge;

    fn merged(object: &Value, patch: &Value) -> Value {
        merge(patch, object).unwrap()
    }

    #[test]
    fn maps_are_merged_and_nulls_remove() {
        let object = json!({"data": {"a": "1", "b": "2"}});
        assert_eq!(merged(&object, &json!({"data": {"a": null, "c": "3"}})), json!({"data": {"b": "2", "c": "3"}}));
    }

    #[test]
    fn keyed_lists_are_merged_item_by_item() {
        let object = json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "a"}, {"uid": "2", "name": "b"}]}});
        let patch = json!({"metadata": {"ownerReferences": [{"uid": "1", "$patch": "delete"}, {"uid": "2", "name": "c"}, {"uid": "3"}]}});
        let wanted = json!([{"uid": "2", "name": "c"}, {"uid": "3"}]);
        assert_eq!(merged(&object, &patch)["metadata"]["ownerReferences"], wanted);
        assert!(merge(&json!({"metadata": {"ownerReferences": [{"name": "x"}]}}), &object).is_err());
    }

    #[test]
    fn finalizers_are_a_set() {
        let object = json!({"metadata": {"finalizers": ["a/x", "b/x"]}});
        let patch = json!({"metadata": {"finalizers": ["b/x", "c/x"], "$deleteFromPrimitiveList/finalizers": ["a/x"],
            "$setElementOrder/finalizers": ["c/x", "b/x"]}});
        assert_eq!(merged(&object, &patch)["metadata"]["finalizers"], json!(["c/x", "b/x"]));
    }

    /// With a look through one list for each item of the other this would not end.
    #[test]
    fn long_lists_take_no_longer_than_they_are() {
        const MANY: usize = 100_000;
        let values = |from: usize| (from..from + MANY).map(|at| json!(format!("a/{at}"))).collect::<Vec<_>>();
        let owners = |from: usize| (from..from + MANY).map(|at| json!({"uid": at, "name": from})).collect::<Vec<_>>();
        let object = json!({"metadata": {"finalizers": values(0), "ownerReferences": owners(0)}});
        let patch = json!({"metadata": {
            "finalizers": values(MANY / 2), "ownerReferences": owners(MANY / 2), "$deleteFromPrimitiveList/finalizers": values(MANY),
            "$setElementOrder/finalizers": values(MANY / 2), "$setElementOrder/ownerReferences": owners(MANY / 2),
        }});
        let merged = merged(&object, &patch);
        let first = |list: &str| merged["metadata"][list][0].clone();
        assert_eq!(first("finalizers"), format!("a/{}", MANY / 2));
        assert_eq!(first("ownerReferences"), json!({"uid": MANY / 2, "name": MANY / 2}));
        assert_eq!(merged["metadata"]["ownerReferences"].as_array().unwrap().len(), MANY + MANY / 2);
    }

    #[test]
    fn directives_replace_and_retain() {
        let object = json!({"data": {"a": "1"}, "spec": {"x": 1, "y": 2}});
        let patch = json!({"data": {"$patch": "replace", "b": "2"}, "spec": {"$retainKeys": ["y"], "y": 3}});
        assert_eq!(merged(&object, &patch), json!({"data": {"b": "2"}, "spec": {"y": 3}}));
    }

    #[test]
    fn other_lists_are_replaced() {
        assert_eq!(merged(&json!({"rules": [1, 2]}), &json!({"rules": [3]})), json!({"rules": [3]}));
    }
}
