//! Formats of strings and numbers that Kubernetes checks; others are kept for documentation and not checked.

use std::net::{Ipv4Addr, Ipv6Addr};

use regex::Regex;
use serde_json::Value;

/// A format that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    DateTime,
    Date,
    Duration,
    Int32,
    Int64,
    Uuid(Option<char>),
    Ipv4,
    Ipv6,
    Cidr,
    Mac,
    Email,
    Hostname,
    Uri,
    Byte,
    HexColor,
}

impl Format {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "date-time" | "datetime" => Self::DateTime,
            "date" => Self::Date,
            "duration" => Self::Duration,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uuid" => Self::Uuid(None),
            "uuid3" => Self::Uuid(Some('3')),
            "uuid4" => Self::Uuid(Some('4')),
            "uuid5" => Self::Uuid(Some('5')),
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "cidr" => Self::Cidr,
            "mac" => Self::Mac,
            "email" => Self::Email,
            "hostname" => Self::Hostname,
            "uri" => Self::Uri,
            "byte" => Self::Byte,
            "hexcolor" => Self::HexColor,
            _ => return None,
        })
    }

    /// The word in messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Duration => "duration",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uuid(None) => "uuid",
            Self::Uuid(Some('3')) => "uuid3",
            Self::Uuid(Some('4')) => "uuid4",
            Self::Uuid(Some(_)) => "uuid5",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Cidr => "cidr",
            Self::Mac => "mac",
            Self::Email => "email",
            Self::Hostname => "hostname",
            Self::Uri => "uri",
            Self::Byte => "byte",
            Self::HexColor => "hexcolor",
        }
    }

    /// Whether the value has the format; a value of a type that the format says nothing about passes.
    pub(crate) fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Int32, Value::Number(number)) => {
                number.as_f64().is_some_and(|n| (-2_147_483_648.0..=2_147_483_647.0).contains(&n))
            }
            (Self::Int64, Value::Number(number)) => {
                number.is_i64()
                    || number.as_f64().is_some_and(|n| number.is_f64() && n.abs() <= 9_223_372_036_854_775_807.0)
            }
            (_, Value::String(text)) => self.admits_text(text),
            _ => true,
        }
    }

    fn admits_text(self, text: &str) -> bool {
        match self {
            Self::DateTime => parse_date_time(text).is_some(),
            Self::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Self::Duration => parse_duration(text).is_some(),
            Self::Uuid(version) => is_uuid(text, version),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Cidr => is_cidr(text),
            Self::Mac => is_mac(text),
            Self::Email => is_email(text),
            Self::Hostname => is_hostname(text),
            Self::Uri => is_uri(text),
            Self::Byte => is_base64(text),
            Self::HexColor => {
                let digits = text.strip_prefix('#').unwrap_or(text);
                matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit())
            }
            Self::Int32 | Self::Int64 => true,
        }
    }
}

/// RFC 3339, as Kubernetes writes times.
pub(crate) fn parse_date_time(text: &str) -> Option<jiff::Timestamp> {
    let shaped = text.len() >= 20 && matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '));
    let zoned = text.ends_with(['Z', 'z'])
        || text.get(text.len().saturating_sub(6)..).is_some_and(|zone| zone.starts_with(['+', '-']));
    (shaped && zoned).then(|| text.parse().ok())?
}

/// Go's duration text: `1h30m`, `-1.5s`, `300ms`, `0`.
pub(crate) fn parse_duration(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut nanos: f64 = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end =
            rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |at| digits + at);
        nanos += number * unit_nanos(&rest[digits..unit_end])?;
        rest = &rest[unit_end..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the comparison before")]
    (nanos < 9.3e18).then_some(sign * nanos.round() as i128)
}

fn unit_nanos(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    let shaped = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()) && text.len() <= 36;
    shaped && version.is_none_or(|version| hex.chars().nth(12) == Some(version))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(bits) = bits.parse::<u8>() else { return false };
    (address.parse::<Ipv4Addr>().is_ok() && bits <= 32) || (address.parse::<Ipv6Addr>().is_ok() && bits <= 128)
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !user.contains(char::is_whitespace) && is_hostname(host))
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// As Go's `url.ParseRequestURI`: absolute, or a path.
fn is_uri(text: &str) -> bool {
    if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return false;
    }
    let scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    text.starts_with('/') || text.split_once(':').is_some_and(|(before, after)| scheme(before) && !after.is_empty())
}

fn is_base64(text: &str) -> bool {
    static SHAPE: std::sync::LazyLock<Option<Regex>> = std::sync::LazyLock::new(|| {
        Regex::new("^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$").ok()
    });
    SHAPE.as_ref().is_some_and(|shape| shape.is_match(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Format;

    #[test]
    fn formats_admit_what_kubernetes_admits() {
        for (format, good, bad) in [
            ("date-time", "2026-02-01T10:00:00Z", "2026-02-01"),
            ("date-time", "2026-02-01T10:00:00.5+01:00", "yesterday"),
            ("date", "2026-02-28", "2026-02-30"),
            ("duration", "1h30m", "1 hour"),
            ("duration", "-1.5s", "5"),
            ("uuid", "2f0d7a2c-9b0e-4c4e-8d4c-111111111111", "2f0d7a2c"),
            ("uuid4", "2f0d7a2c-9b0e-4c4e-8d4c-111111111111", "2f0d7a2c-9b0e-1c4e-8d4c-111111111111"),
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("email", "a@b.fr", "a.b.fr"),
            ("hostname", "a.b.fr", "-a.fr"),
            ("uri", "https://a.fr/x", "a b"),
            ("byte", "aGVsbG8=", "not base64!"),
        ] {
            let parsed = Format::parse(format).expect(format);
            assert!(parsed.admits(&json!(good)), "{format} {good}");
            assert!(!parsed.admits(&json!(bad)), "{format} {bad}");
        }
        assert!(!Format::Int32.admits(&json!(4_294_967_296_i64)));
        assert!(Format::Int64.admits(&json!(4_294_967_296_i64)));
        assert!(!Format::Int64.admits(&json!(u64::MAX)));
    }
}
