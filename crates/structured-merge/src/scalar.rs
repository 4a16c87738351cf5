//! Scalars with the order and equality that keys of list items need.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

/// Integers below this have an exact `f64`, so `1` and `1.0` can be the same key.
const EXACT_IN_F64: f64 = 9_007_199_254_740_992.0;

/// A JSON scalar that can be a key: ordered, and equal by number rather than by spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scalar(Repr);

/// The variants stand in the order in which keys are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Repr {
    Null,
    Bool(bool),
    Signed(i64),
    /// *Invariant*: greater than `i64::MAX`.
    Unsigned(u64),
    Float(Float),
    String(String),
}

#[derive(Debug, Clone, Copy)]
struct Float(f64);

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Float {}

impl Scalar {
    /// The scalar in a JSON value; `None` for lists and maps.
    pub fn new(value: &Value) -> Option<Self> {
        let repr = match value {
            Value::Null => Repr::Null,
            Value::Bool(bool) => Repr::Bool(*bool),
            Value::String(string) => Repr::String(string.clone()),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(signed), ..) => Repr::Signed(signed),
                (_, Some(unsigned), _) => Repr::Unsigned(unsigned),
                (_, _, Some(float)) => Repr::float(float),
                (None, None, None) => return None,
            },
            Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Self(repr))
    }

    /// The JSON value.
    pub fn to_value(&self) -> Value {
        match &self.0 {
            Repr::Null => Value::Null,
            Repr::Bool(bool) => Value::from(*bool),
            Repr::Signed(signed) => Value::from(*signed),
            Repr::Unsigned(unsigned) => Value::from(*unsigned),
            Repr::Float(float) => Value::from(float.0),
            Repr::String(string) => Value::from(string.as_str()),
        }
    }
}

impl Repr {
    fn float(float: f64) -> Self {
        if float.fract() != 0.0 || float.abs() >= EXACT_IN_F64 {
            return Self::Float(Float(float));
        }
        #[expect(clippy::cast_possible_truncation, reason = "integral and within the range that was just checked")]
        Self::Signed(float as i64)
    }
}

/// As JSON, which is how paths in messages show keys.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}

impl From<&str> for Scalar {
    fn from(string: &str) -> Self {
        Self(Repr::String(string.to_owned()))
    }
}

/// Whether two values are equal, numbers by what they count.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        (Value::Number(_), Value::Number(_)) => left == right || Scalar::new(left) == Scalar::new(right),
        _ => left == right,
    }
}
