//! What functions take and give, for the check of types.
//!
//! A name without an entry takes anything. Kubernetes' own lists of overloads are the model; where one is wider than the evaluator, the
//! wider one stands here, because a check that is too strict would refuse good definitions.

use std::rc::Rc;

use super::types::{Library, Ty};

/// The type of a parameter or a result.
#[derive(Clone, Copy)]
enum T {
    Any,
    Bool,
    Int,
    Number,
    Text,
    Bytes,
    Time,
    Duration,
    Type,
    List,
    Texts,
    /// Something that has a size.
    Sized,
    Optional,
    Lib(Library),
    /// As a result: the item of the list, or what the optional value holds, that stands first.
    Inner,
    /// As a result: the type that stands first.
    First,
    /// As a result: an optional value of the type that stands first.
    Maybe,
    /// As a result: an optional list of texts.
    Complaints,
    /// As a result: what the parameters of an URL are.
    Query,
}

use Library::{Cidr, Format, Ip, Quantity, Semver, Url};
use T::{
    Any, Bool, Bytes as Raw, Duration, First, Inner, Int, Lib, List, Maybe, Number, Optional, Sized, Text, Texts, Time,
};

/// One overload: its name, whether the first parameter stands before the dot, the parameters, the result.
type Signature = (&'static str, bool, &'static [T], T);

const MEMBER: bool = true;
const GLOBAL: bool = false;

