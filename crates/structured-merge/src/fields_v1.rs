//! `FieldsV1`, the JSON form of a field set.
//!
//! `{"f:spec":{".":{},"f:image":{}}}`: each key is a path element, `.` says that the element itself is a member, and an
//! element with nothing below it is a member without saying so.

use serde_json::{Map, Value};

use crate::MAX_DEPTH;
use crate::error::{Error, Result};
use crate::field_set::{FieldSet, Node};
use crate::path::PathElement;

/// Says that the element which holds it is a member.
const SELF: &str = ".";

impl FieldSet {
    /// The set as `FieldsV1`, elements in their order.
    pub fn to_fields_v1(&self) -> Value {
        Value::Object(self.nodes().map(|(element, node)| (element.encode(), encode(node))).collect())
    }

    /// Reads `FieldsV1`.
    pub fn from_fields_v1(fields: &Value) -> Result<Self> {
        decode(fields, "", MAX_DEPTH)
    }
}

fn encode(node: &Node) -> Value {
    let mut encoded = Map::new();
    if node.member && !node.children.is_empty() {
        encoded.insert(SELF.to_owned(), Value::Object(Map::new()));
    }
    encoded.extend(node.children.nodes().map(|(element, node)| (element.encode(), encode(node))));
    Value::Object(encoded)
}

fn decode(fields: &Value, parent: &str, depth: usize) -> Result<FieldSet> {
    let fields = fields.as_object().ok_or_else(|| Error::FieldsV1 { entry: parent.to_owned() })?;
    let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
    let entries = fields.iter().filter(|(entry, _)| *entry != SELF);
    entries
        .map(|(entry, below)| {
            let children = decode(below, entry, depth)?;
            let member = children.is_empty() || below.get(SELF).is_some();
            Ok((PathElement::decode(entry)?, Node { member, children }))
        })
        .collect()
}
