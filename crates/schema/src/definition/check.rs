//! The checks of everything in a CustomResourceDefinition but its versions.

use std::collections::HashSet;

use serde_json::Value;

use super::{Definition, Names, Scope, Version, conversion, version};
use crate::FieldError;

const MAX_VERSIONS: usize = 32;

pub(super) fn definition(crd: &Value) -> Result<Definition, Vec<FieldError>> {
    let mut errors = Vec::new();
    let Some(spec) = crd.get("spec").filter(|spec| spec.is_object()) else {
        return Err(vec![FieldError::required("spec", "")]);
    };
    let group = group(spec, &mut errors);
    let names = names(spec, &mut errors);
    let scope = scope(spec, &mut errors);
    check_name(crd, &group, &names, &mut errors);
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(true)) {
        let words = "must be false in order to use defaults in the schema";
        errors.push(FieldError::invalid("spec.preserveUnknownFields", &Value::Bool(true), words));
    }
    let conversion = conversion::conversion(spec, &mut errors);
    let versions = versions(spec, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Definition { group, names, scope, versions, conversion })
}

fn group(spec: &Value, errors: &mut Vec<FieldError>) -> String {
    let group = text(spec, "group");
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else if !is_subdomain(group) {
        errors.push(FieldError::invalid("spec.group", &group.into(), SUBDOMAIN));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid("spec.group", &group.into(), "should be a domain with at least one dot"));
    }
    group.to_owned()
}

fn scope(spec: &Value, errors: &mut Vec<FieldError>) -> Scope {
    match text(spec, "scope") {
        "Namespaced" => return Scope::Namespaced,
        "Cluster" => return Scope::Cluster,
        "" => errors.push(FieldError::required("spec.scope", "")),
        other => {
            let supported = ["Cluster".into(), "Namespaced".into()];
            errors.push(FieldError::not_supported("spec.scope", &other.into(), &supported));
        }
    }
    Scope::Namespaced
}

fn names(spec: &Value, errors: &mut Vec<FieldError>) -> Names {
    let Some(given) = spec.get("names").filter(|names| names.is_object()) else {
        errors.push(FieldError::required("spec.names", ""));
        return Names {
            plural: String::new(),
            singular: String::new(),
            kind: String::new(),
            list_kind: String::new(),
            short_names: Vec::new(),
            categories: Vec::new(),
        };
    };
    let kind = text(given, "kind").to_owned();
    let or = |name: &str, otherwise: String| {
        Some(text(given, name)).filter(|text| !text.is_empty()).map_or(otherwise, str::to_owned)
    };
    let names = Names {
        plural: text(given, "plural").to_owned(),
        singular: or("singular", kind.to_lowercase()),
        list_kind: or("listKind", format!("{kind}List")),
        short_names: texts(given, "shortNames"),
        categories: texts(given, "categories"),
        kind,
    };
    check_names(&names, errors);
    names
}

fn check_names(names: &Names, errors: &mut Vec<FieldError>) {
    for (field, name) in [("plural", &names.plural), ("kind", &names.kind)] {
        if name.is_empty() {
            errors.push(FieldError::required(format!("spec.names.{field}"), ""));
        }
    }
    let plain = [("plural", &names.plural), ("singular", &names.singular)];
    for (field, name) in plain.into_iter().filter(|(_, name)| !name.is_empty() && !is_label(name)) {
        errors.push(FieldError::invalid(format!("spec.names.{field}"), &name.as_str().into(), LABEL));
    }
    for (field, name) in [("kind", &names.kind), ("listKind", &names.list_kind)] {
        if !name.is_empty() && !is_label(&name.to_lowercase()) {
            let words = format!("may have mixed case, but should otherwise match: {LABEL}");
            errors.push(FieldError::invalid(format!("spec.names.{field}"), &name.as_str().into(), words));
        }
    }
    if !names.kind.is_empty() && names.kind == names.list_kind {
        let words = "kind and listKind may not be the same";
        errors.push(FieldError::invalid("spec.names.listKind", &names.list_kind.as_str().into(), words));
    }
    for (field, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        for (index, name) in list.iter().enumerate().filter(|(_, name)| !is_label(name)) {
            errors.push(FieldError::invalid(format!("spec.names.{field}[{index}]"), &name.as_str().into(), LABEL));
        }
    }
}

fn check_name(crd: &Value, group: &str, names: &Names, errors: &mut Vec<FieldError>) {
    let name = crd.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    if group.is_empty() || names.plural.is_empty() {
        return;
    }
    let wanted = format!("{}.{group}", names.plural);
    if name != wanted {
        let words = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", &name.into(), words));
    }
}

fn versions(spec: &Value, errors: &mut Vec<FieldError>) -> Vec<Version> {
    let given = spec.get("versions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if given.is_empty() {
        errors.push(FieldError::required("spec.versions", "must have exactly one version marked as storage version"));
        return Vec::new();
    }
    if given.len() > MAX_VERSIONS {
        errors.push(FieldError::forbidden("spec.versions", format!("at most {MAX_VERSIONS} versions")));
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut versions = Vec::with_capacity(given.len());
    for (index, one) in given.iter().enumerate() {
        let path = format!("spec.versions[{index}]");
        let name = text(one, "name");
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else if !is_label(name) {
            errors.push(FieldError::invalid(format!("{path}.name"), &name.into(), LABEL));
        } else if !seen.insert(name) {
            errors.push(FieldError::invalid(
                format!("{path}.name"),
                &name.into(),
                "must be unique within the versions",
            ));
        }
        versions.extend(version::version(one, &path, errors));
    }
    if given.iter().filter(|one| one.get("storage") == Some(&Value::Bool(true))).count() != 1 {
        let shown = Value::Array(given.iter().map(|one| text(one, "name").into()).collect());
        let words = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", &shown, words));
    }
    versions
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    let items = value.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) const LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, \
     and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
     start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

pub(super) fn is_label(text: &str) -> bool {
    is_part(text) && text.len() <= 63 && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
