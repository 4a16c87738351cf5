//! From what a client sent to an object that can be reasoned about: the form, unknown fields, defaults.

use serde_json::Value;

use super::{
    Document, FieldValidation, Scope,
    admission::complete,
    limits, metadata,
    object::{as_map, meta, metadata_mut, set_meta, top},
};
use crate::{ApiError, catalogue::Resource, error::Cause};

/// What a write brought, and what has to be said about it.
pub(super) struct Incoming {
    pub(super) object: Value,
    /// `unknown field "spec.x"`, `duplicate field "spec.y"`.
    pub(super) complaints: Vec<String>,
}

/// Reads the body of a create or an update.
pub(super) fn body(document: Document, resource: &Resource) -> Result<Incoming, ApiError> {
    let Document { value: mut object, duplicates } = document;
    limits::check_depth(&object)?;
    check_kind(&mut object, resource)?;
    let unknown = tidy(&mut object, resource)?;
    let duplicates = duplicates.iter().map(|path| format!("duplicate field {path:?}"));
    Ok(Incoming { object, complaints: unknown.into_iter().chain(duplicates).collect() })
}

/// Brings an object into its canonical form: known fields only, no nulls, defaults. Gives a complaint per unknown field.
pub(super) fn tidy(object: &mut Value, resource: &Resource) -> Result<Vec<String>, ApiError> {
    let mut unknown = metadata::check_form(object)?;
    metadata::drop_duplicates(object);
    if resource.built_in && matches!(resource.kind.as_str(), "ConfigMap" | "Secret") {
        for field in ["data", "stringData", "binaryData"] {
            metadata::nulls_are_empty(object.get_mut(field));
        }
    }
    unknown.extend(complete(&resource.schema, object));
    Ok(unknown.iter().map(|path| format!("unknown field {path:?}")).collect())
}

/// The object must be of the kind and version that the path says. Built-in kinds may leave it to the path.
pub(super) fn check_kind(object: &mut Value, resource: &Resource) -> Result<(), ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request("the body must be an object"));
    }
    let (version, kind) = (resource.api_version(), resource.kind.as_str());
    match (top(object, "apiVersion"), top(object, "kind")) {
        (_, "") if !resource.built_in => Err(ApiError::bad_request("Object 'Kind' is missing in the body")),
        ("", _) if !resource.built_in => Err(ApiError::bad_request("Object 'apiVersion' is missing in the body")),
        (given, _) if !given.is_empty() && given != version => Err(ApiError::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version ({version})"
        ))),
        (_, given) if !given.is_empty() && given != kind => {
            Err(ApiError::bad_request(format!("{given} in version {version:?} cannot be handled as a {kind}")))
        }
        _ => {
            let fields = as_map(object);
            fields.insert("apiVersion".into(), version.into());
            fields.insert("kind".into(), kind.into());
            Ok(())
        }
    }
}

/// The namespace of the object must be that of the path; an object that does not say gets it, and one that is in none loses it.
pub(super) fn check_namespace(object: &mut Value, scope: &Scope) -> Result<(), ApiError> {
    let given = meta(object, "namespace");
    match &scope.namespace {
        Some(namespace) if given.is_empty() => set_meta(object, "namespace", namespace.as_str()),
        Some(namespace) if given != namespace => {
            return Err(ApiError::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request: {given:?}, {namespace:?}"
            )));
        }
        None if !given.is_empty() => drop(metadata_mut(object).remove("namespace")),
        _ => {}
    }
    Ok(())
}

/// The name of the object must be that of the path; an object that does not say gets it.
pub(super) fn check_name(object: &mut Value, name: &str) -> Result<(), ApiError> {
    match meta(object, "name") {
        "" => set_meta(object, "name", name),
        given if given != name => {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        _ => {}
    }
    Ok(())
}

/// What the complaints about a create or update lead to: a refusal, warnings, or nothing.
pub(super) fn judge(complaints: Vec<String>, validation: FieldValidation) -> Result<Vec<String>, ApiError> {
    match validation {
        FieldValidation::Strict if !complaints.is_empty() => Err(ApiError::bad_request(strict(&complaints))),
        FieldValidation::Warn => Ok(complaints),
        FieldValidation::Strict | FieldValidation::Ignore => Ok(Vec::new()),
    }
}

/// The same for a patch, which Kubernetes refuses with another code.
pub(super) fn judge_patch(
    complaints: Vec<String>,
    validation: FieldValidation,
    patch: &Value,
) -> Result<Vec<String>, ApiError> {
    if validation != FieldValidation::Strict || complaints.is_empty() {
        return judge(complaints, validation);
    }
    let message = format!("Invalid value: {:?}: {}", patch.to_string(), strict(&complaints));
    let cause = Cause { reason: "FieldValueInvalid".into(), message, field: "patch".into() };
    Err(ApiError::invalid("", "", "", vec![cause]))
}

fn strict(complaints: &[String]) -> String {
    format!("strict decoding error: {}", complaints.join(", "))
}
