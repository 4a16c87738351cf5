//! What merging needs to know of a type: which containers are taken apart, and how list items are told apart.

mod metadata;
mod openapi;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::path::PathElement;
use crate::scalar::Scalar;

/// The form of a whole object, `metadata` included.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    root: TypeRef,
}

/// The form of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeRef {
    /// A string, number or boolean.
    Scalar,
    /// A map.
    Map(MapType),
    /// A list.
    List(ListType),
    /// Whatever the value is: maps are granular, lists atomic.
    Deduced,
}

/// The form of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct MapType {
    /// The declared fields.
    pub fields: BTreeMap<String, TypeRef>,
    /// The fields that are not declared.
    pub others: Others,
    /// Whether the map is owned and replaced as a whole.
    pub atomic: bool,
}

/// The form of the fields that a map does not declare.
#[derive(Debug, Clone, PartialEq)]
pub enum Others {
    /// There are none; an apply patch that has some is refused.
    Refused,
    /// They may be anything.
    Deduced,
    /// They all have this form.
    Typed(Box<TypeRef>),
}

/// The form of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListType {
    /// How its items are told apart.
    pub kind: ListKind,
    /// The form of its items.
    pub items: Box<TypeRef>,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq)]
pub enum ListKind {
    /// Not at all: the list is owned and replaced as a whole.
    Atomic,
    /// By value; the items are scalars.
    Set,
    /// By the values of these fields; the items are maps.
    Map(Vec<ListKey>),
}

/// A field that tells the items of a list apart.
#[derive(Debug, Clone, PartialEq)]
pub struct ListKey {
    /// Name of the field.
    pub name: String,
    /// Its value where an item leaves it out.
    pub default: Option<Scalar>,
}

/// How a value is walked.
pub(crate) enum Shape<'s> {
    /// As one thing.
    Leaf,
    /// Field by field.
    Map(&'s MapType),
    /// Item by item; never an atomic list.
    List(&'s ListType),
}

static DEDUCED_MAP: MapType = MapType { fields: BTreeMap::new(), others: Others::Deduced, atomic: false };

impl Schema {
    /// The schema of an object of which nothing is known but its `metadata`.
    pub fn deduced() -> Self {
        let fields = BTreeMap::from([("metadata".to_owned(), metadata::object_meta())]);
        Self { root: TypeRef::Map(MapType { fields, others: Others::Deduced, atomic: false }) }
    }

    /// Reads an OpenAPI v3 structural schema, as in a CustomResourceDefinition. What it says of `metadata` is replaced
    /// by what Kubernetes says. Parts that say nothing usable are deduced.
    pub fn from_openapi(schema: &Value) -> Self {
        Self { root: openapi::resource(schema) }
    }

    /// A schema from a type made by hand.
    pub fn from_type(root: TypeRef) -> Self {
        Self { root }
    }

    /// The form of the root.
    pub fn root(&self) -> &TypeRef {
        &self.root
    }
}

impl TypeRef {
    /// How `value` is walked; `None` if it is absent or null, which takes the form of what it is compared with.
    pub(crate) fn shape(&self, value: Option<&Value>) -> Option<Shape<'_>> {
        let shape = match (self, value?) {
            (_, Value::Null) => return None,
            (Self::Map(map), Value::Object(_)) if !map.atomic => Shape::Map(map),
            (Self::Deduced, Value::Object(_)) => Shape::Map(&DEDUCED_MAP),
            (Self::List(list), Value::Array(_)) if list.kind != ListKind::Atomic => Shape::List(list),
            _ => Shape::Leaf,
        };
        Some(shape)
    }

    /// The form of what is one step below.
    pub(crate) fn below(&self, element: &PathElement) -> &TypeRef {
        match (self, element) {
            (Self::Map(map), PathElement::Field(name)) => map.field(name),
            (Self::List(list), PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_)) => &list.items,
            _ => &Self::Deduced,
        }
    }
}

impl MapType {
    /// The form of a field.
    pub(crate) fn field(&self, name: &str) -> &TypeRef {
        match (self.fields.get(name), &self.others) {
            (Some(field), _) => field,
            (None, Others::Typed(value)) => value,
            (None, Others::Refused | Others::Deduced) => &TypeRef::Deduced,
        }
    }
}
