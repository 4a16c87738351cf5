//! The text of a label selector: tokens, and one requirement made of them.

use std::fmt;

use super::labels::{Demand, Requirement};

/// The requirements of a selector; none of an empty one.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let mut tokens = Tokens::of(text);
    let mut requirements = Vec::new();
    if tokens.peek().is_none() {
        return Ok(requirements);
    }
    loop {
        requirements.push(requirement(&mut tokens)?);
        match tokens.next() {
            None => return Ok(requirements),
            Some(Token::Comma) => {}
            Some(other) => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
        }
    }
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
