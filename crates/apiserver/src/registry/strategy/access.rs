//! Roles and bindings.

use essaim_schema::FieldError;
use serde_json::{Value, json};

use crate::{
    catalogue::RBAC_GROUP,
    registry::object::{as_map, texts, top},
};

/// Fills in the groups that everybody leaves out.
pub(super) fn prepare_binding(object: &mut Value) {
    let fields = as_map(object);
    if let Some(role) = fields.get_mut("roleRef").filter(|role| top(role, "apiGroup").is_empty()) {
        as_map(role).insert("apiGroup".into(), RBAC_GROUP.into());
    }
    for subject in fields.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        if matches!(top(subject, "kind"), "User" | "Group") && top(subject, "apiGroup").is_empty() {
            as_map(subject).insert("apiGroup".into(), RBAC_GROUP.into());
        }
    }
}

/// A rule is about resources or about other paths, and says what may be done there.
pub(super) fn validate_role(object: &Value, namespaced: bool) -> Vec<FieldError> {
    let rules = object.get("rules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    rules.iter().enumerate().flat_map(|(at, one)| rule(one, &format!("rules[{at}]"), namespaced)).collect()
}

fn rule(rule: &Value, path: &str, namespaced: bool) -> Vec<FieldError> {
    let empty = |field: &str| texts(rule.get(field)).is_empty();
    let mut errors = Vec::new();
    let mut required = |field: &str, detail: &str| {
        if empty(field) {
            errors.push(FieldError::required(format!("{path}.{field}"), detail));
        }
    };
    required("verbs", "verbs must contain at least one value");
    if empty("nonResourceURLs") {
        required("apiGroups", "resource rules must supply at least one api group");
        required("resources", "resource rules must supply at least one resource");
        return errors;
    }
    let mut refuse = |detail: &str| {
        let given = rule.get("nonResourceURLs").unwrap_or(&Value::Null);
        errors.push(FieldError::invalid(format!("{path}.nonResourceURLs"), given, detail));
    };
    if namespaced {
        refuse("namespaced rules cannot apply to non-resource URLs");
    }
    if !["apiGroups", "resources", "resourceNames"].into_iter().all(empty) {
        refuse("rules cannot apply to both regular resources and non-resource URLs");
    }
    errors
}

pub(super) fn validate_binding(object: &Value, live: Option<&Value>, kind: &str) -> Vec<FieldError> {
    let empty = json!({});
    let role = object.get("roleRef").unwrap_or(&empty);
    let mut errors = Vec::new();
    let kinds: &[Value] = &[json!("ClusterRole"), json!("Role")];
    let kinds = if kind == "RoleBinding" { kinds } else { &kinds[..1] };
    let role_kind = role.get("kind").unwrap_or(&Value::Null);
    if !kinds.contains(role_kind) {
        errors.push(FieldError::not_supported("roleRef.kind", role_kind, kinds));
    }
    if top(role, "apiGroup") != RBAC_GROUP {
        errors.push(FieldError::not_supported("roleRef.apiGroup", &json!(top(role, "apiGroup")), &[json!(RBAC_GROUP)]));
    }
    if top(role, "name").is_empty() {
        errors.push(FieldError::required("roleRef.name", ""));
    }
    let subjects = object.get("subjects").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    errors.extend(subjects.iter().enumerate().flat_map(|(at, one)| subject(one, &format!("subjects[{at}]"), kind)));
    if live.is_some_and(|live| live.get("roleRef") != object.get("roleRef")) {
        errors.push(FieldError::invalid("roleRef", role, "cannot change roleRef"));
    }
    errors
}

fn subject(subject: &Value, path: &str, binding: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if top(subject, "name").is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    }
    match top(subject, "kind") {
        "ServiceAccount" if binding == "ClusterRoleBinding" && top(subject, "namespace").is_empty() => {
            errors.push(FieldError::required(format!("{path}.namespace"), ""));
        }
        "ServiceAccount" | "User" | "Group" => {}
        other => {
            let kinds = [json!("ServiceAccount"), json!("User"), json!("Group")];
            errors.push(FieldError::not_supported(format!("{path}.kind"), &json!(other), &kinds));
        }
    }
    errors
}
