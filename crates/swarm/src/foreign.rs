//! Settings of a service that a [`ServiceSpec`] cannot say.
//!
//! What was read is written again and compared with what Docker holds: every difference that is left was made by somebody else. So
//! a setting that Docker will learn next year is found too.

use std::collections::{BTreeMap, BTreeSet};

use essaim_backend::swarm::ServiceSpec;
use serde_json::{Map, Value};

use crate::{docker::ApiVersion, from_swarm::without_added_digest, to_swarm::to_swarm};

/// Stands for a setting that essaim always makes and that is missing.
const ABSENT: &str = "absent";

/// Lists whose order means nothing, by name.
const UNORDERED: [&str; 6] = ["Env", "Groups", "Mounts", "Secrets", "Constraints", "Networks"];

/// The differences between what Docker holds and what would be sent for `spec`, by their path in Docker's API.
pub(crate) fn settings(
    raw: &Value,
    spec: &ServiceSpec,
    networks: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let expected = to_swarm(spec, &BTreeMap::new(), ApiVersion::OLDEST);
    let mut paths = BTreeSet::new();
    compare(&[], &canonical(raw, networks), &canonical(&expected, networks), &mut paths);
    paths.into_iter().map(|path| (path.join("."), shown(raw, &path))).collect()
}

/// What Docker holds at a path: a string as it is, anything else as JSON.
fn shown(raw: &Value, path: &[String]) -> String {
    match path.iter().try_fold(raw, |value, key| value.get(key)) {
        None | Some(Value::Null) => ABSENT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn compare(path: &[String], actual: &Value, expected: &Value, found: &mut BTreeSet<Vec<String>>) {
    if actual == expected {
        return;
    }
    let members = |value: &Value| value.as_object().cloned().or_else(|| value.is_null().then(Map::new));
    let (Some(actual_members), Some(expected_members)) = (members(actual), members(expected)) else {
        found.insert(path.to_owned());
        return;
    };
    let keys: BTreeSet<&String> = actual_members.keys().chain(expected_members.keys()).collect();
    for key in keys {
        let path = [path, std::slice::from_ref(key)].concat();
        compare(
            &path,
            actual_members.get(key).unwrap_or(&Value::Null),
            expected_members.get(key).unwrap_or(&Value::Null),
            found,
        );
    }
}

/// One form for all the ways in which Docker may say the same.
fn canonical(raw: &Value, networks: &BTreeMap<String, String>) -> Value {
    let mut value = raw.clone();
    let container = &mut value["TaskTemplate"]["ContainerSpec"];
    if let Some(image) = container["Image"].as_str().map(without_added_digest) {
        container["Image"] = Value::from(image);
    }
    // Hardening that older engines cannot keep; its absence must not restart containers when the engine is upgraded.
    remove(&mut container["Privileges"], "NoNewPrivileges");
    remove_if(container, "Isolation", "default");
    for mount in list(&mut container["Mounts"]) {
        remove_if(&mut mount["BindOptions"], "Propagation", "rprivate");
    }
    // The name says the same, and outlives the id.
    for secret in list(&mut container["Secrets"]) {
        remove(secret, "SecretID");
    }
    remove_if(&mut value["TaskTemplate"], "Runtime", "container");
    for network in list(&mut value["TaskTemplate"]["Networks"]) {
        if let Some(name) = network["Target"].as_str().and_then(|id| networks.get(id)) {
            network["Target"] = Value::from(name.as_str());
        }
    }
    sort_unordered(&mut value);
    without_zeros(value)
}

fn list(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_array_mut().into_iter().flatten()
}

fn remove(value: &mut Value, key: &str) {
    if let Some(members) = value.as_object_mut() {
        members.remove(key);
    }
}

fn remove_if(value: &mut Value, key: &str, default: &str) {
    if value.get(key).is_some_and(|found| found == default) {
        remove(value, key);
    }
}

fn sort_unordered(value: &mut Value) {
    for (key, member) in value.as_object_mut().into_iter().flatten() {
        match member {
            Value::Array(items) if UNORDERED.contains(&key.as_str()) => items.sort_by_key(ToString::to_string),
            other => sort_unordered(other),
        }
    }
}

/// Without members that say nothing: Docker leaves out zeros or writes them, from one version to the next. Items of lists stay.
fn without_zeros(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(key, member)| (key, without_zeros(member)));
            Value::Object(members.filter(|(_, member)| !is_zero(member)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_zeros).collect()),
        scalar => scalar,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
