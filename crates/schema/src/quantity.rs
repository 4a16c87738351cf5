//! Kubernetes quantities: `2Gi`, `500m`, `1e3`.

use std::str::FromStr;

/// A quantity, exact to a billionth; what is smaller is rounded away from zero, as Kubernetes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    /// In billionths of the unit.
    nanos: i128,
}

/// The text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct ParseQuantityError;

const NANO: i128 = 1_000_000_000;

impl Quantity {
    /// A whole number of units.
    pub fn from_units(units: i64) -> Self {
        Self { nanos: i128::from(units) * NANO }
    }

    /// In billionths of the unit.
    pub fn nanos(self) -> i128 {
        self.nanos
    }

    /// Rounded up to whole units.
    pub fn ceil(self) -> i128 {
        self.nanos.div_euclid(NANO) + i128::from(self.nanos.rem_euclid(NANO) != 0)
    }

    /// The whole number of units, if it is one and fits.
    pub fn as_integer(self) -> Option<i64> {
        (self.nanos % NANO == 0).then(|| i64::try_from(self.nanos / NANO).ok())?
    }

    /// Near enough for ratios.
    #[expect(clippy::cast_precision_loss, reason = "named approximate")]
    pub fn as_approximate_float(self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    /// The sum, the largest quantity if it does not fit.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos) }
    }

    /// The difference, the smallest quantity if it does not fit.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_sub(other.nanos) }
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(ParseQuantityError)
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 64 {
        return None;
    }
    let (multiplier, exponent) = scale(suffix)?;
    let digits: i128 = format!("0{whole}{fraction}").trim_end_matches('.').parse().ok()?;
    let shift = exponent + 9 - i32::try_from(fraction.len()).ok()?;
    // More than Kubernetes' largest quantity is the largest quantity.
    let scaled =
        digits.checked_mul(multiplier).and_then(|value| shift_decimal(value, shift)).unwrap_or(i128::MAX / NANO);
    Some(Quantity { nanos: if negative { -scaled } else { scaled } })
}

/// A factor and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (1, exponent.clamp(-64, 64))
        }
    })
}

/// Times a power of ten, rounded away from zero.
fn shift_decimal(value: i128, shift: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    if shift >= 0 {
        return if value == 0 { Some(0) } else { value.checked_mul(power?) };
    }
    let Some(power) = power else { return Some(i128::from(value != 0)) };
    Some(value / power + i128::from(value % power != 0))
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn quantities_compare_by_value() {
        for (one, other) in [
            ("2Gi", "2147483648"),
            ("500m", "0.5"),
            ("1e3", "1k"),
            ("1E", "1e18"),
            ("0.1Ki", "102.4"),
            ("-1", "-1000m"),
            ("+5", "5"),
            ("100n", "0.0000001"),
            (".5", "500m"),
            ("5.", "5"),
            ("1.5Gi", "1536Mi"),
            ("0.1n", "1n"),
        ] {
            let parsed = |text: &str| text.parse::<Quantity>().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed(one), parsed(other), "{one} {other}");
        }
        assert!("2Gi".parse::<Quantity>().expect("a quantity") > "2G".parse::<Quantity>().expect("a quantity"));
        assert!("1e400".parse::<Quantity>().is_ok(), "huge values saturate");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "Gi", "1GI", "1 Gi", "1.2.3", "--1", "1e", "1x", "0x10", "١"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }
}
