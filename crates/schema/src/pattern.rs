//! Regular expressions with the meaning that Go gives them, on the `regex` crate.
//!
//! The two dialects are close. What differs and matters in schemas: `\d`, `\w`, `\s` and `\b` mean ASCII in Go, and inside
//! a class Go takes `[`, `&&`, `--` and `~~` literally.

use regex::{Regex, RegexBuilder};

const MAX_LENGTH: usize = 8 * 1024;
const MAX_PROGRAM: usize = 1 << 20;

/// Compiles `pattern`; the error is one line.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_LENGTH {
        return Err(format!("longer than {MAX_LENGTH} bytes"));
    }
    let result = RegexBuilder::new(&translate(pattern)).size_limit(MAX_PROGRAM).dfa_size_limit(MAX_PROGRAM).build();
    result.map_err(|error| error.to_string().lines().last().unwrap_or_default().trim().to_owned())
}

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut class = Class::Outside;
    while let Some(c) = chars.next() {
        if c == '\\' {
            match chars.next() {
                Some(next) => escape(next, class, &mut out),
                None => out.push('\\'),
            }
            class = class.after_item();
            continue;
        }
        class = match (class, c) {
            (Class::Outside, '[') => {
                out.push('[');
                Class::Start
            }
            (Class::Outside, other) => {
                out.push(other);
                Class::Outside
            }
            (Class::Start, '^') => {
                out.push('^');
                Class::First
            }
            (Class::Start | Class::First, ']') => {
                out.push_str("\\]");
                Class::Inside
            }
            (Class::Inside, ']') => {
                out.push(']');
                Class::Outside
            }
            (_, '[') if chars.peek() == Some(&':') => {
                named_class(&mut chars, &mut out);
                Class::Inside
            }
            (_, special @ ('[' | '&' | '~')) => {
                out.extend(['\\', special]);
                Class::Inside
            }
            (_, '-') if out.ends_with('-') || chars.peek() == Some(&'-') => {
                out.push_str("\\-");
                Class::Inside
            }
            (_, other) => {
                out.push(other);
                Class::Inside
            }
        };
    }
    out
}

/// Where the translation stands: a `]` is literal as the first item of a class.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Outside,
    Start,
    First,
    Inside,
}

impl Class {
    fn after_item(self) -> Self {
        if self == Self::Outside { Self::Outside } else { Self::Inside }
    }
}

/// Copies `:alpha:]` after its opening bracket.
fn named_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    out.push('[');
    for c in chars.by_ref() {
        out.push(c);
        if c == ']' {
            break;
        }
    }
}

fn escape(c: char, class: Class, out: &mut String) {
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\f\\r ]"),
        'S' => out.push_str("[^\\t\\n\\f\\r ]"),
        'b' | 'B' if class == Class::Outside => {
            out.push_str("(?-u:\\");
            out.push(c);
            out.push(')');
        }
        other => out.extend(['\\', other]),
    }
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, matches) in [
            (r"^\d+$", "42", true),
            (r"^\d+$", "٤٢", false),
            (r"^[\w.-]+$", "a_b.c-d", true),
            (r"^[a[]+$", "a[", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]]+$", "abc", true),
            (r"^[[:alpha:]]+$", "abc", true),
            (r"^[a&&b]+$", "&", true),
            (r"^[a-c--]+$", "b-", true),
            (r"\bfoo\b", "a foo b", true),
            (r"^([0-9]+)(m|[KMGT]i?)?$", "2Gi", true),
            (r"^\/srv\/.*$", "/srv/x", true),
        ] {
            let compiled = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(compiled.is_match(text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_go_cannot_do_is_refused() {
        for pattern in [r"(?=a)", r"(a)\1", "(", "[", r"x{100000000}"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
