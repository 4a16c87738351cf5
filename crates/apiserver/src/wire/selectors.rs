//! `labelSelector` and `fieldSelector`: the two little languages that choose objects.
//!
//! Labels know sets (`in`, `notin`, existence); fields only equality. Which fields a resource can be selected by is the
//! registry's business: it walks [`FieldSelector::terms`] and refuses what it does not know.

use std::fmt;

use serde_json::Value;

use crate::ApiError;

/// What one label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Demand {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    demand: Demand,
}

impl Requirement {
    /// As Kubernetes does it, `notin` and `!=` also choose objects that lack the label.
    fn matches(&self, value: Option<&str>) -> bool {
        let number = |text: &str| text.parse::<i64>().ok();
        match &self.demand {
            Demand::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Demand::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
            Demand::Exists => value.is_some(),
            Demand::DoesNotExist => value.is_none(),
            Demand::GreaterThan(bound) => value.and_then(number).is_some_and(|value| value > *bound),
            Demand::LessThan(bound) => value.and_then(number).is_some_and(|value| value < *bound),
        }
    }
}

/// A parsed `labelSelector`; the empty one chooses everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (f,g),h,!i`.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let refuse = |detail: String| ApiError::bad_request(format!("unable to parse requirement: {detail}"));
        let mut tokens = Tokens::of(text);
        let mut requirements = Vec::new();
        if tokens.peek().is_none() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(requirement(&mut tokens).map_err(refuse)?);
            match tokens.next() {
                None => return Ok(Self { requirements }),
                Some(Token::Comma) => {}
                Some(other) => return Err(refuse(format!("found '{other}', expected: ',' or 'end of string'"))),
            }
        }
    }

    /// Reads a selector that is an object, `{matchLabels, matchExpressions}`; nothing if it cannot be understood.
    pub(crate) fn from_object(selector: &Value) -> Option<Self> {
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            requirements.push(Requirement { key: key.clone(), demand: Demand::In(vec![value.as_str()?.to_owned()]) });
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
            let values = values.map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
            let demand = match expression.get("operator")?.as_str()? {
                "In" => Demand::In(values),
                "NotIn" => Demand::NotIn(values),
                "Exists" => Demand::Exists,
                "DoesNotExist" => Demand::DoesNotExist,
                _ => return None,
            };
            requirements.push(Requirement { key: expression.get("key")?.as_str()?.to_owned(), demand });
        }
        Some(Self { requirements })
    }

    /// Whether it chooses everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the object's `metadata.labels` meet every requirement.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        self.requirements
            .iter()
            .all(|one| one.matches(labels.and_then(|labels| labels.get(&one.key)).and_then(Value::as_str)))
    }
}

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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Comma,
    Open,
    Close,
    Not,
    Equal,
    NotEqual,
    Greater,
    Less,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Word(word) => word,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
        })
    }
}

/// The tokens of a label selector.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn of(rest: &'a str) -> Self {
        Self { rest }
    }

    fn peek(&self) -> Option<Token> {
        Self { rest: self.rest }.next()
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        const MARKS: [(&str, Token); 9] = [
            ("==", Token::Equal),
            ("!=", Token::NotEqual),
            ("=", Token::Equal),
            ("!", Token::Not),
            (",", Token::Comma),
            ("(", Token::Open),
            (")", Token::Close),
            (">", Token::Greater),
            ("<", Token::Less),
        ];
        self.rest = self.rest.trim_start();
        for (mark, token) in MARKS {
            if let Some(rest) = self.rest.strip_prefix(mark) {
                self.rest = rest;
                return Some(token);
            }
        }
        let special = |letter: char| letter.is_whitespace() || "=!,()<>".contains(letter);
        let end = self.rest.find(special).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| Token::Word(word.to_owned()))
    }
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<Requirement, String> {
    let negated = tokens.peek() == Some(Token::Not) && tokens.next().is_some();
    let key = match tokens.next() {
        Some(Token::Word(key)) if is_key(&key) => key,
        Some(other) => return Err(format!("found '{other}', expected: identifier")),
        None => return Err("found '', expected: identifier".into()),
    };
    if negated {
        return Ok(Requirement { key, demand: Demand::DoesNotExist });
    }
    let demand = match tokens.peek() {
        None | Some(Token::Comma) => Demand::Exists,
        Some(operator) => {
            tokens.next();
            demand(&operator, tokens)?
        }
    };
    Ok(Requirement { key, demand })
}

