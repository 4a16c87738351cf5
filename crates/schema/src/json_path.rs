//! The part of kubectl's JSONPath that printer columns use: fields, indices, slices, `*`, and filters on items.

mod parse;

use serde_json::Value;

/// A compiled path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    /// `[start:end:step]`, each counted from the end if it is negative.
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: usize,
    },
    All,
    Filter {
        left: Vec<String>,
        test: Option<(Comparison, Value)>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl JsonPath {
    /// Reads `.status.conditions[?(@.type=="Ready")].status`; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::path(text).map(Self)
    }

    /// The first result.
    pub fn first<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        first(&self.0, object)
    }
}

fn first<'a>(steps: &[Step], value: &'a Value) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Field(name) => first(rest, value.get(name)?),
        Step::Index(index) => {
            let items = value.as_array()?;
            let at = if *index < 0 { i64::try_from(items.len()).ok()? + index } else { *index };
            first(rest, items.get(usize::try_from(at).ok()?)?)
        }
        Step::Slice { start, end, step } => {
            let items = value.as_array()?;
            let at = |bound: i64| {
                let from_end = usize::try_from(bound.unsigned_abs()).unwrap_or(usize::MAX);
                if bound < 0 { items.len().saturating_sub(from_end) } else { from_end.min(items.len()) }
            };
            let (start, end) = (start.map_or(0, at), end.map_or(items.len(), at));
            items.get(start..end)?.iter().step_by(*step).find_map(|item| first(rest, item))
        }
        Step::All => match value {
            Value::Array(items) => items.iter().find_map(|item| first(rest, item)),
            Value::Object(map) => map.values().find_map(|item| first(rest, item)),
            _ => None,
        },
        Step::Filter { left, test } => {
            let passes = |item: &&Value| holds(left, test.as_ref(), item);
            value.as_array()?.iter().filter(passes).find_map(|item| first(rest, item))
        }
    }
}

fn holds(left: &[String], test: Option<&(Comparison, Value)>, item: &Value) -> bool {
    let Some(found) = left.iter().try_fold(item, |value, name| value.get(name)) else { return false };
    let Some((comparison, wanted)) = test else { return true };
    let order = match (found, wanted) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(std::cmp::Ordering::Equal),
    };
    match comparison {
        Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::Unequal => !order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::JsonPath;

    #[test]
    fn the_paths_of_printer_columns_find_their_value() {
        let object = json!({
            "metadata": {"annotations": {"a.b/c": "noted"}},
            "spec": {"x": 1, "list": [{"n": 1}, {"n": 2, "m": "two"}]},
            "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True", "reason": "Up"}]},
        });
        for (path, expected) in [
            (".spec.x", json!(1)),
            (".status.conditions[?(@.type==\"Ready\")].status", json!("True")),
            (".status.conditions[?(@.type=='Ready')].reason", json!("Up")),
            (".status.conditions[?(@.reason)].type", json!("Ready")),
            (".spec.list[0].n", json!(1)),
            (".spec.list[-1].m", json!("two")),
            (".spec.list[*].m", json!("two")),
            (".status.conditions[-1:].type", json!("Ready")),
            (".status.conditions[0:2].type", json!("Synced")),
            (".status.conditions[1:].type", json!("Ready")),
            (".status.conditions[:-1].type", json!("Synced")),
            (".spec.list[0:2:1].m", json!("two")),
            (".spec.list[-9:9].n", json!(1)),
            (".spec.list[?(@.n>1)].m", json!("two")),
            (".metadata.annotations['a.b/c']", json!("noted")),
            (r".metadata.annotations.a\.b/c", json!("noted")),
            ("{.spec.x}", json!(1)),
        ] {
            let parsed = JsonPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(parsed.first(&object), Some(&expected), "{path}");
        }
        for path in [".spec.list[2:].n", ".spec.list[1:1].n", ".spec.list[1:0].n", ".spec[0:1]"] {
            assert_eq!(JsonPath::parse(path).expect("a path").first(&object), None, "{path}");
        }
        let missing = JsonPath::parse(".spec.nothing.here").expect("a path");
        assert_eq!(missing.first(&object), None);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for path in ["spec.x", ".spec[", ".spec..x", ".a[?(@.b==)]", ".a['b", ".a[x]", ".a[1:x]", ".a[::0]", ""] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