#[rustfmt::skip]
const SIGNATURES: &[Signature] = &[
    ("!_", GLOBAL, &[Bool], Bool),
    ("_&&_", GLOBAL, &[Bool, Bool], Bool),
    ("_||_", GLOBAL, &[Bool, Bool], Bool),
    ("@not_strictly_false", GLOBAL, &[Bool], Bool),
    ("-_", GLOBAL, &[Number], First),
    ("_-_", GLOBAL, &[Time, Time], Duration), ("_-_", GLOBAL, &[Time, Duration], Time), ("_-_", GLOBAL, &[Duration, Duration], Duration),
    ("_+_", GLOBAL, &[Text, Text], Text), ("_+_", GLOBAL, &[Raw, Raw], Raw),
    ("_+_", GLOBAL, &[Time, Duration], Time), ("_+_", GLOBAL, &[Duration, Time], Time), ("_+_", GLOBAL, &[Duration, Duration], Duration),

    ("size", GLOBAL, &[Sized], Int), ("size", MEMBER, &[Sized], Int),
    ("contains", MEMBER, &[Text, Text], Bool), ("startsWith", MEMBER, &[Text, Text], Bool), ("endsWith", MEMBER, &[Text, Text], Bool),
    ("matches", MEMBER, &[Text, Text], Bool), ("matches", GLOBAL, &[Text, Text], Bool),
    ("type", GLOBAL, &[Any], T::Type), ("dyn", GLOBAL, &[Any], Any),
    ("int", GLOBAL, &[Any], Int), ("double", GLOBAL, &[Any], Any), ("string", GLOBAL, &[Any], Text), ("bool", GLOBAL, &[Any], Bool),
    ("bytes", GLOBAL, &[Any], Raw), ("duration", GLOBAL, &[Any], Duration), ("timestamp", GLOBAL, &[Any], Time),
    ("getFullYear", MEMBER, &[Time], Int), ("getFullYear", MEMBER, &[Time, Text], Int),
    ("getMonth", MEMBER, &[Time], Int), ("getMonth", MEMBER, &[Time, Text], Int),
    ("getDate", MEMBER, &[Time], Int), ("getDate", MEMBER, &[Time, Text], Int),
    ("getDayOfMonth", MEMBER, &[Time], Int), ("getDayOfMonth", MEMBER, &[Time, Text], Int),
    ("getDayOfYear", MEMBER, &[Time], Int), ("getDayOfYear", MEMBER, &[Time, Text], Int),
    ("getDayOfWeek", MEMBER, &[Time], Int), ("getDayOfWeek", MEMBER, &[Time, Text], Int),
    ("getHours", MEMBER, &[Time], Int), ("getHours", MEMBER, &[Time, Text], Int), ("getHours", MEMBER, &[Duration], Int),
    ("getMinutes", MEMBER, &[Time], Int), ("getMinutes", MEMBER, &[Time, Text], Int), ("getMinutes", MEMBER, &[Duration], Int),
    ("getSeconds", MEMBER, &[Time], Int), ("getSeconds", MEMBER, &[Time, Text], Int), ("getSeconds", MEMBER, &[Duration], Int),
    ("getMilliseconds", MEMBER, &[Time], Int), ("getMilliseconds", MEMBER, &[Time, Text], Int), ("getMilliseconds", MEMBER, &[Duration], Int),

    ("optional.of", GLOBAL, &[Any], Maybe), ("optional.ofNonZeroValue", GLOBAL, &[Any], Maybe),
    ("hasValue", MEMBER, &[Optional], Bool), ("value", MEMBER, &[Optional], Inner),

    ("charAt", MEMBER, &[Text, Int], Text),
    ("indexOf", MEMBER, &[Text, Text], Int), ("indexOf", MEMBER, &[Text, Text, Int], Int), ("indexOf", MEMBER, &[List, Any], Int),
    ("lastIndexOf", MEMBER, &[Text, Text], Int), ("lastIndexOf", MEMBER, &[Text, Text, Int], Int), ("lastIndexOf", MEMBER, &[List, Any], Int),
    ("join", MEMBER, &[Texts], Text), ("join", MEMBER, &[Texts, Text], Text),
    ("lowerAscii", MEMBER, &[Text], Text), ("upperAscii", MEMBER, &[Text], Text), ("trim", MEMBER, &[Text], Text),
    ("replace", MEMBER, &[Text, Text, Text], Text), ("replace", MEMBER, &[Text, Text, Text, Int], Text),
    ("split", MEMBER, &[Text, Text], Texts), ("split", MEMBER, &[Text, Text, Int], Texts),
    ("substring", MEMBER, &[Text, Int], Text), ("substring", MEMBER, &[Text, Int, Int], Text),
    ("format", MEMBER, &[Text, List], Text), ("strings.quote", GLOBAL, &[Text], Text),
    ("reverse", MEMBER, &[Text], Text), ("reverse", MEMBER, &[List], First),
    ("find", MEMBER, &[Text, Text], Text),
    ("findAll", MEMBER, &[Text, Text], Texts), ("findAll", MEMBER, &[Text, Text, Int], Texts),
    ("base64.encode", GLOBAL, &[Raw], Text), ("base64.decode", GLOBAL, &[Text], Raw),

    ("isSorted", MEMBER, &[List], Bool), ("sum", MEMBER, &[List], Inner), ("min", MEMBER, &[List], Inner), ("max", MEMBER, &[List], Inner),
    ("sets.contains", GLOBAL, &[List, List], Bool), ("sets.equivalent", GLOBAL, &[List, List], Bool), ("sets.intersects", GLOBAL, &[List, List], Bool),

    ("quantity", GLOBAL, &[Text], Lib(Quantity)), ("isQuantity", GLOBAL, &[Text], Bool),
    ("isInteger", MEMBER, &[Lib(Quantity)], Bool), ("asInteger", MEMBER, &[Lib(Quantity)], Int), ("sign", MEMBER, &[Lib(Quantity)], Int),
    ("asApproximateFloat", MEMBER, &[Lib(Quantity)], Any),
    ("add", MEMBER, &[Lib(Quantity), Lib(Quantity)], Lib(Quantity)), ("add", MEMBER, &[Lib(Quantity), Int], Lib(Quantity)),
    ("sub", MEMBER, &[Lib(Quantity), Lib(Quantity)], Lib(Quantity)), ("sub", MEMBER, &[Lib(Quantity), Int], Lib(Quantity)),
    ("isLessThan", MEMBER, &[Lib(Quantity), Lib(Quantity)], Bool), ("isLessThan", MEMBER, &[Lib(Semver), Lib(Semver)], Bool),
    ("isGreaterThan", MEMBER, &[Lib(Quantity), Lib(Quantity)], Bool), ("isGreaterThan", MEMBER, &[Lib(Semver), Lib(Semver)], Bool),
    ("compareTo", MEMBER, &[Lib(Quantity), Lib(Quantity)], Int), ("compareTo", MEMBER, &[Lib(Semver), Lib(Semver)], Int),
    ("semver", GLOBAL, &[Text], Lib(Semver)), ("semver", GLOBAL, &[Text, Bool], Lib(Semver)),
    ("isSemver", GLOBAL, &[Text], Bool), ("isSemver", GLOBAL, &[Text, Bool], Bool),
    ("major", MEMBER, &[Lib(Semver)], Int), ("minor", MEMBER, &[Lib(Semver)], Int), ("patch", MEMBER, &[Lib(Semver)], Int),

    ("isIP", GLOBAL, &[Text], Bool), ("ip", GLOBAL, &[Text], Lib(Ip)), ("ip.isCanonical", GLOBAL, &[Text], Bool),
    ("family", MEMBER, &[Lib(Ip)], Int), ("isUnspecified", MEMBER, &[Lib(Ip)], Bool), ("isLoopback", MEMBER, &[Lib(Ip)], Bool),
    ("isLinkLocalMulticast", MEMBER, &[Lib(Ip)], Bool), ("isLinkLocalUnicast", MEMBER, &[Lib(Ip)], Bool), ("isGlobalUnicast", MEMBER, &[Lib(Ip)], Bool),
    ("isCIDR", GLOBAL, &[Text], Bool), ("cidr", GLOBAL, &[Text], Lib(Cidr)),
    ("containsIP", MEMBER, &[Lib(Cidr), Lib(Ip)], Bool), ("containsIP", MEMBER, &[Lib(Cidr), Text], Bool),
    ("containsCIDR", MEMBER, &[Lib(Cidr), Lib(Cidr)], Bool), ("containsCIDR", MEMBER, &[Lib(Cidr), Text], Bool),
    ("ip", MEMBER, &[Lib(Cidr)], Lib(Ip)), ("masked", MEMBER, &[Lib(Cidr)], Lib(Cidr)), ("prefixLength", MEMBER, &[Lib(Cidr)], Int),
    ("isURL", GLOBAL, &[Text], Bool), ("url", GLOBAL, &[Text], Lib(Url)),
    ("getScheme", MEMBER, &[Lib(Url)], Text), ("getHost", MEMBER, &[Lib(Url)], Text), ("getHostname", MEMBER, &[Lib(Url)], Text),
    ("getPort", MEMBER, &[Lib(Url)], Text), ("getEscapedPath", MEMBER, &[Lib(Url)], Text), ("getQuery", MEMBER, &[Lib(Url)], T::Query),
    ("validate", MEMBER, &[Lib(Format), Text], T::Complaints),
];

