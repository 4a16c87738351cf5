//! `metadata.managedFields`: every write records who owns what it set.

use essaim_structured_merge::{self as merge, Applied, ApplyContext, Conflict, UpdateContext};
use serde_json::Value;

use super::{Part, WriteOptions, conversion::Views};
use crate::{ApiError, catalogue::Resource, error::Cause, heavy};

/// The longest name of a field manager.
const MANAGER_BYTES: usize = 128;

/// What an ordinary write leaves in `managedFields`.
pub(super) fn record(
    resource: &Resource,
    part: Part,
    options: &WriteOptions,
    live: Option<&Value>,
    new: &Value,
    now: &str,
    views: &Views,
) -> Result<Value, ApiError> {
    let known: Vec<&str> = resource.served_api_versions.iter().map(String::as_str).collect();
    let manager = if options.field_manager.is_empty() { "unknown" } else { &options.field_manager };
    let context = UpdateContext {
        manager,
        api_version: &resource.api_version(),
        subresource: part.subresource(),
        now,
        schema: &resource.merge_schema,
        reset_fields: reset_fields(resource, part),
        known_versions: &known,
    };
    heavy::run(heavy::weight(new), || merge::update_across(live, new, &context, views)).map_err(refusal)
}

/// Merges what a manager wants into what stands there.
pub(super) fn apply(
    resource: &Resource,
    part: Part,
    options: &WriteOptions,
    live: Option<&Value>,
    wanted: &Value,
    now: &str,
    views: &Views,
) -> Result<Applied, ApiError> {
    let known: Vec<&str> = resource.served_api_versions.iter().map(String::as_str).collect();
    let context = ApplyContext {
        manager: &options.field_manager,
        api_version: &resource.api_version(),
        subresource: part.subresource(),
        now,
        force: options.force,
        schema: &resource.merge_schema,
        reset_fields: reset_fields(resource, part),
        known_versions: &known,
    };
    heavy::run(heavy::weight(wanted), || merge::apply_across(live, wanted, &context, views)).map_err(refusal)
}

/// Refuses names that Kubernetes refuses.
pub(super) fn check_name(manager: &str) -> Result<(), ApiError> {
    let wrong = if manager.len() > MANAGER_BYTES {
        format!("Invalid value: {manager:?}: may not be more than {MANAGER_BYTES} bytes")
    } else if manager.chars().any(char::is_control) {
        format!("Invalid value: {manager:?}: should only contain printable characters")
    } else {
        return Ok(());
    };
    Err(options_refusal("FieldValueInvalid", wrong))
}

fn reset_fields(resource: &Resource, part: Part) -> &'static [&'static str] {
    match part {
        Part::Status => &["metadata", "spec"],
        Part::Main if resource.has_status => &["status"],
        Part::Main | Part::Scale => &[],
    }
}

fn refusal(error: merge::Error) -> ApiError {
    let message = error.to_string();
    match error {
        merge::Error::Conflicts(conflicts) => {
            let mut answer = ApiError::new(409, "Conflict", message);
            answer.causes = conflicts.iter().map(cause).collect();
            answer
        }
        merge::Error::ManagerRequired => {
            options_refusal("FieldValueRequired", "Required value: is required for apply patch".into())
        }
        _ => ApiError::bad_request(message),
    }
}

fn cause(conflict: &Conflict) -> Cause {
    Cause { reason: "FieldManagerConflict".into(), message: conflict.message(), field: conflict.path.to_string() }
}

fn options_refusal(reason: &str, message: String) -> ApiError {
    let cause = Cause { reason: reason.into(), message, field: "fieldManager".into() };
    ApiError::invalid("meta.k8s.io", "PatchOptions", "", vec![cause])
}
