//! What objects may be called, and what labels, finalizers and the like may look like.

use essaim_schema::FieldError;
use serde_json::Value;

/// The rule for the names of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameRule {
    /// `example.com`: most kinds.
    Subdomain,
    /// `my-name`: namespaces, because they become parts of other names.
    Label,
    /// Anything that can stand in a path: the RBAC kinds.
    PathSegment,
}

/// How many characters of `generateName` are kept; the rest of the room is for the random end.
const GENERATED_BASE: usize = 58;
const GENERATED_SUFFIX: usize = 5;
/// Without vowels and look-alikes, so that no word comes out.
const GENERATED_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The store's keys have an end; this and the rest fit.
const PATH_SEGMENT_BYTES: usize = 512;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

impl NameRule {
    /// What is wrong with a name; for a prefix, with it as the beginning of one.
    pub(super) fn check(self, name: &str, prefix: bool) -> Option<String> {
        // A prefix may end in a dash, since more follows.
        let name = if prefix && self != Self::PathSegment { name.strip_suffix('-').unwrap_or(name) } else { name };
        match self {
            Self::Subdomain => subdomain(name),
            Self::Label => label(name),
            Self::PathSegment => path_segment(name),
        }
    }
}

/// A name from a prefix: five random characters behind it.
pub(super) fn generate(prefix: &str) -> Result<String, getrandom::Error> {
    let mut random = [0; GENERATED_SUFFIX];
    getrandom::fill(&mut random)?;
    let letter = |byte: &u8| char::from(GENERATED_ALPHABET[usize::from(*byte) % GENERATED_ALPHABET.len()]);
    let base = prefix.char_indices().nth(GENERATED_BASE).map_or(prefix, |(end, _)| &prefix[..end]);
    Ok(base.chars().chain(random.iter().map(letter)).collect())
}

/// What is wrong with a DNS subdomain.
pub(super) fn subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 bytes".into());
    }
    (!name.split('.').all(is_label)).then(|| SUBDOMAIN.into())
}

/// What is wrong with a DNS label.
pub(super) fn label(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some("must be no more than 63 bytes".into());
    }
    (!is_label(name)).then(|| LABEL.into())
}

fn path_segment(name: &str) -> Option<String> {
    if name.len() > PATH_SEGMENT_BYTES {
        return Some(format!("must be no more than {PATH_SEGMENT_BYTES} bytes"));
    }
    if name == "." || name == ".." {
        return Some(format!("may not be '{name}'"));
    }
    let bad = ['/', '%'].into_iter().find(|bad| name.contains(*bad));
    bad.map(|bad| format!("may not contain '{bad}'"))
}

fn is_label(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.starts_with(plain) && text.ends_with(plain) && text.chars().all(|letter| plain(letter) || letter == '-')
}

/// What is wrong with `prefix/name`, the form of label keys, annotation keys and finalizers.
pub(super) fn qualified(text: &str) -> Option<String> {
    let name = match text.split_once('/') {
        None => text,
        Some(("", _)) => return Some("prefix part must be non-empty".into()),
        Some((prefix, name)) => {
            if let Some(wrong) = subdomain(prefix) {
                return Some(format!("prefix part {wrong}"));
            }
            name
        }
    };
    match name {
        "" => Some("name part must be non-empty".into()),
        name if name.len() > 63 => Some("name part must be no more than 63 bytes".into()),
        name => (!is_word(name)).then(|| QUALIFIED.into()),
    }
}

/// What is wrong with the value of a label.
pub(super) fn label_value(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes".into());
    }
    (!text.is_empty() && !is_word(text)).then(|| LABEL_VALUE.into())
}

fn is_word(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric();
    text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|letter| plain(letter) || "-_.".contains(letter))
}

/// What is wrong with a map of labels.
pub(super) fn labels(path: &str, labels: Option<&Value>) -> Vec<FieldError> {
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let wrong = labels.flat_map(|(key, value)| {
        let value = value.as_str().unwrap_or_default();
        [(key.as_str(), qualified(key)), (value, label_value(value))]
    });
    wrong.filter_map(|(text, wrong)| Some(FieldError::invalid(path, &Value::from(text), wrong?))).collect()
}

#[cfg(test)]
mod tests {
    use super::{NameRule, generate, label_value, qualified};

    #[test]
    fn names_follow_the_rule_of_their_kind() {
        for name in ["a", "a.b-c.d1", "123"] {
            assert_eq!(NameRule::Subdomain.check(name, false), None, "{name}");
        }
        for name in ["", "A", "-a", "a-", "a..b", "a_b", "a/b", "ä", &"a".repeat(254)] {
            assert!(NameRule::Subdomain.check(name, false).is_some(), "{name}");
        }
        assert!(NameRule::Label.check("a.b", false).is_some());
        assert!(NameRule::Label.check(&"a".repeat(64), false).is_some());
        assert_eq!(NameRule::Label.check("a-", true), None);
        assert_eq!(NameRule::PathSegment.check("system:admin", false), None);
        assert!(NameRule::PathSegment.check("..", false).is_some());
    }

    #[test]
    fn generated_names_fit_and_differ() {
        let long = generate(&"x".repeat(100)).unwrap();
        assert_eq!(long.len(), 63);
        assert!(generate("job-").unwrap().starts_with("job-"));
        assert_ne!(generate("job-").unwrap(), generate("job-").unwrap());
    }

    #[test]
    fn keys_and_values_of_labels() {
        for key in ["app", "example.com/App_1", "a/b"] {
            assert_eq!(qualified(key), None, "{key}");
        }
        for key in ["", "/a", "a/", "a/b/c", "A.B/c", "-a", "a b"] {
            assert!(qualified(key).is_some(), "{key}");
        }
        assert_eq!(label_value(""), None);
        assert!(label_value("a b").is_some());
    }
}
