//! RoleBinding and ClusterRoleBinding.

use essaim_schema::FieldError;
use serde_json::{Value, json};

use crate::{
    catalogue::RBAC_GROUP,
    registry::object::{as_map, top},
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
