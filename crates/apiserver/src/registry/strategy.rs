//! What is particular about a kind: names, generations, what the server fills in and what must hold.
//!
//! Everything that a schema can say is said there; here stands the rest, for the built-in kinds.

mod access;
mod data;
mod extensions;
mod webhooks;

use essaim_schema::FieldError;
use serde_json::{Value, json};

use super::{
    names::NameRule,
    object::{as_map, copy_top, map_at, meta, metadata_mut},
};
use crate::{
    ApiError,
    catalogue::{EXTENSIONS_GROUP, RBAC_GROUP, Resource, WEBHOOKS_GROUP},
    heavy,
};

/// The label by which selectors can name a namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The finalizer of `spec.finalizers` that holds a namespace until its contents are gone.
pub(super) const NAMESPACE_FINALIZER: &str = "kubernetes";

/// The kinds with rules of their own.
enum Kind {
    Namespace,
    ConfigMap,
    Secret,
    Event,
    Lease,
    Role,
    Binding,
    Definition,
    Webhooks,
    Other,
}

fn kind(resource: &Resource) -> Kind {
    if !resource.built_in {
        return Kind::Other;
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Namespace") => Kind::Namespace,
        ("", "ConfigMap") => Kind::ConfigMap,
        ("", "Secret") => Kind::Secret,
        (_, "Event") => Kind::Event,
        (_, "Lease") => Kind::Lease,
        (RBAC_GROUP, "Role" | "ClusterRole") => Kind::Role,
        (RBAC_GROUP, "RoleBinding" | "ClusterRoleBinding") => Kind::Binding,
        (EXTENSIONS_GROUP, _) => Kind::Definition,
        (WEBHOOKS_GROUP, _) => Kind::Webhooks,
        _ => Kind::Other,
    }
}

/// What the schema has against an object.
pub(super) fn validate_schema(resource: &Resource, object: &Value, live: Option<&Value>) -> Vec<FieldError> {
    let bytes = if resource.schema.has_rules() { heavy::weight(object) } else { 0 };
    heavy::run(bytes, || resource.schema.validate(object, live))
}

/// The rule for the names of a resource's objects.
pub(super) fn name_rule(resource: &Resource) -> NameRule {
    match (resource.built_in, resource.group.as_str(), resource.kind.as_str()) {
        (true, "", "Namespace") => NameRule::Label,
        (true, RBAC_GROUP, _) => NameRule::PathSegment,
        _ => NameRule::Subdomain,
    }
}

/// Whether an update may leave out the revision that it replaces.
pub(super) fn unconditional_update(resource: &Resource) -> bool {
    resource.built_in && !matches!(kind(resource), Kind::Lease | Kind::Definition | Kind::Webhooks)
}

/// Whether `metadata.generation` counts the changes of the specification.
pub(super) fn counts_generations(resource: &Resource) -> bool {
    !resource.built_in || matches!(kind(resource), Kind::Definition | Kind::Webhooks)
}

/// Fills in what the server decides on a new object.
pub(super) fn prepare_create(mut object: Value, resource: &Resource) -> Result<Value, ApiError> {
    if resource.has_status {
        as_map(&mut object).remove("status");
    }
    if matches!(kind(resource), Kind::Namespace) {
        as_map(&mut object).insert("spec".into(), json!({"finalizers": [NAMESPACE_FINALIZER]}));
        as_map(&mut object).insert("status".into(), json!({"phase": "Active"}));
    }
    prepare(object, resource)
}

/// Puts back what an update cannot change.
pub(super) fn prepare_update(mut object: Value, live: &Value, resource: &Resource) -> Result<Value, ApiError> {
    if matches!(kind(resource), Kind::Namespace) {
        copy_top(&mut object, "spec", live);
    }
    prepare(object, resource)
}

fn prepare(mut object: Value, resource: &Resource) -> Result<Value, ApiError> {
    match kind(resource) {
        Kind::Namespace => {
            let name = meta(&object, "name").to_owned();
            let labels = metadata_mut(&mut object).entry("labels").or_insert_with(|| json!({}));
            as_map(labels).insert(NAME_LABEL.into(), name.into());
        }
        Kind::Secret => data::prepare_secret(&mut object)?,
        Kind::Binding => access::prepare_binding(&mut object),
        Kind::Definition => extensions::prepare(&mut object),
        Kind::ConfigMap | Kind::Event | Kind::Lease | Kind::Role | Kind::Webhooks | Kind::Other => {}
    }
    Ok(object)
}

/// What is wrong with an object beyond its schema and metadata.
pub(super) fn validate(object: &Value, live: Option<&Value>, resource: &Resource) -> Vec<FieldError> {
    match kind(resource) {
        Kind::ConfigMap => data::validate_config_map(object, live),
        Kind::Secret => data::validate_secret(object, live),
        Kind::Event => validate_event(object),
        Kind::Lease => validate_lease(object),
        Kind::Role => access::validate_role(object, resource.namespaced),
        Kind::Binding => access::validate_binding(object, live, &resource.kind),
        Kind::Definition => extensions::validate(object, live),
        Kind::Webhooks => webhooks::validate(object),
        Kind::Namespace | Kind::Other => Vec::new(),
    }
}

/// Marks what else shows a deletion than the timestamp.
pub(super) fn mark_deleted(object: &mut Value, resource: &Resource, now: &str) {
    match kind(resource) {
        Kind::Namespace => drop(map_at(object, "status").insert("phase".into(), "Terminating".into())),
        Kind::Definition => extensions::mark_deleted(object, now),
        _ => {}
    }
}

/// An event lies in the namespace of what it is about, or in `default` if that has none.
fn validate_event(object: &Value) -> Vec<FieldError> {
    let subject = if object.get("involvedObject").is_some() { "involvedObject" } else { "regarding" };
    let about =
        object.get(subject).and_then(|subject| subject.get("namespace")).and_then(Value::as_str).unwrap_or_default();
    let namespace = meta(object, "namespace");
    if about == namespace || about.is_empty() && matches!(namespace, "default" | "kube-system") {
        return Vec::new();
    }
    vec![FieldError::invalid(format!("{subject}.namespace"), &Value::from(about), "does not match event.namespace")]
}

fn validate_lease(object: &Value) -> Vec<FieldError> {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let number = |field: &str| spec.get(field).and_then(Value::as_i64);
    let mut errors = Vec::new();
    if let Some(seconds) = number("leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        errors.push(FieldError::invalid("spec.leaseDurationSeconds", &seconds.into(), "must be greater than 0"));
    }
    if let Some(count) = number("leaseTransitions").filter(|count| *count < 0) {
        errors.push(FieldError::invalid("spec.leaseTransitions", &count.into(), "must be greater than or equal to 0"));
    }
    errors
}
