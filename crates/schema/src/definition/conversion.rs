//! The checks of `spec.conversion`.

use std::collections::HashSet;

use serde_json::Value;

use super::check::{LABEL, is_label, text};
use super::{Conversion, ConversionWebhook};
use crate::FieldError;

const AT: &str = "spec.conversion";
/// The only form of ConversionReview that is spoken.
const REVIEW_VERSION: &str = "v1";
/// What stands behind each complaint about an address.
const FORM: &str = "; desired format: https://host[/path]";

pub(super) fn conversion(spec: &Value, errors: &mut Vec<FieldError>) -> Conversion {
    let Some(conversion) = spec.get("conversion").filter(|conversion| !conversion.is_null()) else {
        return Conversion::None;
    };
    let webhook = conversion.get("webhook").filter(|webhook| !webhook.is_null());
    match (text(conversion, "strategy"), webhook) {
        ("None", None) => {}
        ("None", Some(_)) => {
            let words = "should not be set when strategy is not set to Webhook";
            errors.push(FieldError::forbidden(format!("{AT}.webhook"), words));
        }
        ("Webhook", webhook) => {
            if spec.get("preserveUnknownFields") == Some(&Value::Bool(true)) {
                let words = "must be None if spec.preserveUnknownFields is true";
                errors.push(FieldError::invalid(format!("{AT}.strategy"), &"Webhook".into(), words));
            }
            let Some(webhook) = webhook.filter(|webhook| webhook.is_object()) else {
                let words = "required when strategy is set to Webhook";
                errors.push(FieldError::required(format!("{AT}.webhook"), words));
                return Conversion::None;
            };
            review_versions(webhook, errors);
            if let Some(webhook) = client(webhook, errors) {
                return Conversion::Webhook(webhook);
            }
        }
        ("", _) => errors.push(FieldError::required(format!("{AT}.strategy"), "")),
        (other, _) => {
            let supported = ["None".into(), "Webhook".into()];
            errors.push(FieldError::not_supported(format!("{AT}.strategy"), &other.into(), &supported));
        }
    }
    Conversion::None
}

/// Who is asked. A service is none of the things that can be reached here.
fn client(webhook: &Value, errors: &mut Vec<FieldError>) -> Option<ConversionWebhook> {
    let at = format!("{AT}.webhook.clientConfig");
    let config = webhook.get("clientConfig").filter(|config| config.is_object());
    let Some(config) = config else {
        errors.push(FieldError::required(at, "required when strategy is set to Webhook"));
        return None;
    };
    let given = |name: &str| config.get(name).filter(|value| !value.is_null());
    match (given("url"), given("service")) {
        (Some(_), Some(_)) | (None, None) => {
            errors.push(FieldError::required(at, "exactly one of url or service is required"));
            None
        }
        (None, Some(_)) => {
            let words = "this server reaches no services of a cluster: name the webhook by clientConfig.url";
            errors.push(FieldError::forbidden(format!("{at}.service"), words));
            None
        }
        (Some(_), None) => {
            let url = text(config, "url");
            check_url(url, &format!("{at}.url"), errors);
            let ca_bundle = Some(text(config, "caBundle")).filter(|text| !text.is_empty()).map(str::to_owned);
            Some(ConversionWebhook { url: url.to_owned(), ca_bundle })
        }
    }
}

fn check_url(url: &str, at: &str, errors: &mut Vec<FieldError>) {
    let mut wrong = |bad: &str, words: &str| errors.push(FieldError::invalid(at, &bad.into(), words));
    if url.bytes().any(|byte| !byte.is_ascii_graphic()) {
        wrong(url, &format!("url must be a valid URL: only printable characters without spaces may stand there{FORM}"));
        return;
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if scheme != "https" {
        wrong(scheme, &format!("'https' is the only allowed URL scheme{FORM}"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = if scheme.is_empty() { ("", rest) } else { rest.split_at(end) };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        wrong(host, &format!("host must be specified{FORM}"));
    }
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        wrong(url, &format!("url must be a valid URL: the port is not a number{FORM}"));
    }
    if !user.is_empty() {
        wrong(user, "user information is not permitted in the URL");
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    if !fragment.is_empty() {
        wrong(fragment, "fragments are not permitted in the URL");
    }
    if let Some((_, query)) = rest.split_once('?').filter(|(_, query)| !query.is_empty()) {
        wrong(query, "query parameters are not permitted in the URL");
    }
}

fn review_versions(webhook: &Value, errors: &mut Vec<FieldError>) {
    let at = format!("{AT}.webhook.conversionReviewVersions");
    let given = webhook.get("conversionReviewVersions").and_then(Value::as_array).map(Vec::as_slice);
    let given = given.unwrap_or_default();
    if given.is_empty() {
        errors.push(FieldError::required(at, ""));
        return;
    }
    let mut seen = HashSet::new();
    for (index, version) in given.iter().enumerate() {
        let name = version.as_str().unwrap_or_default();
        if !seen.insert(name) {
            errors.push(FieldError::invalid(format!("{at}[{index}]"), version, "duplicate version"));
        } else if !is_label(name) {
            errors.push(FieldError::invalid(format!("{at}[{index}]"), version, LABEL));
        }
    }
    if !seen.contains(REVIEW_VERSION) {
        let words = format!("must include at least one of {REVIEW_VERSION}");
        errors.push(FieldError::invalid(at, &Value::Array(given.to_vec()), words));
    }
}
