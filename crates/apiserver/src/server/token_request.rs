//! `POST …/serviceaccounts/NAME/token`: a token for a service account.

use axum::{body::Body, response::Response};
use http::{Method, StatusCode, request::Parts};

use super::{attributes::method_not_allowed, service::Service};
use crate::{
    ApiError,
    wire::{
        decode,
        negotiate::{Offer, negotiate},
        output::{self, Style},
        path::ResourcePath,
        query::Query,
    },
};

/// Whether the path asks for a token.
pub(super) fn is_meant(path: &ResourcePath) -> bool {
    path.group.is_empty()
        && path.version == "v1"
        && path.resource == "serviceaccounts"
        && path.subresource.as_deref() == Some("token")
}

/// Issues the token. Nothing is stored, so that a dry run has nothing to leave out and is refused by name.
pub(super) async fn answer(
    service: &Service,
    parts: &Parts,
    query: &Query,
    path: &ResourcePath,
    body: Body,
) -> Result<Response, ApiError> {
    let (Some(namespace), Some(name)) = (&path.namespace, &path.name) else { return Err(ApiError::no_such_path()) };
    if parts.method != Method::POST {
        return Err(method_not_allowed());
    }
    if query.dry_run()? {
        return Err(ApiError::bad_request("dryRun is not supported for tokens: whoever gets one can use it"));
    }
    let style = Style::new(negotiate(&parts.headers, Offer::Objects)?, query, &parts.headers)?;
    let bytes = decode::read(body).await?;
    let request = decode::object(&parts.headers, &bytes)?.value;
    let accounts = service.accounts.as_ref().ok_or_else(|| ApiError::internal("no key for tokens could be made"))?;
    let answer = accounts.issue(namespace, name, &request, service.now()).await?;
    output::write(StatusCode::CREATED, &answer, &style)
}
