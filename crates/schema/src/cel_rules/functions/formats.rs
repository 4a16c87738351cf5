//! `format.dns1123Label().validate(text)`: the forms of names and values that Kubernetes knows.

use cel::common::types::{CelList, CelOptional, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env};

use super::opaque::{Known, boxed, known, made};
use super::{Outcome, argument, text};
use crate::format::Format;

static FORMAT: Type = Type::new_unspecified_type("kubernetes.NamedFormat");

/// A name and what is wrong with a text that has not the form.
#[derive(Clone, Copy, Debug)]
struct Named {
    name: &'static str,
    admits: fn(&str) -> bool,
    words: &'static str,
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Known for Named {
    fn cel_type() -> &'static Type {
        &FORMAT
    }
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
     end with an alphanumeric character";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
     must start and end with an alphanumeric character";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
     character, and end with an alphanumeric character";

const FORMATS: [Named; 13] = [
    Named { name: "dns1123Label", admits: is_label, words: LABEL },
    Named { name: "dns1123Subdomain", admits: is_subdomain, words: SUBDOMAIN },
    Named { name: "dns1035Label", admits: is_label_1035, words: LABEL_1035 },
    Named { name: "qualifiedName", admits: is_qualified, words: "must be a name, or a subdomain, '/' and a name" },
    Named { name: "dns1123LabelPrefix", admits: |text| is_label(&completed(text)), words: LABEL },
    Named { name: "dns1123SubdomainPrefix", admits: |text| is_subdomain(&completed(text)), words: SUBDOMAIN },
    Named { name: "dns1035LabelPrefix", admits: |text| is_label_1035(&completed(text)), words: LABEL_1035 },
    Named {
        name: "labelValue",
        admits: |text| text.is_empty() || is_name(text),
        words: "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
                start and end with an alphanumeric character",
    },
    Named { name: "uri", admits: |text| Format::Uri.admits(&text.into()), words: "invalid URI" },
    Named {
        name: "uuid",
        admits: |text| Format::Uuid(None).admits(&text.into()),
        words: "does not match the UUID format",
    },
    Named { name: "byte", admits: |text| Format::Byte.admits(&text.into()), words: "invalid base64" },
    Named { name: "date", admits: |text| Format::Date.admits(&text.into()), words: "invalid date" },
    Named { name: "datetime", admits: |text| Format::DateTime.admits(&text.into()), words: "invalid datetime" },
];

/// The names that rules may call.
pub(super) fn is_known(name: &str) -> bool {
    matches!(name, "named" | "validate") || FORMATS.iter().any(|format| format.name == name)
}

/// One function for each format: a function of the environment cannot hold anything.
macro_rules! declare {
    ($env:ident, $($index:literal)*) => {$(
        let name = FORMATS[$index].name;
        $env.add_overload(&format!("format.{name}"), &format!("format_{name}"), vec![], |_| Ok(made(FORMATS[$index])))?;
    )*};
}

pub(super) fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_type(FORMAT.to_owned())?;
    declare!(env, 0 1 2 3 4 5 6 7 8 9 10 11 12);
    env.add_overload("format.named", "format_named", vec![STRING_TYPE], |arguments| {
        let wanted = text(&arguments, 0)?;
        let found = FORMATS.into_iter().find(|format| format.name == wanted);
        Ok(CowVal::owned(found.map_or_else(CelOptional::none, |format| CelOptional::of(boxed(format)))))
    })?;
    env.add_member_overload("validate", "format_validate", FORMAT.to_owned(), vec![STRING_TYPE], |arguments| {
        validate(&arguments)
    })
}

/// Nothing if the text has the form, else what is wrong with it.
fn validate<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let format = known::<Named>(argument(arguments, 0)?)?;
    if (format.admits)(text(arguments, 1)?) {
        return Ok(CowVal::owned(CelOptional::none()));
    }
    let words: Vec<Box<dyn Val + 'v>> = vec![Box::new(CelString::from(format.words))];
    Ok(CowVal::owned(CelOptional::of(Box::new(CelList::from(words)))))
}

/// A prefix may end with the dash to which the rest is added.
fn completed(prefix: &str) -> String {
    prefix.strip_suffix('-').map_or_else(|| prefix.to_owned(), |start| format!("{start}a"))
}

fn is_part(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

fn is_label_1035(text: &str) -> bool {
    is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_name(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && ends(text.chars().next())
        && ends(text.chars().next_back())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(text),
    }
}
