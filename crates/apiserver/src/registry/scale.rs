//! `/scale`: the two numbers of an object, in the form that every scaler knows.

use serde_json::{Value, json};

use super::{
    Written,
    object::{meta, metadata_mut, set_meta, top},
};
use crate::{ApiError, catalogue::Resource, error::Cause};

const API_VERSION: &str = "autoscaling/v1";

/// The scale of an object.
pub(super) fn of(object: &Value, resource: &Resource) -> Result<Value, ApiError> {
    let paths = resource.scale.as_ref().ok_or_else(ApiError::no_such_path)?;
    if number(object, &paths.spec_replicas).is_none() {
        let path = paths.spec_replicas.names().join(".");
        return Err(ApiError::new(500, "InternalError", format!("the spec replicas field \".{path}\" does not exist")));
    }
    to_change(object, resource)
}

/// The scale of an object as a patch finds it: replicas that are not set are none, so that they can be.
pub(super) fn to_change(object: &Value, resource: &Resource) -> Result<Value, ApiError> {
    let paths = resource.scale.as_ref().ok_or_else(ApiError::no_such_path)?;
    let number = |path| number(object, path).unwrap_or(0);
    let mut scale = json!({
        "kind": "Scale", "apiVersion": API_VERSION,
        "metadata": {"name": meta(object, "name")},
        "spec": {"replicas": number(&paths.spec_replicas)},
        "status": {"replicas": number(&paths.status_replicas)},
    });
    for field in ["namespace", "uid", "resourceVersion", "creationTimestamp"] {
        let value = meta(object, field);
        if !value.is_empty() {
            set_meta(&mut scale, field, value);
        }
    }
    let selector = paths.label_selector.as_ref().and_then(|path| path.get(object)).and_then(Value::as_str);
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        scale["status"]["selector"] = selector.into();
    }
    Ok(scale)
}

/// The whole number at a path; objects stored long ago may have it as a float.
fn number(object: &Value, path: &essaim_schema::FieldPath) -> Option<i64> {
    path.get(object).and_then(|value| value.as_i64().or_else(|| essaim_schema::whole(value.as_f64()?)))
}

impl Written {
    /// The answer to a write of the scale.
    pub(super) fn scale(self, resource: &Resource) -> Result<Self, ApiError> {
        let scale = of(&*self.object.value()?, resource)?;
        Ok(Self { object: scale.into(), ..self })
    }
}

/// The object with the number that a scale wants, and the preconditions that it names.
pub(super) fn into_object(live: &Value, scale: &Value, resource: &Resource) -> Result<Value, ApiError> {
    let paths = resource.scale.as_ref().ok_or_else(ApiError::no_such_path)?;
    if !matches!(top(scale, "kind"), "" | "Scale") || !matches!(top(scale, "apiVersion"), "" | API_VERSION) {
        let given = format!("{} in version {:?}", top(scale, "kind"), top(scale, "apiVersion"));
        return Err(ApiError::bad_request(format!("{given} cannot be handled as a Scale")));
    }
    let given = meta(scale, "name");
    if !given.is_empty() && given != meta(live, "name") {
        let name = meta(live, "name");
        return Err(ApiError::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    let (given, namespace) = (meta(scale, "namespace"), meta(live, "namespace"));
    if !given.is_empty() && given != namespace {
        return Err(ApiError::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request: {given:?}, {namespace:?}"
        )));
    }
    let replicas = match scale.get("spec").and_then(|spec| spec.get("replicas")) {
        None | Some(Value::Null) => 0,
        Some(value) => value.as_i64().ok_or_else(|| ApiError::bad_request("spec.replicas must be a whole number"))?,
    };
    if replicas < 0 {
        let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        let cause = Cause { reason: "FieldValueInvalid".into(), message, field: "spec.replicas".into() };
        return Err(ApiError::invalid("autoscaling", "Scale", meta(live, "name"), vec![cause]));
    }
    let mut object = live.clone();
    let metadata = metadata_mut(&mut object);
    metadata.remove("resourceVersion");
    for field in ["resourceVersion", "uid"] {
        let value = meta(scale, field);
        if !value.is_empty() {
            metadata.insert(field.into(), value.into());
        }
    }
    if !paths.spec_replicas.set(&mut object, replicas.into()) {
        return Err(ApiError::internal("the object has no place for its replicas"));
    }
    Ok(object)
}

/// What a server-side apply of a scale wants of the object itself.
pub(super) fn applied(live: &Value, scale: &Value, resource: &Resource) -> Result<Value, ApiError> {
    let paths = resource.scale.as_ref().ok_or_else(ApiError::no_such_path)?;
    let mut wanted = json!({
        "apiVersion": resource.api_version(), "kind": resource.kind, "metadata": {"name": meta(live, "name")},
    });
    if let Some(replicas) = scale.get("spec").and_then(|spec| spec.get("replicas")) {
        paths.spec_replicas.set(&mut wanted, replicas.clone());
    }
    Ok(wanted)
}
