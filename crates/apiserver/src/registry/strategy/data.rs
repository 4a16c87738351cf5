//! ConfigMap and Secret.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use essaim_schema::{FieldError, Reason};
use serde_json::{Map, Value};

use crate::{
    ApiError,
    registry::object::{as_map, map_at, top},
};

/// The most that the values of one object may take together.
const DATA_BYTES: usize = 1024 * 1024;

/// Moves `stringData` into `data`, and refuses what is not base64.
pub(super) fn prepare_secret(object: &mut Value) -> Result<(), ApiError> {
    if let Some(Value::Object(texts)) = as_map(object).remove("stringData") {
        let data = map_at(object, "data");
        for (key, text) in texts {
            data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
        }
    }
    if top(object, "type").is_empty() {
        as_map(object).insert("type".into(), "Opaque".into());
    }
    for (key, value) in entries(object, "data") {
        if value.as_str().is_none_or(|text| STANDARD.decode(text).is_err()) {
            return Err(ApiError::bad_request(format!("the object cannot be read: data.{key} is not base64")));
        }
    }
    Ok(())
}

pub(super) fn validate_secret(object: &Value, live: Option<&Value>) -> Vec<FieldError> {
    let mut errors = keys(object, "data");
    errors.extend(too_large(&[object.get("data")], "data"));
    errors.extend(missing(object));
    if let Some(live) = live {
        if top(live, "type") != top(object, "type") {
            errors.push(FieldError::invalid("type", &Value::from(top(object, "type")), "field is immutable"));
        }
        errors.extend(immutable(object, live, &["data"]));
    }
    errors
}

/// What the type of a secret promises to whoever reads it.
fn missing(secret: &Value) -> Vec<FieldError> {
    let value = |key: &str| secret.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
    let required = |key: &&str| FieldError::required(format!("data[{key}]"), "");
    match top(secret, "type") {
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].iter().filter(|key| value(key).is_none()).map(required).collect(),
        "kubernetes.io/ssh-auth" => {
            ["ssh-privatekey"].iter().filter(|key| value(key).is_none_or(str::is_empty)).map(required).collect()
        }
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            ["username", "password"].iter().map(required).collect()
        }
        "kubernetes.io/dockercfg" => json_at(".dockercfg", value(".dockercfg")),
        "kubernetes.io/dockerconfigjson" => json_at(".dockerconfigjson", value(".dockerconfigjson")),
        "kubernetes.io/service-account-token" => {
            let name = "kubernetes.io/service-account.name";
            let annotations = secret.get("metadata").and_then(|metadata| metadata.get("annotations"));
            let given = annotations.and_then(|annotations| annotations.get(name)).and_then(Value::as_str);
            let path = format!("metadata.annotations[{name}]");
            given.is_none_or(str::is_empty).then(|| FieldError::required(path, "")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The value must be there, and be JSON. An error does not show it.
fn json_at(key: &str, value: Option<&str>) -> Vec<FieldError> {
    let path = format!("data[{key}]");
    let Some(value) = value else { return vec![FieldError::required(path, "")] };
    let readable = STANDARD.decode(value).is_ok_and(|bytes| serde_json::from_slice::<Value>(&bytes).is_ok());
    let error = || FieldError::invalid(path, &Value::from("<secret contents redacted>"), "must be JSON");
    (!readable).then(error).into_iter().collect()
}

pub(super) fn validate_config_map(object: &Value, live: Option<&Value>) -> Vec<FieldError> {
    let mut errors = keys(object, "data");
    errors.extend(keys(object, "binaryData"));
    for (key, _) in entries(object, "binaryData") {
        if object.get("data").is_some_and(|data| data.get(key).is_some()) {
            errors.push(FieldError::invalid(
                "data",
                &Value::from(key.as_str()),
                format!("duplicate of key present in binaryData: {key:?}"),
            ));
        }
    }
    errors.extend(too_large(&[object.get("data"), object.get("binaryData")], ""));
    if let Some(live) = live {
        errors.extend(immutable(object, live, &["data", "binaryData"]));
    }
    errors
}

fn entries<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(field).and_then(Value::as_object).into_iter().flatten()
}

/// Keys become file names.
fn keys(object: &Value, field: &str) -> Vec<FieldError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let good = |key: &str| {
        !key.is_empty() && key.len() <= 253 && key.chars().all(plain) && key != "." && !key.starts_with("..")
    };
    let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or \
                  'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let bad = entries(object, field).filter(|(key, _)| !good(key));
    bad.map(|(key, _)| FieldError::invalid(format!("{field}[{key}]"), &Value::from(key.as_str()), detail)).collect()
}

fn too_large(maps: &[Option<&Value>], path: &str) -> Option<FieldError> {
    let maps = maps.iter().filter_map(|map| map.and_then(Value::as_object));
    let bytes: usize = maps.flat_map(Map::values).filter_map(Value::as_str).map(str::len).sum();
    (bytes > DATA_BYTES).then(|| FieldError {
        reason: Reason::TooLong,
        path: path.into(),
        bad_value: None,
        detail: format!("may not be more than {DATA_BYTES} bytes"),
    })
}

/// `immutable: true` holds for good.
fn immutable(object: &Value, live: &Value, fields: &[&str]) -> Vec<FieldError> {
    let frozen = |object: &Value| object.get("immutable").and_then(Value::as_bool).unwrap_or(false);
    if !frozen(live) {
        return Vec::new();
    }
    let thawed = (!frozen(object)).then_some("immutable");
    let changed = fields.iter().copied().filter(|field| object.get(field) != live.get(field));
    let detail = "field is immutable when `immutable` is set";
    thawed.into_iter().chain(changed).map(|field| FieldError::forbidden(field, detail)).collect()
}
