//! `semver("1.2.3")` and what can be asked of it.

use std::cmp::Ordering;

use cel::common::types::{BOOL_TYPE, CelBool, CelInt, STRING_TYPE, Type};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env, ExecutionError};

use super::opaque::{Known, known, made};
use super::{Outcome, argument, text, yes_or_no};

static SEMVER: Type = Type::new_unspecified_type("kubernetes.Semver");

/// A semantic version. What stands after `+` is read and counts for nothing.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    numbers: [u64; 3],
    pre_release: Vec<Identifier>,
}

/// Numbers come before words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl Known for Version {
    fn cel_type() -> &'static Type {
        &SEMVER
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
        if build.is_some_and(|build| !build.split('.').all(is_identifier)) {
            return None;
        }
        let (numbers, pre_release) = rest.split_once('-').map_or((rest, None), |(rest, pre)| (rest, Some(pre)));
        let mut parts = numbers.split('.').map(number);
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        let pre_release = pre_release.map_or(Some(Vec::new()), |pre| pre.split('.').map(identifier).collect())?;
        parts.next().is_none().then_some(Self { numbers, pre_release })
    }

    /// Takes `v` in front, a missing minor or patch number, and leading zeros.
    fn parse_normalized(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts: Vec<String> = text.splitn(3, '.').map(without_leading_zeros).collect();
        if parts.len() < 3 && parts.last().is_some_and(|last| last.contains(['+', '-'])) {
            return None;
        }
        parts.resize(3, "0".to_owned());
        Self::parse(&parts.join("."))
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_pre_release = match (self.pre_release.is_empty(), other.pre_release.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre_release.cmp(&other.pre_release),
        };
        self.numbers.cmp(&other.numbers).then(by_pre_release)
    }
}

fn without_leading_zeros(part: &str) -> String {
    let rest = part.trim_start_matches('0');
    if rest.starts_with(|c: char| c.is_ascii_digit()) || part.is_empty() {
        rest.to_owned()
    } else {
        let zero = if part.len() > 1 || part == "0" { "0" } else { "" };
        format!("{zero}{rest}")
    }
}

fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn identifier(text: &str) -> Option<Identifier> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).map(Identifier::Number);
    }
    is_identifier(text).then(|| Identifier::Word(text.to_owned()))
}

pub(super) fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    let this = || SEMVER.to_owned();
    let other = || vec![SEMVER.to_owned()];
    env.add_type(this())?;
    env.add_overload("semver", "string_to_semver", vec![STRING_TYPE], |arguments| semver(&arguments))?;
    env.add_overload("semver", "string_bool_to_semver", vec![STRING_TYPE, BOOL_TYPE], |arguments| semver(&arguments))?;
    env.add_overload("isSemver", "is_semver_string", vec![STRING_TYPE], |arguments| {
        Ok(yes_or_no(read(&arguments)?.is_some()))
    })?;
    env.add_overload("isSemver", "is_semver_string_bool", vec![STRING_TYPE, BOOL_TYPE], |arguments| {
        Ok(yes_or_no(read(&arguments)?.is_some()))
    })?;
    env.add_member_overload("isLessThan", "semver_is_less_than", this(), other(), |arguments| {
        Ok(yes_or_no(order(&arguments)?.is_lt()))
    })?;
    env.add_member_overload("isGreaterThan", "semver_is_greater_than", this(), other(), |arguments| {
        Ok(yes_or_no(order(&arguments)?.is_gt()))
    })?;
    env.add_member_overload("compareTo", "semver_compare_to", this(), other(), |arguments| {
        let order = order(&arguments)?;
        Ok(CowVal::owned(CelInt::from(order as i64)))
    })?;
    env.add_member_overload("major", "semver_major", this(), vec![], |arguments| component(&arguments, 0))?;
    env.add_member_overload("minor", "semver_minor", this(), vec![], |arguments| component(&arguments, 1))?;
    env.add_member_overload("patch", "semver_patch", this(), vec![], |arguments| component(&arguments, 2))
}

fn read(arguments: &[CowVal<'_, '_>]) -> Result<Option<Version>, ExecutionError> {
    let normalize = arguments.get(1).and_then(|flag| flag.downcast_ref::<CelBool>()).is_some_and(|flag| *flag.inner());
    let text = text(arguments, 0)?;
    Ok(if normalize { Version::parse_normalized(text) } else { Version::parse(text) })
}

fn semver<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let version = read(arguments)?;
    version.map(made).ok_or_else(|| ExecutionError::function_error("semver", "invalid semantic version"))
}

fn order(arguments: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    Ok(known::<Version>(argument(arguments, 0)?)?.compare(known::<Version>(argument(arguments, 1)?)?))
}

fn component<'b, 'v>(arguments: &[CowVal<'b, 'v>], index: usize) -> Outcome<'b, 'v> {
    let number = known::<Version>(argument(arguments, 0)?)?.numbers[index];
    Ok(CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX))))
}

#[cfg(test)]
mod tests {
    use super::{Version, without_leading_zeros};

    #[test]
    fn versions_are_read_or_refused() {
        for (text, strict, normalized) in [
            ("1.2.3", true, true),
            ("0.1.0-alpha.1", true, true),
            ("1.0.0-a-b.x+build.01", true, true),
            ("v1.0.0", false, true),
            ("1.0", false, true),
            ("1", false, true),
            ("01.01.01", false, true),
            ("00.0.0", false, true),
            ("1.0.0-01", false, false),
            ("1.0-alpha", false, false),
            ("1.0.0.0", false, false),
            ("1.0.0-", false, false),
            ("1.0.0+", false, false),
            ("1.0.0-é", false, false),
            ("200K", false, false),
            ("vv1", false, false),
            ("", false, false),
            ("v", false, false),
            (" 1.0.0", false, false),
            ("-1.0.0", false, false),
            ("18446744073709551616.0.0", false, false),
        ] {
            assert_eq!(Version::parse(text).is_some(), strict, "{text}");
            assert_eq!(Version::parse_normalized(text).is_some(), normalized, "{text}, normalized");
        }
        for (text, shorter) in
            [("01", "1"), ("00", "0"), ("0", "0"), ("0-a", "0-a"), ("00-a", "0-a"), ("10", "10"), ("", "")]
        {
            assert_eq!(without_leading_zeros(text), shorter, "{text}");
        }
    }

    #[test]
    fn versions_have_their_order() {
        let ordered = [
            "0.9.9",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0",
            "1.0.10",
            "1.2.0",
        ];
        let versions: Vec<_> = ordered.iter().map(|text| Version::parse(text).unwrap()).collect();
        for (index, version) in versions.iter().enumerate() {
            for (other_index, other) in versions.iter().enumerate() {
                assert_eq!(
                    version.compare(other),
                    index.cmp(&other_index),
                    "{} {}",
                    ordered[index],
                    ordered[other_index]
                );
            }
        }
        let built = |text| Version::parse(text).unwrap();
        assert_eq!(built("1.0.0+a"), built("1.0.0+b"));
    }
}