fn demand(operator: &Token, tokens: &mut Tokens<'_>) -> Result<Demand, String> {
    match operator {
        Token::Equal => Ok(Demand::In(vec![exact_value(tokens)?])),
        Token::NotEqual => Ok(Demand::NotIn(vec![exact_value(tokens)?])),
        Token::Greater => Ok(Demand::GreaterThan(bound(tokens)?)),
        Token::Less => Ok(Demand::LessThan(bound(tokens)?)),
        Token::Word(word) if word == "in" => Ok(Demand::In(value_set(tokens)?)),
        Token::Word(word) if word == "notin" => Ok(Demand::NotIn(value_set(tokens)?)),
        other => Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
    }
}

/// A value after `=`; none at all is the empty value.
fn exact_value(tokens: &mut Tokens<'_>) -> Result<String, String> {
    match tokens.peek() {
        Some(Token::Word(word)) => {
            tokens.next();
            checked_value(word)
        }
        None | Some(Token::Comma) => Ok(String::new()),
        Some(other) => Err(format!("found '{other}', expected: identifier")),
    }
}

fn bound(tokens: &mut Tokens<'_>) -> Result<i64, String> {
    let text = exact_value(tokens)?;
    text.parse().map_err(|_| format!("for 'Gt', 'Lt' operators, the value must be an integer, got {text:?}"))
}

fn value_set(tokens: &mut Tokens<'_>) -> Result<Vec<String>, String> {
    if tokens.next() != Some(Token::Open) {
        return Err("expected: '('".into());
    }
    let mut values = Vec::new();
    loop {
        values.push(match tokens.peek() {
            Some(Token::Word(word)) => {
                tokens.next();
                checked_value(word)?
            }
            _ => String::new(),
        });
        match tokens.next() {
            Some(Token::Comma) => {}
            Some(Token::Close) => return Ok(values),
            other => {
                return Err(format!(
                    "found '{}', expected: ',', or ')'",
                    other.map(|one| one.to_string()).unwrap_or_default()
                ));
            }
        }
    }
}

/// `prefix/name`, as label keys are.
fn is_key(key: &str) -> bool {
    let name = match key.split_once('/') {
        Some((prefix, name)) => {
            let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
            if prefix.is_empty() || prefix.len() > 253 || !prefix.chars().all(plain) {
                return false;
            }
            name
        }
        None => key,
    };
    !name.is_empty() && is_label_word(name)
}

fn checked_value(value: String) -> Result<String, String> {
    if is_label_word(&value) {
        return Ok(value);
    }
    Err(format!(
        "values[0][key]: Invalid value: {value:?}: a valid label must consist of alphanumeric characters, '-', '_' or '.'"
    ))
}

fn is_label_word(text: &str) -> bool {
    let edge = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
        && edge(text.chars().next())
        && edge(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{FieldSelector, LabelSelector};

    fn chooses(selector: &str) -> bool {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front", "n": "5", "empty": ""}}});
        LabelSelector::parse(selector).unwrap().matches(&object)
    }

    #[test]
    fn label_selectors_choose_as_kubernetes_does() {
        for selector in [
            "",
            "app=web",
            "app==web",
            "app!=db",
            "gone!=x",
            "app in (db, web)",
            "tier notin (back)",
            "gone notin (x)",
            "app",
            "!gone",
            "app=web,tier in (front),!gone",
            "n>4",
            "n<6",
            "empty=",
            "empty in ()",
            " app = web ",
        ] {
            assert!(chooses(selector), "{selector}");
        }
        for selector in [
            "app=db",
            "app!=web",
            "app in (db)",
            "app notin (web)",
            "!app",
            "gone",
            "n>5",
            "gone=",
            "app=web,tier=back",
        ] {
            assert!(!chooses(selector), "{selector}");
        }
    }

    #[test]
    fn malformed_label_selectors_are_refused() {
        for selector in
            ["=", "a=b=c", "a in", "a in (b", "a b", ",", "a,", "a=b c", "!a=b", "-x=y", "a=-b", "a in b", "a/b/c"]
        {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn field_selectors_compare_for_equality() {
        let value = |field: &str| if field == "metadata.name" { "a,b".to_owned() } else { String::new() };
        let chooses = |selector: &str| FieldSelector::parse(selector).unwrap().matches(value);
        assert!(chooses(r"metadata.name=a\,b"));
        assert!(chooses(r"metadata.name==a\,b,spec.x!=1"));
        assert!(chooses("spec.x="));
        assert!(!chooses("metadata.name=a"));
        assert!(FieldSelector::parse("metadata.name").is_err());
        assert!(FieldSelector::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_required_name_is_found() {
        let selector = FieldSelector::parse("metadata.namespace!=x,metadata.name=y").unwrap();
        assert_eq!(selector.required("metadata.name"), Some("y"));
        assert_eq!(selector.required("metadata.namespace"), None);
    }
}
