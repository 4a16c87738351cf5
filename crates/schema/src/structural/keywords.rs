//! The keywords of one node, each read with its type checked.

use serde_json::{Map, Value};

use crate::format::Format;
use crate::node::{Bound, Checks, Node, Type};
use crate::path::Path;
use crate::{FieldError, Violation, pattern};

/// One node's keywords, where it stands, and where to note what is wrong.
pub(super) struct Reader<'a> {
    pub(super) map: &'a Map<String, Value>,
    pub(super) path: &'a Path<'a>,
    pub(super) violations: &'a mut Vec<Violation>,
}

impl<'a> Reader<'a> {
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let value = self.map.get(name).filter(|value| !value.is_null());
        let flag = value.and_then(Value::as_bool);
        if let (Some(value), None) = (value, flag) {
            self.wrong(name, value, "must be a boolean");
        }
        flag.unwrap_or(false)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        let text = value.as_str();
        if text.is_none() {
            self.wrong(name, value, "must be a string");
        }
        text.filter(|text| !text.is_empty())
    }

    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let Some(value) = self.map.get(name).filter(|value| !value.is_null()) else { return Vec::new() };
        let items = value.as_array().map(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        let texts: Option<Vec<String>> = items.flatten();
        if texts.is_none() {
            self.wrong(name, value, "must be a list of strings");
        }
        texts.unwrap_or_default()
    }

    fn number(&mut self, name: &str) -> Option<f64> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        let number = value.as_f64();
        if number.is_none() {
            self.wrong(name, value, "must be a number");
        }
        number
    }

    fn count(&mut self, name: &str) -> Option<u64> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        let count = value.as_u64();
        if count.is_none() {
            self.wrong(name, value, "must be a non-negative integer");
        }
        count
    }

    fn bound(&mut self, name: &str, exclusive: &str) -> Option<Bound> {
        let exclusive = self.flag(exclusive);
        self.number(name).map(|value| Bound { value, exclusive })
    }

    pub(super) fn wrong(&mut self, name: &str, value: &Value, detail: &str) {
        self.violations.push(FieldError::invalid(self.path.field(name).to_string(), value, detail));
    }
}

/// Keywords that make a schema something else than structural.
pub(super) fn refuse_unsupported(map: &Map<String, Value>, path: &Path<'_>, violations: &mut Vec<Violation>) {
    const NEVER: &[&str] = &["$ref", "additionalItems", "definitions", "dependencies", "id", "patternProperties"];
    for name in NEVER.iter().filter(|name| map.contains_key(**name)) {
        violations.push(FieldError::forbidden(path.field(name).to_string(), format!("{name} is not supported")));
    }
    if map.get("uniqueItems") == Some(&Value::Bool(true)) {
        let words = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        violations.push(FieldError::forbidden(path.field("uniqueItems").to_string(), words));
    }
    if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        let at = path.field("x-kubernetes-preserve-unknown-fields").to_string();
        violations.push(FieldError::invalid(at, &Value::Bool(false), "must be true or undefined"));
    }
}

/// The keywords that give the node its shape, without its children.
pub(super) fn shape(reader: &mut Reader<'_>) -> Node {
    const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];
    let kind = reader.text("type");
    if let Some(text) = kind.filter(|text| Type::parse(text).is_none()) {
        let supported: Vec<Value> = TYPES.iter().map(|name| Value::from(*name)).collect();
        let at = reader.path.field("type").to_string();
        reader.violations.push(FieldError::not_supported(at, &text.into(), &supported));
    }
    Node {
        kind: kind.and_then(Type::parse),
        nullable: reader.flag("nullable"),
        int_or_string: reader.flag("x-kubernetes-int-or-string"),
        preserve_unknown: reader.flag("x-kubernetes-preserve-unknown-fields"),
        embedded: reader.flag("x-kubernetes-embedded-resource"),
        atomic_map: reader.map.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic"),
        ..Node::default()
    }
}

/// The keywords that bound the value.
pub(super) fn checks(reader: &mut Reader<'_>) -> Checks {
    let pattern_text = reader.text("pattern").unwrap_or_default().to_owned();
    let values = reader.map.get("enum").filter(|value| !value.is_null());
    if let Some(value) = values.filter(|value| !value.is_array()) {
        reader.wrong("enum", value, "must be a list");
    }
    Checks {
        required: reader.texts("required"),
        one_of_values: values.and_then(Value::as_array).cloned(),
        minimum: reader.bound("minimum", "exclusiveMinimum"),
        maximum: reader.bound("maximum", "exclusiveMaximum"),
        multiple_of: multiple_of(reader),
        min_length: reader.count("minLength"),
        max_length: reader.count("maxLength"),
        pattern: compile_pattern(reader, &pattern_text),
        pattern_text,
        format: reader.text("format").and_then(Format::parse),
        min_items: reader.count("minItems"),
        max_items: reader.count("maxItems"),
        min_properties: reader.count("minProperties"),
        max_properties: reader.count("maxProperties"),
    }
}

fn multiple_of(reader: &mut Reader<'_>) -> Option<f64> {
    let factor = reader.number("multipleOf")?;
    if factor <= 0.0 {
        reader.wrong("multipleOf", &factor.into(), "must be greater than 0");
        return None;
    }
    Some(factor)
}

fn compile_pattern(reader: &mut Reader<'_>, text: &str) -> Option<regex::Regex> {
    if text.is_empty() {
        return None;
    }
    let compiled = pattern::compile(text);
    if let Err(error) = &compiled {
        reader.wrong("pattern", &text.into(), &format!("must be a valid regular expression, but isn't: {error}"));
    }
    compiled.ok()
}
