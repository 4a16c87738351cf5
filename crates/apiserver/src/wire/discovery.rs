//! Discovery: which groups, versions and resources exist. Two dialects: the older one answers piece by piece, the
//! aggregated one in two documents.

mod aggregated;
mod legacy;

use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use crate::{
    ApiError,
    catalogue::Table,
    wire::{
        negotiate::{Form, Offer, negotiate},
        output::{self, Style},
        path::Discovery,
        query::Query,
    },
};

/// Answers a request for discovery.
pub(crate) fn respond(
    table: &Table,
    wanted: &Discovery,
    headers: &HeaderMap,
    query: &Query,
) -> Result<Response, ApiError> {
    let offer = if matches!(wanted, Discovery::Core | Discovery::Groups) { Offer::Discovery } else { Offer::Document };
    let style = Style::new(negotiate(headers, offer)?, query, headers)?;
    let (document, media_type) = match (wanted, &style.wanted.form) {
        (Discovery::Core, Form::Discovery(version)) => (aggregated::core(table, version), Some(*version)),
        (Discovery::Groups, Form::Discovery(version)) => (aggregated::groups(table, version), Some(*version)),
        (Discovery::Core, _) => (legacy::core(), None),
        (Discovery::Groups, _) => (legacy::groups(table), None),
        (Discovery::Group(group), _) => (legacy::group(table, group).ok_or_else(ApiError::no_such_path)?, None),
        (Discovery::Version(group, version), _) => {
            (legacy::resources(table, group, version).ok_or_else(ApiError::no_such_path)?, None)
        }
    };
    tagged(&document, media_type, headers, &style)
}

/// The document with its tag, or 304 if the client has it.
fn tagged(
    document: &Value,
    aggregated: Option<&str>,
    headers: &HeaderMap,
    style: &Style,
) -> Result<Response, ApiError> {
    let mut response = output::write(StatusCode::OK, document, style)?;
    if let Some(version) = aggregated {
        let media_type = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        response.headers_mut().insert(header::CONTENT_TYPE, header_value(&media_type)?);
    }
    let tag = format!("\"{}\"", hex::encode_upper(Sha512::digest(document.to_string())));
    Ok(with_tag(response, &tag, headers))
}

/// Marks a document that may be kept; empties it if the client has it already.
pub(crate) fn with_tag(mut response: Response, tag: &str, asked: &HeaderMap) -> Response {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if known.flat_map(|list| list.split(',')).any(|one| one.trim().trim_start_matches("W/") == tag) {
        response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    response
}

fn header_value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(ApiError::internal)
}
