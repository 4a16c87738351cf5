//! Bounds of one value: enum, numbers, texts, counts.

use serde_json::Value;

use super::Errors;
use crate::node::Checks;
use crate::path::Path;
use crate::{FieldError, Reason};

pub(super) fn check(checks: &Checks, value: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(allowed) = checks.one_of_values.as_ref().filter(|allowed| !allowed.iter().any(|one| equal(one, value)))
    {
        errors.push(FieldError::not_supported(path.to_string(), value, allowed));
    }
    match value {
        Value::Number(number) => check_number(checks, number.as_f64().unwrap_or(f64::NAN), value, path, errors),
        Value::String(text) => check_text(checks, text, value, path, errors),
        Value::Array(items) => {
            let limits = (checks.min_items, checks.max_items);
            check_count(limits, items.len(), "items", value, path, errors);
        }
        Value::Object(map) => {
            let limits = (checks.min_properties, checks.max_properties);
            check_count(limits, map.len(), "properties", value, path, errors);
        }
        Value::Null | Value::Bool(_) => {}
    }
    if let Some(format) = checks.format.filter(|format| !format.admits(value)) {
        errors.type_invalid(path, format.as_str(), value);
    }
}

/// Equality in which 1 and 1.0 are the same.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

fn check_number(checks: &Checks, number: f64, value: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(bound) = checks.maximum {
        if bound.exclusive && number >= bound.value {
            errors.invalid(path, value, &format!("should be less than {}", bound.value));
        } else if number > bound.value {
            errors.invalid(path, value, &format!("should be less than or equal to {}", bound.value));
        }
    }
    if let Some(bound) = checks.minimum {
        if bound.exclusive && number <= bound.value {
            errors.invalid(path, value, &format!("should be greater than {}", bound.value));
        } else if number < bound.value {
            errors.invalid(path, value, &format!("should be greater than or equal to {}", bound.value));
        }
    }
    if let Some(factor) = checks.multiple_of {
        let ratio = number / factor;
        if (ratio - ratio.round()).abs() > 1e-9 * ratio.abs().max(1.0) {
            errors.invalid(path, value, &format!("should be a multiple of {factor}"));
        }
    }
}

fn check_text(checks: &Checks, text: &str, value: &Value, path: &Path<'_>, errors: &mut Errors) {
    if checks.min_length.is_some() || checks.max_length.is_some() {
        let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        if let Some(max) = checks.max_length.filter(|max| length > *max) {
            let detail = format!("may not be more than {max} bytes");
            errors.push(FieldError { reason: Reason::TooLong, path: path.to_string(), bad_value: None, detail });
        }
        if let Some(min) = checks.min_length.filter(|min| length < *min) {
            errors.invalid(path, value, &format!("should be at least {min} chars long"));
        }
    }
    if checks.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
        errors.invalid(path, value, &format!("should match '{}'", checks.pattern_text));
    }
}

type Limits = (Option<u64>, Option<u64>);

fn check_count((min, max): Limits, count: usize, what: &str, value: &Value, path: &Path<'_>, errors: &mut Errors) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    if let Some(max) = max.filter(|max| count > *max) {
        let detail = format!("must have at most {max} {}", if what == "items" && max == 1 { "item" } else { what });
        errors.push(FieldError {
            reason: Reason::TooMany,
            path: path.to_string(),
            bad_value: Some(count.into()),
            detail,
        });
    }
    if let Some(min) = min.filter(|min| count < *min) {
        errors.invalid(path, value, &format!("should have at least {min} {what}"));
    }
}
