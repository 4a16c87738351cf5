//! `fieldSelector`: equality only. Which fields exist is the registry's business.

use crate::ApiError;

/// One term of a field selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldTerm {
    /// `metadata.name`
    pub(crate) field: String,
    /// What it is compared with.
    pub(crate) value: String,
    /// False for `!=`.
    pub(crate) equal: bool,
}

/// A parsed `fieldSelector`; the empty one chooses everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// Reads `metadata.name=x,spec.class!=y`; a backslash escapes commas, equal signs and itself.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let refuse = || ApiError::bad_request(format!("invalid field selector: {text:?}; can't understand it"));
        let terms = split_unescaped(text).into_iter().filter(|term| !term.is_empty());
        let terms = terms.map(|term| field_term(&term).ok_or_else(refuse)).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }

    /// Whether it chooses everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Its terms, for checking which fields it names.
    pub(crate) fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The value that the field must have, if one term demands equality.
    pub(crate) fn required(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }

    /// Whether every term holds; `value_of` gives a field's value as text, empty if it is absent.
    pub(crate) fn matches(&self, value_of: impl Fn(&str) -> String) -> bool {
        self.terms.iter().all(|term| (value_of(&term.field) == term.value) == term.equal)
    }
}

fn field_term(term: &str) -> Option<FieldTerm> {
    let mut escaped = false;
    let split = term.char_indices().find(|(_, letter)| {
        let hit = !escaped && matches!(letter, '=' | '!');
        escaped = !escaped && *letter == '\\';
        hit
    });
    let (at, _) = split?;
    let (field, rest) = term.split_at(at);
    let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
        (false, value)
    } else {
        (true, rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?)
    };
    Some(FieldTerm { field: field.trim().to_owned(), value: unescape(value)?, equal })
}

fn split_unescaped(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for letter in text.chars() {
        if letter == ',' && !escaped {
            terms.push(String::new());
            continue;
        }
        escaped = !escaped && letter == '\\';
        if let Some(term) = terms.last_mut() {
            term.push(letter);
        }
    }
    terms
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next()? {
                plain @ ('\\' | ',' | '=') => out.push(plain),
                _ => return None,
            },
            ',' | '=' => return None,
            other => out.push(other),
        }
    }
    Some(out)
}
