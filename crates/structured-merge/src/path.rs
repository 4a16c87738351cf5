//! Where a field is: one step ([`PathElement`]) after the other ([`Path`]).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// One step from a container to something in it. The order of the variants is the order in lists of paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// A field of a map; `f:image`.
    Field(String),
    /// The item of a keyed list that has these values; `k:{"name":"a"}`.
    Key(BTreeMap<String, Scalar>),
    /// The item of a set that equals this value; `v:"a"`.
    Value(Scalar),
    /// The item of a list at this position; `i:0`. Understood when read, never written by this crate.
    Index(usize),
}

impl PathElement {
    /// The step to a field of a map.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// The form that is a key in `FieldsV1`.
    pub fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let keys = keys.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
                format!("k:{{{}}}", keys.collect::<Vec<_>>().join(","))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// Reads a key of `FieldsV1`.
    pub fn decode(entry: &str) -> Result<Self> {
        let element = match entry.split_once(':') {
            Some(("f", name)) => Some(Self::field(name)),
            Some(("k", keys)) => decode_keys(keys).map(Self::Key),
            Some(("v", value)) => {
                serde_json::from_str(value).ok().and_then(|value| Scalar::new(&value)).map(Self::Value)
            }
            Some(("i", index)) => index.parse().ok().map(Self::Index),
            _ => None,
        };
        element.ok_or_else(|| Error::FieldsV1 { entry: entry.to_owned() })
    }
}

fn decode_keys(keys: &str) -> Option<BTreeMap<String, Scalar>> {
    let keys: BTreeMap<String, Value> = serde_json::from_str(keys).ok()?;
    keys.into_iter().map(|(name, value)| Scalar::new(&value).map(|value| (name, value))).collect()
}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys: Vec<_> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", keys.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// The way from the root of an object to a field; shown as `.spec.containers[name="web"].image`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(Vec<PathElement>);

impl Path {
    /// A path of field names only, written with dots: `spec.image`. A leading dot is allowed.
    pub fn dotted(names: &str) -> Self {
        names.split('.').filter(|name| !name.is_empty()).map(PathElement::field).collect()
    }

    /// The steps.
    pub fn elements(&self) -> &[PathElement] {
        &self.0
    }

    pub(crate) fn push(&mut self, element: PathElement) {
        self.0.push(element);
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    /// Runs `visit` one step further down.
    pub(crate) fn descend<T>(&mut self, element: PathElement, visit: impl FnOnce(&mut Self) -> T) -> T {
        self.push(element);
        let result = visit(self);
        self.pop();
        result
    }
}

impl FromIterator<PathElement> for Path {
    fn from_iter<I: IntoIterator<Item = PathElement>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}
