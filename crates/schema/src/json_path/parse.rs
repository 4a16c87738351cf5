//! Reading a path.

use serde_json::Value;

use super::{Comparison, Step};

const MAX_LENGTH: usize = 2048;

pub(super) fn path(text: &str) -> Result<Vec<Step>, String> {
    if text.len() > MAX_LENGTH {
        return Err(format!("longer than {MAX_LENGTH} bytes"));
    }
    let mut rest = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
    if !rest.starts_with(['.', '[']) {
        return Err("must begin with a dot".to_owned());
    }
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let step;
        (step, rest) = match rest.as_bytes()[0] {
            b'.' if rest.len() == 1 && steps.is_empty() => break,
            b'.' => field(&rest[1..])?,
            b'[' => bracket(&rest[1..])?,
            _ => return Err(format!("expected a dot or a bracket at {rest:?}")),
        };
        steps.push(step);
    }
    Ok(steps)
}

fn field(text: &str) -> Result<(Step, &str), String> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => {
                end = at;
                break;
            }
            '{' | '}' | ']' | '(' | ')' | ' ' | '|' => return Err(format!("unexpected {c:?} in a field name")),
            other => name.push(other),
        }
    }
    match name.as_str() {
        "" if text.starts_with('[') => bracket(&text[1..]),
        "" => Err("a field name is missing (recursive descent is not supported)".to_owned()),
        "*" => Ok((Step::All, &text[end..])),
        _ => Ok((Step::Field(name), &text[end..])),
    }
}

fn bracket(text: &str) -> Result<(Step, &str), String> {
    let end = closing(text).ok_or("a bracket is not closed")?;
    let (inner, rest) = (text[..end].trim(), &text[end + 1..]);
    let step = if inner == "*" {
        Step::All
    } else if let Some(filter) = inner.strip_prefix("?(").and_then(|filter| filter.strip_suffix(')')) {
        self::filter(filter)?
    } else if let Some(name) = unquoted(inner) {
        Step::Field(name)
    } else if inner.contains(':') {
        slice(inner).ok_or_else(|| format!("{inner:?} is no slice"))?
    } else {
        Step::Index(inner.parse().map_err(|_| format!("{inner:?} is no index, name or filter"))?)
    };
    Ok((step, rest))
}

/// `start:end:step`, each of which may be left out.
fn slice(text: &str) -> Option<Step> {
    let mut parts = text.split(':').map(str::trim);
    let mut bound = || match parts.next() {
        None | Some("") => Some(None),
        Some(number) => number.parse::<i64>().ok().map(Some),
    };
    let (start, end, step) = (bound()?, bound()?, bound()?.unwrap_or(1));
    let step = usize::try_from(step).ok().filter(|step| *step > 0)?;
    parts.next().is_none().then_some(Step::Slice { start, end, step })
}

/// Where the bracket closes, quotes passed over.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ']') => return Some(at),
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Some(out)
}

fn filter(text: &str) -> Result<Step, String> {
    const OPERATORS: [(&str, Comparison); 6] = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let found = OPERATORS.iter().filter_map(|(sign, test)| text.find(sign).map(|at| (at, sign.len(), *test)));
    let operator = found.min_by_key(|(at, length, _)| (*at, std::cmp::Reverse(*length)));
    let Some((at, length, comparison)) = operator else {
        return Ok(Step::Filter { left: left(text)?, test: None });
    };
    let right = text[at + length..].trim();
    let value = unquoted(right).map(Value::String).or_else(|| serde_json::from_str(right).ok());
    let value = value.ok_or_else(|| format!("{right:?} is no text, number or boolean"))?;
    Ok(Step::Filter { left: left(&text[..at])?, test: Some((comparison, value)) })
}

fn left(text: &str) -> Result<Vec<String>, String> {
    let inner = text.trim().strip_prefix('@').ok_or("a filter begins with @")?;
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    path(inner)?
        .into_iter()
        .map(|step| match step {
            Step::Field(name) => Ok(name),
            other => Err(format!("{other:?} is not supported inside a filter")),
        })
        .collect()
}
