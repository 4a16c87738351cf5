//! Discovery piece by piece: `APIVersions`, `APIGroupList`, `APIGroup`, `APIResourceList`.

use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    catalogue::{Resource, Table},
    wire::output::api_version,
};

/// `/api`
pub(super) fn core() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`
pub(super) fn groups(table: &Table) -> Value {
    let groups = group_names(table).iter().map(|name| group_body(table, name)).collect::<Vec<_>>();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/{group}`
pub(super) fn group(table: &Table, name: &str) -> Option<Value> {
    if name.is_empty() || versions(table, name).is_empty() {
        return None;
    }
    let mut body = group_body(table, name);
    body["kind"] = "APIGroup".into();
    body["apiVersion"] = "v1".into();
    Some(body)
}

/// `/apis/{group}/{version}`
pub(super) fn resources(table: &Table, group: &str, version: &str) -> Option<Value> {
    let mut rows = Vec::new();
    for resource in table.resources.iter().filter(|one| one.group == group && one.version == version) {
        rows.push(row(resource));
        rows.extend(subresources(resource));
    }
    let found = !rows.is_empty();
    let body = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version), "resources": rows});
    found.then_some(body)
}

/// The names of all groups but core, in order.
pub(super) fn group_names(table: &Table) -> Vec<&str> {
    let mut names =
        table.resources.iter().map(|one| one.group.as_str()).filter(|group| !group.is_empty()).collect::<Vec<_>>();
    names.dedup();
    names
}

/// The versions of a group, the preferred one first.
pub(super) fn versions<'a>(table: &'a Table, group: &str) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for resource in table.resources.iter().filter(|one| one.group == group) {
        if !found.contains(&resource.version.as_str()) {
            found.push(&resource.version);
        }
    }
    found
}

fn group_body(table: &Table, name: &str) -> Value {
    let versions = versions(table, name);
    let versions =
        versions.iter().map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}));
    let versions = versions.collect::<Vec<_>>();
    json!({"name": name, "versions": versions, "preferredVersion": versions.first()})
}

fn row(resource: &Resource) -> Value {
    let mut row = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        row["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        row["categories"] = resource.categories.clone().into();
    }
    if resource.verbs.contains(&"list") {
        row["storageVersionHash"] = storage_hash(resource).into();
    }
    row
}

fn subresources(resource: &Resource) -> Vec<Value> {
    let name = |part: &str| format!("{}/{part}", resource.plural);
    let verbs = ["get", "patch", "update"];
    let mut rows = Vec::new();
    if resource.has_status {
        rows.push(json!({
            "name": name("status"), "singularName": "", "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs,
        }));
    }
    if resource.has_scale {
        rows.push(json!({
            "name": name("scale"), "singularName": "", "namespaced": resource.namespaced,
            "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": verbs,
        }));
    }
    if resource.has_tokens() {
        rows.push(json!({
            "name": name("token"), "singularName": "", "namespaced": true,
            "group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest", "verbs": ["create"],
        }));
    }
    rows
}

/// Changes when objects are stored as another version; clients only compare it.
fn storage_hash(resource: &Resource) -> String {
    let digest = Sha256::digest(format!("{}/{}", resource.storage_api_version, resource.kind));
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}
