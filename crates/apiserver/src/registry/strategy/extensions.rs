//! CustomResourceDefinition.

use essaim_schema::{Conversion, Definition, FieldError};
use serde_json::{Value, json};

use crate::{
    registry::{
        definitions::set_condition,
        object::{map_at, top},
    },
    webhook::check_client_config,
};

/// Fills in what follows from the rest.
pub(super) fn prepare(object: &mut Value) {
    let spec = map_at(object, "spec");
    spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    if let Some(Value::Object(names)) = spec.get_mut("names") {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !kind.is_empty() {
            names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
            names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
        }
    }
}

pub(super) fn validate(object: &Value, live: Option<&Value>) -> Vec<FieldError> {
    let mut errors = match Definition::from_crd(object) {
        Err(errors) => errors,
        Ok(Definition { conversion: Conversion::Webhook(config), .. }) => {
            check_client_config(&config, "spec.conversion.webhook.clientConfig")
        }
        Ok(_) => Vec::new(),
    };
    let Some(live) = live else { return errors };
    for path in ["/spec/group", "/spec/scope", "/spec/names/plural", "/spec/names/kind"] {
        let value = object.pointer(path).unwrap_or(&Value::Null);
        if Some(value) != live.pointer(path) {
            errors.push(FieldError::invalid(
                path.trim_start_matches('/').replace('/', "."),
                value,
                "field is immutable",
            ));
        }
    }
    errors.extend(dropped_versions(object));
    errors
}

/// A version in which objects may still be stored cannot go.
fn dropped_versions(object: &Value) -> Vec<FieldError> {
    let versions = object.pointer("/spec/versions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let stored = object.pointer("/status/storedVersions").and_then(Value::as_array).into_iter().flatten();
    let gone = stored.enumerate().filter(|(_, name)| !versions.iter().any(|version| version.get("name") == Some(name)));
    let error =
        |(at, name)| FieldError::invalid(format!("status.storedVersions[{at}]"), name, "must appear in spec.versions");
    gone.map(error).collect()
}

/// The finalizer holds the definition until its objects are gone.
pub(super) fn mark_deleted(object: &mut Value, now: &str) {
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let conditions = map_at(object, "status").entry("conditions").or_insert_with(|| json!([]));
    if !conditions.as_array().into_iter().flatten().any(|one| top(one, "type") == "Terminating") {
        set_condition(conditions, "Terminating", true, "InstanceDeletionPending", message, now);
    }
}
