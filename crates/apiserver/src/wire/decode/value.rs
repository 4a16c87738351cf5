//! A JSON value read from any serde format, with the paths of keys that stood twice.
//!
//! `serde_json`'s own map silently keeps the last of two equal keys; strict clients want to hear of it. A number that is
//! whole is an integer however it was written: Kubernetes stores `1.0` and `1e3` as `1` and `1000`, and clients in Go cannot
//! read anything else into an integer.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::registry::Document;

/// More would only fill the answer.
const REPORTED_DUPLICATES: usize = 100;
/// As deep as `serde_json` itself goes.
const DEPTH_LIMIT: usize = 128;

/// Reads one value.
pub(super) fn document<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
    let duplicates = RefCell::new(Vec::new());
    let value = Node { place: Place::Root, depth: 0, duplicates: &duplicates }.deserialize(deserializer)?;
    Ok(Document { value, duplicates: duplicates.into_inner() })
}

/// Where a node stands; the chain lives on the stack and costs nothing until a path is needed.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    place: Place<'a>,
    depth: usize,
    duplicates: &'a RefCell<Vec<String>>,
}

impl Node<'_> {
    fn note(&self, duplicate: &Place<'_>) {
        let mut duplicates = self.duplicates.borrow_mut();
        if duplicates.len() < REPORTED_DUPLICATES {
            duplicates.push(duplicate.to_string());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > DEPTH_LIMIT {
            return Err(D::Error::custom(format!("nested deeper than {DEPTH_LIMIT} levels")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can express")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "Kubernetes too keeps larger numbers as floats")]
        i64::try_from(value).map_or_else(|_| self.visit_f64(value as f64), |value| Ok(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if let Some(whole) = essaim_schema::whole(value) {
            return Ok(whole.into());
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let place = Place::Index(&self.place, items.len());
            let node = Node { place, depth: self.depth + 1, duplicates: self.duplicates };
            match access.next_element_seed(node)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let place = Place::Key(&self.place, &key);
            if map.contains_key(&key) {
                self.note(&place);
            }
            let node = Node { place, depth: self.depth + 1, duplicates: self.duplicates };
            let value = access.next_value_seed(node)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
