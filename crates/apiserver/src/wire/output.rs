//! Answers: objects, lists, Status, and the headers that go with them.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

mod list_text;

use crate::{
    ApiError,
    catalogue::Resource,
    registry::{List, Presented},
    wire::{
        decode,
        negotiate::{Form, Format, Wanted},
        query::Query,
        table::{self, IncludeObject},
    },
};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// A warning header longer than this is cut off by clients.
const WARNING_LIMIT: usize = 256;
/// All warnings of an answer together, as in Kubernetes: a body can hold any number of unknown fields.
const WARNINGS_LIMIT: usize = 4096;

/// How this request wants its answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Style {
    pub(crate) wanted: Wanted,
    /// Indented, for people.
    pub(crate) pretty: bool,
    /// What stands in the rows of a Table.
    pub(crate) include_object: IncludeObject,
}

impl Style {
    /// `pretty` if asked for; without a word, for the programs that show answers to people.
    pub(crate) fn new(wanted: Wanted, query: &Query, headers: &HeaderMap) -> Result<Self, ApiError> {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let for_people = ["curl", "Wget", "Mozilla"].iter().any(|name| agent.starts_with(name));
        let pretty = query.optional_flag("pretty").unwrap_or(for_people);
        Ok(Self { wanted, pretty, include_object: IncludeObject::parse(query.text("includeObject"))? })
    }

    /// JSON without indentation, as programs want it and as objects are stored.
    pub(crate) fn is_compact(&self) -> bool {
        self.wanted.format == Format::Json && !self.pretty
    }
}

/// One object, in the form that the client wants.
pub(crate) fn object(
    status: StatusCode,
    resource: &Resource,
    object: &Presented,
    style: &Style,
    now: jiff::Timestamp,
) -> Result<Response, ApiError> {
    match style.wanted.form {
        Form::Table(version) => {
            let table = table::Renderer::new(resource, version, style.include_object).object(&*object.value()?, now);
            write(status, &table, style)
        }
        Form::Metadata(version) => write(status, &table::partial(&*object.value()?, version), style),
        Form::Plain | Form::Discovery(_) if style.is_compact() => {
            let mut text = Vec::with_capacity(object.size_hint());
            object.write_to(&mut text);
            Ok(bytes(status, JSON, text))
        }
        Form::Plain | Form::Discovery(_) => write(status, &*object.value()?, style),
    }
}

/// A list, in the form that the client wants; its text is made while the client takes it.
pub(crate) fn list(
    resource: &Arc<Resource>,
    list: List,
    style: &Style,
    now: jiff::Timestamp,
) -> Result<Response, ApiError> {
    let media_type = if style.wanted.format == Format::Yaml { YAML } else { JSON };
    Ok(bytes(StatusCode::OK, media_type, list_text::body(resource, list, style, now)?))
}

fn list_metadata(list: &List) -> Value {
    let mut metadata = json!({"resourceVersion": list.revision.to_string()});
    if let Some(token) = &list.continue_token {
        metadata["continue"] = token.as_str().into();
    }
    if let Some(remaining) = list.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}

/// `group/version`, or only the version for core.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Any value, in the format that the client wants.
pub(crate) fn write(status: StatusCode, value: &impl Serialize, style: &Style) -> Result<Response, ApiError> {
    let (text, media_type) = match (style.wanted.format, style.pretty) {
        (Format::Yaml, _) => (decode::to_yaml(value)?.into_bytes(), YAML),
        (Format::Json, true) => (serde_json::to_vec_pretty(value).map_err(ApiError::internal)?, JSON),
        (Format::Json, false) => (serde_json::to_vec(value).map_err(ApiError::internal)?, JSON),
    };
    Ok(bytes(status, media_type, text))
}

/// A finished body.
pub(crate) fn bytes(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Plain text, such as `ok`.
pub(crate) fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = bytes(status, "text/plain; charset=utf-8", text);
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The `Status` of a failure. Always JSON: every client reads it.
pub(crate) fn failure(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = bytes(status, "application/json", error.to_status().to_string());
    if let Some(seconds) = error.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Adds one `Warning: 299` header for each warning, without control characters and cut at a sensible length, until
/// clients would have to read too much.
pub(crate) fn warn(response: &mut Response, warnings: &[String]) {
    let taken: usize = response.headers().get_all(header::WARNING).iter().map(HeaderValue::len).sum();
    let mut room = WARNINGS_LIMIT.saturating_sub(taken);
    for warning in warnings {
        let mut text: String = warning.chars().filter(|letter| !letter.is_control()).take(WARNING_LIMIT).collect();
        let Some(left) = room.checked_sub(text.len()) else { return };
        room = left;
        text = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{text}\"").as_bytes()) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

/// The name under which the request is found in the log.
pub(crate) fn identify(response: &mut Response, audit_id: &str) {
    if let Ok(value) = HeaderValue::from_str(audit_id) {
        response.headers_mut().insert(AUDIT_ID, value);
    }
}
