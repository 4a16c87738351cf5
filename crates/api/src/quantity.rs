//! Amounts of memory and processor time, written as Kubernetes writes them: `512Mi`, `2Gi`, `500m`, `1.5`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The largest amount: whole tebibytes, so that it can be written again.
const LARGEST: i64 = i64::MAX >> 40 << 40;

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with a known suffix.
    #[error("{0:?} is no amount: write a number and a suffix, such as 512Mi, 2Gi or 500m")]
    Malformed(String),
    /// Zero, or more digits than can be counted with.
    #[error("{0:?} is out of range")]
    OutOfRange(String),
}

/// An amount of memory; the text is kept as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Memory {
    text: String,
    bytes: i64,
}

impl Memory {
    /// The amount in bytes, at least 1.
    pub fn bytes(&self) -> i64 {
        self.bytes
    }

    /// An amount in whole bytes, written with the largest binary suffix that keeps it exact.
    pub fn from_bytes(bytes: i64) -> Self {
        let suffixes = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
        let exact = suffixes.iter().find(|(_, shift)| bytes > 0 && bytes % (1_i64 << shift) == 0);
        let text = exact.map_or_else(|| bytes.to_string(), |(suffix, shift)| format!("{}{suffix}", bytes >> shift));
        Self { text, bytes }
    }
}

/// An amount of processor time: 1 is one processor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpu {
    text: String,
    nanos: i64,
}

impl Cpu {
    /// The amount in billionths of a processor, as Docker counts, at least 1.
    pub fn nanos(&self) -> i64 {
        self.nanos
    }
}

macro_rules! quantity {
    ($type:ident, $field:ident, $scale:expr, $pattern:literal, $what:literal, $example:literal) => {
        impl FromStr for $type {
            type Err = QuantityError;

            fn from_str(text: &str) -> Result<Self, QuantityError> {
                Ok(Self { text: text.to_owned(), $field: parse(text, $scale)? })
            }
        }

        impl TryFrom<String> for $type {
            type Error = QuantityError;

            fn try_from(text: String) -> Result<Self, QuantityError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(quantity: $type) -> String {
                quantity.text
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "maxLength": 32, "pattern": $pattern, "description": $what, "example": $example})
            }
        }
    };
}

quantity!(
    Memory,
    bytes,
    1,
    r"^([1-9][0-9]{0,14}(\.[0-9]{1,9})?|0\.0{0,8}[1-9][0-9]{0,8})(k|M|G|T|Ki|Mi|Gi|Ti)?$",
    "An amount of memory, such as 512Mi or 2Gi.",
    "2Gi"
);
quantity!(
    Cpu,
    nanos,
    1_000_000_000,
    r"^([1-9][0-9]{0,14}(\.[0-9]{1,9})?|0\.0{0,8}[1-9][0-9]{0,8})m?$",
    "An amount of processor time: 1 is one processor, 500m is half of one.",
    "500m"
);

/// Reads a decimal number with a suffix, in units of `1 / scale`, rounding up as Kubernetes does; what is too large for any machine counts
/// as the largest number. Invariant: whatever the schema's pattern admits is read, since one object that cannot be read stops a watch.
fn parse(text: &str, scale: i128) -> Result<i64, QuantityError> {
    let malformed = || QuantityError::Malformed(text.to_owned());
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (multiplier, divisor): (i128, i128) = match suffix {
        "" => (1, 1),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        _ => return Err(malformed()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
        return Err(malformed());
    }
    let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| malformed())?;
    let amount = || {
        let unit = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(divisor)?;
        let numerator = digits.checked_mul(multiplier)?.checked_mul(scale)?;
        let rounded_up = numerator.checked_add(unit - 1)? / unit;
        (rounded_up > 0).then(|| i64::try_from(rounded_up).unwrap_or(LARGEST).min(LARGEST))
    };
    amount().ok_or_else(|| QuantityError::OutOfRange(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubernetes_reads() {
        let bytes = |text: &str| text.parse::<Memory>().unwrap().bytes();
        assert_eq!(bytes("2Gi"), 2 << 30);
        assert_eq!(bytes("2G"), 2_000_000_000);
        assert_eq!(bytes("1.5Gi"), 3 << 29);
        assert_eq!(bytes("7"), 7);
        assert_eq!("500m".parse::<Cpu>().unwrap().nanos(), 500_000_000);
        assert_eq!("1.25".parse::<Cpu>().unwrap().nanos(), 1_250_000_000);
    }

    /// One object that cannot be read stops the watch of all.
    #[test]
    fn whatever_the_schema_admits_is_read() {
        let read = |text: &str| text.parse::<Memory>().is_ok();
        let pattern = |schema: Schema| regex::Regex::new(schema.as_value()["pattern"].as_str().unwrap()).unwrap();
        let memory = pattern(Memory::json_schema(&mut SchemaGenerator::default()));
        let cpu = pattern(Cpu::json_schema(&mut SchemaGenerator::default()));
        let numbers = [
            "0",
            "0.0",
            "1",
            "00",
            "0.000000001",
            "0.00000000000000001",
            "1.",
            ".5",
            "999999999999999.999999999",
            "9999999999999999999999",
            "02",
        ];
        let suffixes = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "Pi", "e3"];
        for (number, suffix) in numbers.iter().flat_map(|number| suffixes.map(|suffix| (number, suffix))) {
            let text = format!("{number}{suffix}");
            assert!(!memory.is_match(&text) || read(&text), "memory {text:?} is admitted and cannot be read");
            assert!(!cpu.is_match(&text) || text.parse::<Cpu>().is_ok(), "cpu {text:?} is admitted and cannot be read");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", "Gi", "3 potatoes", "-1Gi", ".5Gi", "1.", "1e3", "0", "1Zi", &"9".repeat(40)] {
            assert!(text.parse::<Memory>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn writes_the_largest_exact_suffix() {
        assert_eq!(Memory::from_bytes(2 << 30).to_string(), "2Gi");
        assert_eq!(Memory::from_bytes(1_000).to_string(), "1000");
        let largest: Memory = "999999999999999Ti".parse().unwrap();
        assert_eq!(Memory::from_bytes(largest.bytes()).to_string(), "8388607Ti");
    }
}
