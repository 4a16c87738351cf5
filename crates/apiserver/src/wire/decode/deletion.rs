//! `DeleteOptions`, as a body or as parameters. What is not understood deletes nothing.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::object;
use crate::{
    ApiError,
    registry::DeleteOptions,
    wire::query::{Query, propagation, unsupported},
};

/// The fields that have a meaning here; others are ignored, as Kubernetes does.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    api_version: Option<String>,
    kind: Option<String>,
    /// Read for its type only: nothing here has a grace period.
    #[serde(rename = "gracePeriodSeconds")]
    _grace_period_seconds: Option<i64>,
    preconditions: Option<Preconditions>,
    orphan_dependents: Option<bool>,
    propagation_policy: Option<String>,
    dry_run: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// Reads `DeleteOptions` from the body, or from the query when the body is empty. Clients name them in the version of the
/// resource, of which `served` are there, or in a general one.
pub(crate) fn delete_options(
    headers: &HeaderMap,
    bytes: &[u8],
    query: &Query,
    served: &[String],
) -> Result<DeleteOptions, ApiError> {
    let from_query = DeleteOptions {
        propagation_policy: query.propagation_policy()?,
        dry_run: query.dry_run()?,
        ..DeleteOptions::default()
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(from_query);
    }
    let options = read(object(headers, bytes)?.value, served)?;
    let preconditions = options.preconditions.unwrap_or_default();
    let dry_run = options.dry_run.unwrap_or_default();
    if let Some(other) = dry_run.iter().find(|value| *value != "All") {
        return Err(unsupported("dryRun", other, &["All"]));
    }
    let policy = propagation(options.propagation_policy.as_deref(), options.orphan_dependents)?;
    Ok(DeleteOptions {
        propagation_policy: policy.or(from_query.propagation_policy),
        uid: preconditions.uid,
        resource_version: preconditions.resource_version,
        dry_run: !dry_run.is_empty() || from_query.dry_run,
        ..from_query
    })
}

fn read(body: Value, served: &[String]) -> Result<Options, ApiError> {
    // A list would be read as the fields in their order.
    if !body.is_object() {
        return Err(ApiError::bad_request("the body of a DELETE must be an object of kind DeleteOptions"));
    }
    let options: Options = serde_json::from_value(body)
        .map_err(|error| ApiError::bad_request(format!("the DeleteOptions cannot be read: {error}")))?;
    let kind = options.kind.as_deref().unwrap_or_default();
    let version = options.api_version.as_deref().unwrap_or_default();
    let known = matches!(version, "" | "v1" | "meta.k8s.io/v1") || served.iter().any(|one| one == version);
    if !matches!(kind, "" | "DeleteOptions") || !known {
        return Err(ApiError::bad_request(format!("{kind} in version {version:?} cannot be handled as DeleteOptions")));
    }
    Ok(options)
}
