//! The checks of one version in a CustomResourceDefinition.

use serde_json::Value;

use super::check::text;
use super::{Scale, SelectableField, Version};
use crate::{Columns, FieldError, FieldPath, Structural};

const MAX_SELECTABLE: usize = 8;

pub(super) fn version(given: &Value, path: &str, errors: &mut Vec<FieldError>) -> Option<Version> {
    let before = errors.len();
    let flag = |name: &str| given.get(name) == Some(&Value::Bool(true));
    for name in ["served", "storage"] {
        if !given.get(name).is_some_and(Value::is_boolean) {
            errors.push(FieldError::required(format!("{path}.{name}"), ""));
        }
    }
    let schema = schema(given, path, errors);
    let scale = scale(given, path, errors);
    let columns = columns(given, path, errors);
    let selectable_fields =
        schema.as_ref().map(|schema| selectable_fields(given, schema, path, errors)).unwrap_or_default();
    let deprecated = flag("deprecated");
    let warning = Some(text(given, "deprecationWarning")).filter(|text| !text.is_empty());
    if let Some(warning) = warning.filter(|_| !deprecated) {
        let words = "can only be set for deprecated versions";
        errors.push(FieldError::invalid(format!("{path}.deprecationWarning"), &warning.into(), words));
    }
    let schema = schema.filter(|_| errors.len() == before)?;
    Some(Version {
        name: text(given, "name").to_owned(),
        served: flag("served"),
        storage: flag("storage"),
        deprecated,
        deprecation_warning: warning.map(str::to_owned),
        schema,
        status: given.pointer("/subresources/status").is_some_and(Value::is_object),
        scale,
        columns: columns?,
        selectable_fields,
    })
}

fn schema(given: &Value, path: &str, errors: &mut Vec<FieldError>) -> Option<Structural> {
    let at = format!("{path}.schema.openAPIV3Schema");
    let Some(schema) = given.pointer("/schema/openAPIV3Schema").filter(|schema| schema.is_object()) else {
        errors.push(FieldError::required(at, "schemas are required"));
        return None;
    };
    match Structural::compile(schema) {
        Ok(schema) => Some(schema),
        Err(violations) => {
            errors.extend(violations.into_iter().map(|violation| violation.under(&at)));
            None
        }
    }
}

fn scale(given: &Value, path: &str, errors: &mut Vec<FieldError>) -> Option<Scale> {
    let scale = given.pointer("/subresources/scale").filter(|scale| scale.is_object())?;
    let path = format!("{path}.subresources.scale");
    let mut read = |name: &str, under: &[&str], required: bool| -> Option<FieldPath> {
        let value = text(scale, name);
        let at = format!("{path}.{name}");
        if value.is_empty() {
            if required {
                errors.push(FieldError::required(at, ""));
            }
            return None;
        }
        let parsed = FieldPath::parse(value);
        let Some(parsed) = parsed else {
            errors.push(FieldError::invalid(
                at,
                &value.into(),
                "should be a simple path of field names, without brackets",
            ));
            return None;
        };
        let inside = parsed.names().len() > 1 && under.contains(&parsed.names()[0].as_str());
        if !inside {
            let under: Vec<String> = under.iter().map(|name| format!(".{name}")).collect();
            errors.push(FieldError::invalid(
                at,
                &value.into(),
                format!("should be a path under {}", under.join(" or ")),
            ));
        }
        Some(parsed)
    };
    let spec_replicas = read("specReplicasPath", &["spec"], true);
    let status_replicas = read("statusReplicasPath", &["status"], true);
    let label_selector = read("labelSelectorPath", &["spec", "status"], false);
    Some(Scale { spec_replicas: spec_replicas?, status_replicas: status_replicas?, label_selector })
}

fn columns(given: &Value, path: &str, errors: &mut Vec<FieldError>) -> Option<Columns> {
    let none = Value::Null;
    match Columns::compile(given.get("additionalPrinterColumns").unwrap_or(&none)) {
        Ok(columns) => Some(columns),
        Err(found) => {
            let at = format!("{path}.additionalPrinterColumns");
            errors.extend(found.into_iter().map(|error| error.under(&at)));
            None
        }
    }
}

fn selectable_fields(
    given: &Value,
    schema: &Structural,
    path: &str,
    errors: &mut Vec<FieldError>,
) -> Vec<SelectableField> {
    let fields = given.get("selectableFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let path = format!("{path}.selectableFields");
    if fields.len() > MAX_SELECTABLE {
        errors.push(FieldError::forbidden(path, format!("must have at most {MAX_SELECTABLE} items")));
        return Vec::new();
    }
    let mut selectable: Vec<SelectableField> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let written = text(field, "jsonPath");
        let at = format!("{path}[{index}].jsonPath");
        if written.is_empty() {
            errors.push(FieldError::required(at, ""));
            continue;
        }
        let value = Value::from(written);
        let Some(parsed) = FieldPath::parse(written) else {
            errors.push(FieldError::invalid(
                at,
                &value,
                "is an invalid path: only field names separated by dots are supported",
            ));
            continue;
        };
        if parsed.names()[0] == "metadata" {
            errors.push(FieldError::invalid(at, &value, "must not point to fields in metadata"));
        } else if !is_scalar(schema.json(), &parsed) {
            let words = "is an invalid path: must be a field of the schema, of type string, boolean or integer";
            errors.push(FieldError::invalid(at, &value, words));
        } else if selectable.iter().any(|one| one.path == parsed) {
            errors.push(FieldError::duplicate(at, &value));
        } else {
            selectable.push(SelectableField { label: parsed.names().join("."), path: parsed });
        }
    }
    selectable
}

fn is_scalar(schema: &Value, path: &FieldPath) -> bool {
    let found = path.names().iter().try_fold(schema, |schema, name| schema.get("properties")?.get(name));
    let kind = found.and_then(|schema| schema.get("type")).and_then(Value::as_str);
    matches!(kind, Some("string" | "boolean" | "integer"))
}
