//! Kubernetes quantities: `2Gi`, `500m`, `1e3`.

use std::cmp::Ordering;
use std::str::FromStr;

/// A quantity, exact to a billionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    /// In billionths of the unit.
    nanos: i128,
}

/// The text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct ParseQuantityError;

impl Quantity {
    /// In billionths of the unit.
    pub fn nanos(self) -> i128 {
        self.nanos
    }

    /// Rounded up to whole units.
    pub fn ceil(self) -> i128 {
        self.nanos.div_euclid(NANO) + i128::from(self.nanos.rem_euclid(NANO) != 0)
    }

    /// -1, 0 or 1.
    pub fn compare_to(self, other: Self) -> i64 {
        match self.cmp(&other) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }
}

const NANO: i128 = 1_000_000_000;

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let _ = text;
        Err(ParseQuantityError)
    }
}
