//! ValidatingWebhookConfiguration: what must hold for webhooks that can be called. The words are those of Kubernetes.

mod rules;

use std::collections::HashSet;

use essaim_schema::{Condition, FieldError, Reason};
use serde_json::{Value, json};

use crate::{
    registry::{
        names::{self, qualified, subdomain},
        object::{texts, top},
    },
    webhook::{REVIEW_VERSIONS, VARIABLES, check_client_config},
};

const MOST_CONDITIONS: usize = 64;

pub(super) fn validate(object: &Value) -> Vec<FieldError> {
    let each = |(at, hook): (usize, &Value)| webhook(hook, &format!("webhooks[{at}]"));
    items(object.get("webhooks")).enumerate().flat_map(each).collect()
}

/// One webhook. That a name stands once and that fields are there says the schema.
fn webhook(hook: &Value, path: &str) -> Vec<FieldError> {
    let at = |field: &str| format!("{path}.{field}");
    let mut errors = name(top(hook, "name"), &at("name"));
    let rules = items(hook.get("rules")).enumerate();
    errors.extend(rules.flat_map(|(index, rule)| rules::rule(rule, &format!("{path}.rules[{index}]"))));
    errors.extend(one_of(hook, "failurePolicy", path, &["Fail", "Ignore"]));
    errors.extend(one_of(hook, "matchPolicy", path, &["Equivalent", "Exact"]));
    if hook.get("sideEffects").is_none() {
        errors.push(FieldError::required(at("sideEffects"), "must specify one of None, NoneOnDryRun"));
    }
    errors.extend(one_of(hook, "sideEffects", path, &["None", "NoneOnDryRun"]));
    if let Some(seconds) = hook.get("timeoutSeconds")
        && !seconds.as_i64().is_some_and(|seconds| (1..=30).contains(&seconds))
    {
        let detail = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(at("timeoutSeconds"), seconds, detail));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        errors.extend(selector(hook.get(field).unwrap_or(&Value::Null), &at(field)));
    }
    if let Some(config) = hook.get("clientConfig") {
        errors.extend(check_client_config(config, &at("clientConfig")));
    }
    errors.extend(review_versions(hook.get("admissionReviewVersions"), &at("admissionReviewVersions")));
    errors.extend(conditions(hook.get("matchConditions"), &at("matchConditions")));
    errors
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn name(name: &str, path: &str) -> Vec<FieldError> {
    let invalid = |detail: String| FieldError::invalid(path, &Value::from(name), detail);
    if name.is_empty() {
        return vec![FieldError::required(path, "")];
    }
    if let Some(wrong) = subdomain(name) {
        return vec![invalid(wrong)];
    }
    let short = name.split('.').count() < 3;
    short
        .then(|| invalid("should be a domain with at least three segments separated by dots".into()))
        .into_iter()
        .collect()
}

fn one_of(object: &Value, field: &str, path: &str, supported: &[&str]) -> Option<FieldError> {
    let given = object.get(field)?;
    let supported: Vec<Value> = supported.iter().map(|one| Value::from(*one)).collect();
    (!supported.contains(given)).then(|| FieldError::not_supported(format!("{path}.{field}"), given, &supported))
}

fn review_versions(versions: Option<&Value>, path: &str) -> Vec<FieldError> {
    let (given, accepted) = (texts(versions), REVIEW_VERSIONS.join(", "));
    if given.is_empty() {
        return vec![FieldError::required(path, format!("must specify one of {accepted}"))];
    }
    let (mut errors, mut seen) = (Vec::new(), HashSet::new());
    for (index, version) in given.iter().enumerate() {
        let at = format!("{path}[{index}]");
        if !seen.insert(*version) {
            errors.push(FieldError::invalid(at, &json!(version), "duplicate version"));
        } else if !is_version(version) {
            let detail = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
            errors.push(FieldError::invalid(at, &json!(version), detail));
        }
    }
    if !REVIEW_VERSIONS.iter().any(|accepted| given.contains(accepted)) {
        errors.push(FieldError::invalid(path, &json!(given), format!("must include at least one of {accepted}")));
    }
    errors
}

fn is_version(text: &str) -> bool {
    names::label(text).is_none() && text.starts_with(|letter: char| letter.is_ascii_lowercase())
}

fn conditions(list: Option<&Value>, path: &str) -> Vec<FieldError> {
    let count = items(list).count();
    if count > MOST_CONDITIONS {
        let detail = format!("must have at most {MOST_CONDITIONS} items");
        let bad_value = Some(count.into());
        return vec![FieldError { reason: Reason::TooMany, path: path.into(), bad_value, detail }];
    }
    items(list).enumerate().flat_map(|(index, one)| condition(one, &format!("{path}[{index}]"))).collect()
}

fn condition(condition: &Value, path: &str) -> Vec<FieldError> {
    let (name, expression) = (top(condition, "name"), top(condition, "expression"));
    let mut errors = Vec::new();
    if expression.trim().is_empty() {
        errors.push(FieldError::required(format!("{path}.expression"), ""));
    } else if let Err(words) = Condition::compile(expression, &VARIABLES) {
        let detail = format!("compilation failed: {words}");
        errors.push(FieldError::invalid(format!("{path}.expression"), &expression.into(), detail));
    }
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    } else if let Some(wrong) = qualified(name) {
        errors.push(FieldError::invalid(path, &name.into(), wrong));
    }
    errors
}

/// A selector that is an object.
fn selector(selector: &Value, path: &str) -> Vec<FieldError> {
    let mut errors = names::labels(&format!("{path}.matchLabels"), selector.get("matchLabels"));
    let expressions = items(selector.get("matchExpressions")).enumerate();
    errors.extend(expressions.flat_map(|(index, one)| requirement(one, &format!("{path}.matchExpressions[{index}]"))));
    errors
}

fn requirement(requirement: &Value, path: &str) -> Vec<FieldError> {
    let (key, values) = (top(requirement, "key"), texts(requirement.get("values")));
    let mut errors = Vec::new();
    match top(requirement, "operator") {
        "In" | "NotIn" if values.is_empty() => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(format!("{path}.values"), detail));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(format!("{path}.values"), detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            let detail = "not a valid selector operator";
            errors.push(FieldError::invalid(format!("{path}.operator"), &other.into(), detail));
        }
    }
    if let Some(wrong) = qualified(key) {
        errors.push(FieldError::invalid(format!("{path}.key"), &key.into(), wrong));
    }
    for (index, value) in values.iter().enumerate() {
        if let Some(wrong) = names::label_value(value) {
            errors.push(FieldError::invalid(format!("{path}.values[{index}]"), &json!(value), wrong));
        }
    }
    errors
}

#[cfg(test)]
mod tests;
