//! Discovery in two documents, as kubectl asks for it since 1.26.

use serde_json::{Value, json};

use super::legacy::{group_names, versions};
use crate::catalogue::{Resource, Table};

/// `/api`
pub(super) fn core(table: &Table, version: &str) -> Value {
    list(version, &[group(table, "", &json!({"creationTimestamp": null}))])
}

/// `/apis`
pub(super) fn groups(table: &Table, version: &str) -> Value {
    let named = |name: &&str| group(table, name, &json!({"name": name, "creationTimestamp": null}));
    list(version, &group_names(table).iter().map(named).collect::<Vec<_>>())
}

fn list(version: &str, items: &[Value]) -> Value {
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items,
    })
}

fn group(table: &Table, name: &str, metadata: &Value) -> Value {
    let version = |version: &&str| {
        let own = table.resources.iter().filter(|one| one.group == name && one.version == *version);
        json!({"version": version, "freshness": "Current", "resources": own.map(|one| row(one)).collect::<Vec<_>>()})
    };
    json!({"metadata": metadata, "versions": versions(table, name).iter().map(version).collect::<Vec<_>>()})
}

fn row(resource: &Resource) -> Value {
    let kind = response_kind(&resource.group, &resource.version, &resource.kind);
    let mut row = json!({
        "resource": resource.plural, "responseKind": kind, "singularResource": resource.singular, "verbs": resource.verbs,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
    });
    if !resource.short_names.is_empty() {
        row["shortNames"] = resource.short_names.clone().into();
    }
    if !resource.categories.is_empty() {
        row["categories"] = resource.categories.clone().into();
    }
    let verbs = ["get", "patch", "update"];
    let mut subresources = Vec::new();
    if resource.has_scale {
        let kind = response_kind("autoscaling", "v1", "Scale");
        subresources.push(json!({"subresource": "scale", "responseKind": kind, "verbs": verbs}));
    }
    if resource.has_status {
        subresources.push(json!({"subresource": "status", "responseKind": kind, "verbs": verbs}));
    }
    if resource.has_tokens() {
        let kind = response_kind("authentication.k8s.io", "v1", "TokenRequest");
        subresources.push(json!({"subresource": "token", "responseKind": kind, "verbs": ["create"]}));
    }
    if !subresources.is_empty() {
        row["subresources"] = subresources.into();
    }
    row
}

fn response_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}
