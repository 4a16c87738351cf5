//! The checks of `spec.conversion`, but for who can be reached: that knows whoever calls the webhook.

use std::collections::HashSet;

use serde_json::Value;

use super::Conversion;
use super::check::{LABEL, is_label, text};
use crate::FieldError;

const AT: &str = "spec.conversion";
/// The only form of ConversionReview that is spoken.
const REVIEW_VERSION: &str = "v1";

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
            let config = webhook.get("clientConfig").filter(|config| config.is_object());
            if let Some(config) = config {
                return Conversion::Webhook(config.clone());
            }
            let words = "required when strategy is set to Webhook";
            errors.push(FieldError::required(format!("{AT}.webhook.clientConfig"), words));
        }
        ("", _) => errors.push(FieldError::required(format!("{AT}.strategy"), "")),
        (other, _) => {
            let supported = ["None".into(), "Webhook".into()];
            errors.push(FieldError::not_supported(format!("{AT}.strategy"), &other.into(), &supported));
        }
    }
    Conversion::None
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
