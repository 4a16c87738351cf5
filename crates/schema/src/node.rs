//! The typed tree of a schema. The compiler builds it; pruning, defaulting and validation walk it.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use crate::cel_rules::Rule;
use crate::format::Format;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    pub(crate) fn admits(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => is_whole(value),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

/// What is whole but larger than any integer counts as a number only, as in Kubernetes: no client could read it.
fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.as_f64().is_some_and(|number| whole(number).is_some())
}

/// The integer that a number is, however it is written.
pub fn whole(number: f64) -> Option<i64> {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    let fits = number.fract() == 0.0 && (-TOO_LARGE..TOO_LARGE).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the range")]
    fits.then_some(number as i64)
}

/// The JSON type of a value, in the words of a schema.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_whole(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What is allowed beside the named properties.
#[derive(Clone, Debug, Default)]
pub(crate) enum Additional {
    #[default]
    Nothing,
    Anything,
    Schema(Box<Node>),
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// One node: its shape, and what its value must satisfy.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of the schema language, independent of the others"
)]
pub(crate) struct Node {
    pub(crate) kind: Option<Type>,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded: bool,
    pub(crate) atomic_map: bool,
    pub(crate) default: Option<Value>,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) list_type: ListType,
    pub(crate) checks: Checks,
    pub(crate) junctors: Junctors,
    pub(crate) rules: Vec<Rule>,
    /// Whether this node or one below it carries rules.
    pub(crate) has_rules: bool,
    /// Some of those rules go deeper than a server's thread has room for.
    pub(crate) has_deep_rules: bool,
}

/// Bounds of one value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    pub(crate) required: Vec<String>,
    pub(crate) one_of_values: Option<Vec<Value>>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) pattern: Option<Regex>,
    /// As written, for messages.
    pub(crate) pattern_text: String,
    pub(crate) format: Option<Format>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
}

/// A bound of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) value: f64,
    pub(crate) exclusive: bool,
}

/// Combinations of further conditions on the same value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Junctors {
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}

impl Node {
    /// The schema of the field `name` of a map.
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.properties.get(name).or_else(|| match &self.additional {
            Additional::Schema(schema) => Some(schema.as_ref()),
            Additional::Nothing | Additional::Anything => None,
        })
    }

    /// The item of `old` that the item `new` of this list was before, if items can be told apart.
    pub(crate) fn correlate<'a>(&self, new: &Value, old: Option<&'a Vec<Value>>) -> Option<&'a Value> {
        let same = || old?.iter().find(|item| *item == new);
        match &self.list_type {
            ListType::Atomic => None,
            ListType::Set => same(),
            // An item that did not change was itself before, also in a list that was tolerated with equal keys or with items that have none.
            ListType::Map(keys) => same().or_else(|| {
                let defaults = self.items.as_deref();
                let wanted = key_of(keys, defaults, new);
                old?.iter().find(|item| item.is_object() && key_of(keys, defaults, item) == wanted)
            }),
        }
    }
}

/// The values of the keys of one item, defaults included.
pub(crate) fn key_of<'a>(keys: &[String], schema: Option<&'a Node>, item: &'a Value) -> Vec<Option<&'a Value>> {
    let default = |key: &String| schema?.properties.get(key)?.default.as_ref();
    keys.iter().map(|key| item.get(key).or_else(|| default(key))).collect()
}
