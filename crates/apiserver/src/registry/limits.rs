//! How large an object may be.

use essaim_schema::FieldError;
use serde_json::Value;

use crate::ApiError;

/// The largest object that clients may write: what etcd takes in one request, less what is around the object there, what
/// seals it, and what the server itself writes into it later (a deletion, its finalizers, conditions), which must not fail.
/// The fields that say who owns what count as the rest does.
pub(super) const OBJECT_BYTES: usize = (1_536 - 16) * 1024;
/// The most that all annotations of an object may take together.
const ANNOTATION_BYTES: usize = 256 * 1024;
/// The deepest nesting: parsers stop at 128, and what was written must be readable again.
const DEPTH: usize = 100;

/// Refuses a body that nests too deeply, before anything walks it.
pub(super) fn check_depth(value: &Value) -> Result<(), ApiError> {
    check_depth_below(0, value)
}

/// Refuses a value that would nest too deeply so many levels below the top.
pub(super) fn check_depth_below(levels: usize, value: &Value) -> Result<(), ApiError> {
    if is_deeper(value, DEPTH.saturating_sub(levels)) {
        return Err(ApiError::bad_request(format!("the object is nested deeper than {DEPTH} levels")));
    }
    Ok(())
}

fn is_deeper(value: &Value, limit: usize) -> bool {
    let Some(below) = limit.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, below)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, below)),
        _ => false,
    }
}

/// Refuses an object that is too large to store.
pub(super) fn check_size(bytes: usize) -> Result<(), ApiError> {
    if bytes > OBJECT_BYTES {
        let message = format!("the object is larger than the limit of {OBJECT_BYTES} bytes: it has {bytes}");
        return Err(ApiError::new(413, "RequestEntityTooLarge", message));
    }
    Ok(())
}

/// What is wrong with the size of the annotations.
pub(super) fn annotations(annotations: Option<&Value>) -> Option<FieldError> {
    let annotations = annotations.and_then(Value::as_object).into_iter().flatten();
    let bytes: usize = annotations.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    (bytes > ANNOTATION_BYTES).then(|| FieldError {
        reason: essaim_schema::Reason::TooLong,
        path: "metadata.annotations".into(),
        bad_value: None,
        detail: format!("may not be more than {ANNOTATION_BYTES} bytes"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{annotations, check_depth, check_size};

    #[test]
    fn limits_hold() {
        let nested = |depth| (0..depth).fold(Value::Null, |inner, _| json!([inner]));
        assert!(check_depth(&nested(98)).is_ok());
        assert_eq!(check_depth(&nested(120)).unwrap_err().code, 400);
        assert_eq!(check_size(2_000_000).unwrap_err().code, 413);
        assert!(annotations(Some(&json!({"a": "x".repeat(300_000)}))).is_some());
        assert!(annotations(Some(&json!({"a": "x"}))).is_none());
    }
}