impl T {
    fn takes(self, given: &Ty<'_>) -> bool {
        match self {
            Self::Sized => {
                matches!(given, Ty::Text | Ty::Bytes | Ty::List(_) | Ty::Map(..) | Ty::Object(_))
                    || given.agrees(&Ty::Type) && !matches!(given, Ty::Type)
            }
            Self::Number => given.is_number() || matches!(given, Ty::Dyn | Ty::Nothing | Ty::Null),
            wanted => wanted.type_of(&[]).agrees(given),
        }
    }

    /// The type for these arguments.
    fn type_of<'a>(self, given: &[Ty<'a>]) -> Ty<'a> {
        let first = || given.first().cloned().unwrap_or(Ty::Dyn);
        match self {
            Self::Any | Self::Number | Self::Sized => Ty::Dyn,
            Self::Bool => Ty::Bool,
            Self::Int => Ty::Int,
            Self::Text => Ty::Text,
            Self::Bytes => Ty::Bytes,
            Self::Time => Ty::Time,
            Self::Duration => Ty::Duration,
            Self::Type => Ty::Type,
            Self::List => Ty::list(Ty::Dyn),
            Self::Texts => Ty::list(Ty::Text),
            Self::Optional => Ty::optional(Ty::Dyn),
            Self::Lib(library) => Ty::Library(library),
            Self::Inner => match first() {
                Ty::List(inner) | Ty::Optional(inner) => Rc::unwrap_or_clone(inner),
                _ => Ty::Dyn,
            },
            Self::First => first(),
            Self::Maybe => Ty::optional(first()),
            Self::Complaints => Ty::optional(Ty::list(Ty::Text)),
            Self::Query => Ty::map(Ty::Text, Ty::list(Ty::Text)),
        }
    }
}

/// Whether a function stands in the table, under this name with its namespace.
pub(super) fn is_listed(name: &str) -> bool {
    SIGNATURES.iter().any(|(listed, ..)| *listed == name)
}

/// The type of a call; nothing if no overload takes these arguments.
pub(super) fn result<'a>(name: &str, member: bool, given: &[Ty<'a>]) -> Option<Ty<'a>> {
    let mut listed = SIGNATURES.iter().filter(|(listed, ..)| *listed == name).peekable();
    if listed.peek().is_none() {
        return Some(Ty::Dyn);
    }
    let fits = |(_, is_member, wanted, _): &&Signature| {
        *is_member == member
            && wanted.len() == given.len()
            && wanted.iter().zip(given).all(|(wanted, given)| wanted.takes(given))
    };
    // Of several that fit, which one it will be is known when there is an object.
    listed.filter(fits).map(|(.., gives)| gives.type_of(given)).reduce(Ty::join)
}

/// Why no overload takes these arguments.
pub(super) fn mismatch(name: &str, member: bool, given: &[Ty<'_>]) -> String {
    let shown: Vec<_> = given.iter().map(ToString::to_string).collect();
    let applied = match shown.split_first() {
        Some((target, arguments)) if member => format!("{target}.({})", arguments.join(", ")),
        _ => format!("({})", shown.join(", ")),
    };
    format!("found no matching overload for '{name}' applied to '{applied}'")
}
