//! `allOf`, `anyOf`, `oneOf` and `not`.

use serde_json::Value;

use super::{Errors, check as check_node};
use crate::FieldError;
use crate::node::{Junctors, Node};
use crate::path::Path;

pub(super) fn check(junctors: &Junctors, value: &Value, path: &Path<'_>, errors: &mut Errors) {
    all_of(&junctors.all_of, value, path, errors);
    any_of(&junctors.any_of, value, path, errors);
    one_of(&junctors.one_of, value, path, errors);
    let forbidden = junctors.not.as_deref().is_some_and(|condition| failures(condition, value, path).is_empty());
    if forbidden {
        errors.invalid(path, value, "must not validate the schema (not)");
    }
}

fn all_of(conditions: &[Node], value: &Value, path: &Path<'_>, errors: &mut Errors) {
    let failed: Vec<FieldError> = conditions.iter().flat_map(|condition| failures(condition, value, path)).collect();
    if !failed.is_empty() {
        errors.invalid(path, value, "must validate all the schemas (allOf)");
        errors.extend(failed);
    }
}

fn any_of(conditions: &[Node], value: &Value, path: &Path<'_>, errors: &mut Errors) {
    let outcomes = outcomes(conditions, value, path);
    if outcomes.is_empty() || outcomes.iter().any(Vec::is_empty) {
        return;
    }
    errors.invalid(path, value, "must validate at least one schema (anyOf)");
    errors.extend(shortest(outcomes));
}

fn one_of(conditions: &[Node], value: &Value, path: &Path<'_>, errors: &mut Errors) {
    let outcomes = outcomes(conditions, value, path);
    let valid = outcomes.iter().filter(|failed| failed.is_empty()).count();
    if outcomes.is_empty() || valid == 1 {
        return;
    }
    if valid > 1 {
        let words = format!("must validate one and only one schema (oneOf). Found {valid} valid alternatives");
        errors.invalid(path, value, &words);
        return;
    }
    errors.invalid(path, value, "must validate one and only one schema (oneOf). Found none valid");
    errors.extend(shortest(outcomes));
}

/// The failures of each condition, every condition looked at once: conditions nest, and looking twice would double the work
/// at each level.
fn outcomes(conditions: &[Node], value: &Value, path: &Path<'_>) -> Vec<Vec<FieldError>> {
    conditions.iter().map(|condition| failures(condition, value, path)).collect()
}

/// The failures of the condition that came closest.
fn shortest(outcomes: Vec<Vec<FieldError>>) -> Vec<FieldError> {
    outcomes.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

fn failures(condition: &Node, value: &Value, path: &Path<'_>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    check_node(condition, value, None, path, &mut errors);
    errors.list
}
