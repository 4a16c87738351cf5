//! The rules of a webhook: operations, groups, versions, resources.

use std::collections::HashSet;

use essaim_schema::FieldError;
use serde_json::{Value, json};

use super::one_of;
use crate::registry::object::texts;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

pub(super) fn rule(rule: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, others) in [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")]
    {
        let (given, at) = (texts(rule.get(field)), format!("{path}.{field}"));
        if given.is_empty() {
            errors.push(FieldError::required(at, ""));
        } else if given.len() > 1 && given.contains(&"*") {
            let detail = format!("if '*' is present, must not specify other {others}");
            errors.push(FieldError::invalid(at, &json!(given), detail));
        }
    }
    for (index, operation) in texts(rule.get("operations")).iter().enumerate() {
        if !OPERATIONS.contains(operation) {
            let at = format!("{path}.operations[{index}]");
            errors.push(FieldError::not_supported(at, &json!(operation), &OPERATIONS.map(Value::from)));
        }
    }
    for (index, version) in texts(rule.get("apiVersions")).iter().enumerate() {
        if version.is_empty() {
            errors.push(FieldError::required(format!("{path}.apiVersions[{index}]"), ""));
        }
    }
    errors.extend(resources(&texts(rule.get("resources")), &format!("{path}.resources")));
    errors.extend(one_of(rule, "scope", path, &["*", "Cluster", "Namespaced"]));
    errors
}

/// What one entry says already must not be said again by another.
fn resources(given: &[&str], path: &str) -> Vec<FieldError> {
    if given.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    let mut errors = Vec::new();
    let (mut whole_resources, mut whole_subresources) = (HashSet::new(), HashSet::new());
    for (index, entry) in given.iter().enumerate() {
        let at = || format!("{path}[{index}]");
        if entry.is_empty() {
            errors.push(FieldError::required(at(), ""));
        }
        let Some((resource, subresource)) = entry.split_once('/') else { continue };
        if whole_resources.contains(resource) {
            let detail = format!("if '{resource}/*' is present, must not specify {entry}");
            errors.push(FieldError::invalid(at(), &json!(entry), detail));
        }
        if whole_subresources.contains(subresource) {
            let detail = format!("if '*/{subresource}' is present, must not specify {entry}");
            errors.push(FieldError::invalid(at(), &json!(entry), detail));
        }
        if subresource == "*" {
            whole_resources.insert(resource);
        }
        if resource == "*" {
            whole_subresources.insert(subresource);
        }
    }
    if given.len() > 1 && given.contains(&"*/*") {
        errors.push(FieldError::invalid(path, &json!(given), "if '*/*' is present, must not specify other resources"));
    }
    if given.contains(&"*") && given.iter().any(|entry| *entry != "*" && !entry.contains('/')) {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.push(FieldError::invalid(path, &json!(given), detail));
    }
    errors
}
