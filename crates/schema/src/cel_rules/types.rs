//! The types of expressions, as far as they are known before there is an object.
//!
//! *Invariant*: two types that could be the same [`agree`](Ty::agrees). Whatever is not known for certain is [`Ty::Dyn`], which agrees with
//! everything, so that no rule is refused which Kubernetes accepts.

use std::fmt;
use std::rc::Rc;

use crate::format::Format;
use crate::node::{Additional, Node, Type};

#[derive(Clone, Debug)]
pub(super) enum Ty<'a> {
    /// Anything.
    Dyn,
    /// The items of a list that has none.
    Nothing,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Time,
    Duration,
    /// A type as a value.
    Type,
    List(Rc<Ty<'a>>),
    Map(Rc<Ty<'a>>, Rc<Ty<'a>>),
    /// An object whose fields the schema names.
    Object(&'a Node),
    Optional(Rc<Ty<'a>>),
    /// An index or key, and what is there: what a loop with two variables goes through.
    Entry(Rc<Ty<'a>>, Rc<Ty<'a>>),
    Library(Library),
}

/// The types that libraries bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    Quantity,
    Url,
    Ip,
    Cidr,
    Format,
    Semver,
}

impl<'a> Ty<'a> {
    /// The type of a value that satisfies the schema.
    pub(super) fn of(node: &'a Node, resource: bool) -> Self {
        let Some(kind) = node.kind.filter(|_| !node.int_or_string) else { return Self::Dyn };
        match kind {
            Type::Boolean => Self::Bool,
            Type::Integer => Self::Int,
            Type::Number => Self::Double,
            Type::String => match node.checks.format {
                Some(Format::DateTime | Format::Date) => Self::Time,
                Some(Format::Duration) => Self::Duration,
                Some(Format::Byte) => Self::Bytes,
                _ => Self::Text,
            },
            Type::Array => Self::list(node.items.as_deref().map_or(Self::Dyn, |items| Self::of(items, false))),
            Type::Object => match &node.additional {
                Additional::Schema(child) => Self::map(Self::Text, Self::of(child, false)),
                Additional::Anything => Self::map(Self::Text, Self::Dyn),
                Additional::Nothing if node.preserve_unknown && node.properties.is_empty() && !resource => Self::Dyn,
                Additional::Nothing => Self::Object(node),
            },
        }
    }

    pub(super) fn list(item: Self) -> Self {
        Self::List(Rc::new(item))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Rc::new(key), Rc::new(value))
    }

    pub(super) fn optional(value: Self) -> Self {
        Self::Optional(Rc::new(value))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    /// Whether a value may have both types. Null is a value of any type: fields may be nullable.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Nothing | Self::Null, _)
            | (_, Self::Dyn | Self::Nothing | Self::Null)
            | (Self::Object(_), Self::Object(_) | Self::Map(..))
            | (Self::Map(..), Self::Object(_)) => true,
            (Self::List(one), Self::List(other)) | (Self::Optional(one), Self::Optional(other)) => one.agrees(other),
            (Self::Map(key, value), Self::Map(other_key, other_value))
            | (Self::Entry(key, value), Self::Entry(other_key, other_value)) => {
                key.agrees(other_key) && value.agrees(other_value)
            }
            (Self::Library(one), Self::Library(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// The type of what is one or the other.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, known) | (known, Self::Nothing) => known,
            (Self::List(one), Self::List(other)) => Self::list((*one).clone().join((*other).clone())),
            (Self::Optional(one), Self::Optional(other)) => Self::optional((*one).clone().join((*other).clone())),
            (Self::Map(key, value), Self::Map(other_key, other_value)) => {
                Self::map((*key).clone().join((*other_key).clone()), (*value).clone().join((*other_value).clone()))
            }
            (Self::Object(one), Self::Object(other)) if std::ptr::eq(one, other) => Self::Object(one),
            (Self::Object(_) | Self::Null | Self::Dyn | Self::Entry(..), _) => Self::Dyn,
            (one, other) if std::mem::discriminant(&one) == std::mem::discriminant(&other) && one.agrees(&other) => one,
            _ => Self::Dyn,
        }
    }
}

/// As messages show it.
impl fmt::Display for Ty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Dyn | Self::Nothing | Self::Entry(..) => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Time => "timestamp",
            Self::Duration => "duration",
            Self::Type => "type",
            Self::Object(_) => "object",
            Self::List(item) => return write!(f, "list({item})"),
            Self::Map(key, value) => return write!(f, "map({key}, {value})"),
            Self::Optional(value) => return write!(f, "optional_type({value})"),
            Self::Library(Library::Quantity) => "kubernetes.Quantity",
            Self::Library(Library::Url) => "kubernetes.URL",
            Self::Library(Library::Ip) => "net.IP",
            Self::Library(Library::Cidr) => "net.CIDR",
            Self::Library(Library::Format) => "kubernetes.NamedFormat",
            Self::Library(Library::Semver) => "kubernetes.Semver",
        };
        f.write_str(name)
    }
}
