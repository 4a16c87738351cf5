//! `/openapi/v3`: an index with hashes, and one document for each group and version.
//!
//! The documents are made when first asked for after the catalogue changed, and shared until it changes again.

mod legacy;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::response::Response;
use bytes::Bytes;
use essaim_schema::openapi;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    ApiError,
    catalogue::Table,
    wire::{discovery::with_tag, output, query::Query},
};

/// One finished document.
#[derive(Debug)]
struct Document {
    hash: String,
    bytes: Bytes,
}

/// By path, such as `apis/apps/v1`.
type Documents = BTreeMap<String, Document>;

/// The documents of the newest catalogue that was asked about. A std mutex, because nothing is awaited under it.
#[derive(Debug, Default)]
pub(crate) struct OpenApi {
    made: Mutex<Option<(Arc<Table>, Arc<Documents>)>>,
}

impl OpenApi {
    /// Answers `/openapi/v3` and what is below, and the little of `/openapi/v2` that old clients need.
    pub(crate) fn respond(
        &self,
        table: &Arc<Table>,
        path: &str,
        headers: &HeaderMap,
        query: &Query,
    ) -> Result<Response, ApiError> {
        if path == "/openapi/v2" && legacy::is_accepted(headers) {
            return Ok(output::bytes(StatusCode::OK, legacy::MEDIA_TYPE, legacy::document(table)));
        }
        let documents = self.documents(table);
        match path.strip_prefix("/openapi/v3") {
            Some("") => Ok(index(&documents, headers)),
            Some(rest) => document(&documents, rest.trim_start_matches('/'), headers, query),
            None => Err(ApiError::no_such_path()),
        }
    }

    fn documents(&self, table: &Arc<Table>) -> Arc<Documents> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, documents)) = &*made
            && Arc::ptr_eq(of, table)
        {
            return documents.clone();
        }
        let documents = Arc::new(build(table));
        *made = Some((table.clone(), documents.clone()));
        documents
    }
}

fn build(table: &Table) -> Documents {
    let mut by_version: BTreeMap<(&str, &str), Vec<_>> = BTreeMap::new();
    for resource in table.resources.iter() {
        by_version.entry((&resource.group, &resource.version)).or_default().push(resource.doc());
    }
    let build = |((group, version), docs): ((&str, &str), Vec<_>)| {
        let bytes = Bytes::from(openapi::document(group, version, &docs).to_string());
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        (path, Document { hash: hex::encode_upper(Sha256::digest(&bytes)), bytes })
    };
    by_version.into_iter().map(build).collect()
}

fn index(documents: &Documents, headers: &HeaderMap) -> Response {
    let paths =
        documents.iter().map(|(path, document)| (path.clone(), json!({"serverRelativeURL": address(path, document)})));
    let body = json!({"paths": Value::Object(paths.collect())}).to_string();
    let tag = format!("\"{}\"", hex::encode_upper(Sha256::digest(&body)));
    with_tag(output::bytes(StatusCode::OK, "application/json", body), &tag, headers)
}

/// A document; a client that names an outdated hash is sent to the new one.
fn document(documents: &Documents, path: &str, headers: &HeaderMap, query: &Query) -> Result<Response, ApiError> {
    let found = documents.get(path).ok_or_else(ApiError::no_such_path)?;
    let asked = query.text("hash");
    if asked.is_some_and(|hash| !hash.eq_ignore_ascii_case(&found.hash)) {
        let mut response = output::text(StatusCode::MOVED_PERMANENTLY, "");
        let location = HeaderValue::from_str(&address(path, found)).map_err(ApiError::internal)?;
        response.headers_mut().insert(header::LOCATION, location);
        return Ok(response);
    }
    let response = output::bytes(StatusCode::OK, "application/json", found.bytes.clone());
    let mut response = with_tag(response, &format!("\"{}\"", found.hash), headers);
    if asked.is_some() {
        let forever = HeaderValue::from_static("public, immutable, max-age=31536000");
        response.headers_mut().insert(header::CACHE_CONTROL, forever);
    }
    Ok(response)
}

fn address(path: &str, document: &Document) -> String {
    format!("/openapi/v3/{path}?hash={}", document.hash)
}
