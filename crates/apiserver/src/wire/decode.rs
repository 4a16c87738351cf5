//! Bodies: JSON, YAML and protobuf become JSON values, with a note of every key that stood twice.
//!
//! A missing Content-Type means JSON, since the Python client sends none. Everything that is not understood is answered
//! with 415 and the list of what is.

mod deletion;
mod protobuf;
mod value;
mod yaml;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use crate::{
    ApiError,
    registry::{Document, Patch},
};
pub(crate) use deletion::delete_options;

/// The largest body, as in Kubernetes.
pub(crate) const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// The most operations in one JSON patch, as in Kubernetes.
const JSON_PATCH_LIMIT: usize = 10_000;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// Reads the whole body, up to the limit.
pub(crate) async fn read(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(ApiError::too_large(BODY_LIMIT)),
        Err(_) => Err(ApiError::bad_request("the request body ended early")),
    }
}

/// A value from YAML that is part of the program.
pub(crate) fn from_yaml(bytes: &[u8]) -> Result<Value, ApiError> {
    yaml::document(bytes).map(|document| document.value)
}

/// Any value as YAML text.
pub(crate) fn to_yaml(value: &impl serde::Serialize) -> Result<String, ApiError> {
    yaml::to_text(value)
}

/// Reads the body of a create or an update.
pub(crate) fn object(headers: &HeaderMap, bytes: &[u8]) -> Result<Document, ApiError> {
    match media_type(headers)?.as_str() {
        "" | JSON => json(bytes),
        YAML | "application/x-yaml" | "text/yaml" => yaml::document(bytes),
        PROTOBUF => protobuf::document(bytes),
        other => Err(unsupported_media_type(other, &[JSON, YAML, PROTOBUF])),
    }
}

/// Reads the body of a PATCH; `built_in` kinds also take strategic merge patches.
pub(crate) fn patch(headers: &HeaderMap, bytes: &[u8], built_in: bool) -> Result<Patch, ApiError> {
    match media_type(headers)?.as_str() {
        JSON_PATCH => json_patch(bytes),
        MERGE_PATCH => Ok(Patch::Merge(json(bytes)?)),
        STRATEGIC_PATCH if built_in => Ok(Patch::Strategic(json(bytes)?)),
        APPLY_PATCH => Ok(Patch::Apply(json_or_yaml(bytes)?)),
        other if built_in => {
            Err(unsupported_media_type(other, &[JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH]))
        }
        other => Err(unsupported_media_type(other, &[JSON_PATCH, MERGE_PATCH, APPLY_PATCH])),
    }
}

/// Reads one JSON value that fills the whole body.
fn json(bytes: &[u8]) -> Result<Document, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let document = value::document(&mut deserializer).and_then(|document| deserializer.end().map(|()| document));
    document.map_err(|error| ApiError::bad_request(format!("error decoding the body: {error}")))
}

/// Clients send JSON as YAML, which is much faster read as JSON.
fn json_or_yaml(bytes: &[u8]) -> Result<Document, ApiError> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
        && let Ok(document) = json(bytes)
    {
        return Ok(document);
    }
    yaml::document(bytes)
}

fn json_patch(bytes: &[u8]) -> Result<Patch, ApiError> {
    let value = json(bytes)?.value;
    let count = value.as_array().map_or(0, Vec::len);
    if count > JSON_PATCH_LIMIT {
        let message = format!("the allowed maximum operations in a JSON patch is {JSON_PATCH_LIMIT}, got {count}");
        return Err(ApiError::new(413, "RequestEntityTooLarge", message));
    }
    let patch = serde_json::from_value(value);
    patch.map(Patch::Json).map_err(|error| ApiError::bad_request(format!("error decoding the JSON patch: {error}")))
}

/// The media type without its parameters, in lower case; empty if there is none.
fn media_type(headers: &HeaderMap) -> Result<String, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(String::new()) };
    let text = value.to_str().map_err(|_| ApiError::bad_request("the Content-Type is not text"))?;
    Ok(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// 415 in the words that kubectl shows.
pub(crate) fn unsupported_media_type(given: &str, supported: &[&str]) -> ApiError {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {} (sent: {given:?})",
        supported.join(", ")
    );
    ApiError::new(415, "UnsupportedMediaType", message)
}

#[cfg(test)]
mod tests;
