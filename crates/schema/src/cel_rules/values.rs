//! JSON as values of the expression language, with the types that the schema gives them.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Value};

use super::functions;
use super::names::escape;
use super::unordered::{Identity, Unordered};
use crate::format::Format;
use crate::node::{ListType, Node, Type};
use crate::structural::object_meta;

type Boxed<'v> = Box<dyn Val + 'v>;

/// The value of `self` or `oldSelf`. Texts are borrowed from the JSON.
pub(super) fn bind<'v>(node: &Node, value: &'v Value, is_root: bool) -> Boxed<'v> {
    match value {
        Value::Object(map) => Box::new(object(node, map, is_root || node.embedded)),
        Value::Array(items) => match node.items.as_deref() {
            Some(child) => in_no_order(node, items.iter().map(|item| bind(child, item, false)).collect()),
            None => untyped(value),
        },
        Value::String(text) => {
            timed(node.checks.format, text).unwrap_or_else(|| Box::new(CelString::from(text.as_str())))
        }
        Value::Number(number) if node.kind == Some(Type::Number) => {
            Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
        }
        Value::Number(number) if node.kind == Some(Type::Integer) && number.is_f64() => {
            #[expect(clippy::cast_possible_truncation, reason = "validation found it to be whole")]
            let whole = number.as_f64().unwrap_or_default() as i64;
            Box::new(CelInt::from(whole))
        }
        other => untyped(other),
    }
}

fn object<'v>(node: &Node, map: &'v Map<String, Value>, resource: bool) -> CelMap<'v> {
    let named = !node.properties.is_empty() || resource;
    let mut fields: HashMap<CelMapKey<'v>, Boxed<'v>> = HashMap::with_capacity(map.len());
    for (name, value) in map {
        if resource && name == "metadata" {
            fields.insert(CelMapKey::from("metadata"), metadata(value));
            continue;
        }
        let child = node.child(name);
        if !named {
            fields.insert(
                CelMapKey::from(name.as_str()),
                child.map_or_else(|| untyped(value), |child| bind(child, value, false)),
            );
            continue;
        }
        let implied = resource && matches!(name.as_str(), "apiVersion" | "kind");
        if let Some(identifier) = escape(name).filter(|_| child.is_some() || implied || node.preserve_unknown) {
            // A null that the schema does not admit means "not given".
            let absent = value.is_null() && child.is_some_and(|child| !child.nullable);
            if !absent {
                let bound = child.map_or_else(|| untyped(value), |child| bind(child, value, false));
                fields.insert(CelMapKey::from(identifier), bound);
            }
        }
    }
    CelMap::from(fields)
}

/// Rules see the name and its prefix only.
fn metadata(value: &Value) -> Boxed<'_> {
    let mut fields: HashMap<CelMapKey<'_>, Boxed<'_>> = HashMap::new();
    for name in ["name", "generateName"] {
        if let (Some(value), Some(child)) = (value.get(name), object_meta().properties.get(name)) {
            fields.insert(CelMapKey::from(name), bind(child, value, false));
        }
    }
    Box::new(CelMap::from(fields))
}

fn list<'v>(items: impl Iterator<Item = Boxed<'v>>) -> Boxed<'v> {
    Box::new(CelList::from(items.collect::<Vec<_>>()))
}

/// A list as the schema says its items are told apart.
fn in_no_order<'v>(node: &Node, items: Vec<Boxed<'v>>) -> Boxed<'v> {
    let list = CelList::from(items);
    let identity = match &node.list_type {
        ListType::Atomic => return Box::new(list),
        ListType::Set => Identity::Item,
        ListType::Map(keys) => {
            let identifiers = keys.iter().map(|key| escape(key).unwrap_or_else(|| key.clone()));
            Identity::Fields(identifiers.collect())
        }
    };
    Box::new(Unordered::new(list, identity))
}

/// JSON without a schema.
pub(super) fn untyped(value: &Value) -> Boxed<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => list(items.iter().map(untyped)),
        Value::Object(map) => {
            let fields = map.iter().map(|(name, value)| (CelMapKey::from(name.as_str()), untyped(value)));
            Box::new(CelMap::from(fields.collect::<HashMap<_, _>>()))
        }
    }
}

/// Times, durations and bytes have types of their own.
fn timed(format: Option<Format>, text: &str) -> Option<Boxed<'static>> {
    let (function, text) = match format? {
        Format::DateTime => ("timestamp", text.to_owned()),
        Format::Date => ("timestamp", format!("{text}T00:00:00Z")),
        Format::Duration => ("duration", text.to_owned()),
        Format::Byte => ("base64.decode", text.to_owned()),
        _ => return None,
    };
    let arguments: Vec<CowVal<'_, 'static>> = vec![CowVal::owned(CelString::from(text))];
    let convert = functions::env().find_overload(function, &arguments)?;
    Some(convert(arguments).ok()?.into_owned())
}
