//! The functions that rules may call: the language's own, its string library, and what Kubernetes adds.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cel::common::traits::Iterable;
use cel::common::types::{CelBool, CelInt, CelList, CelString, DYN_TYPE, LIST_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError, extensions};
use regex::Regex;

use super::Outcome;
use crate::pattern;

mod formats;
mod lists;
mod loops;
mod net;
mod opaque;
mod quantity;
mod semver;
mod sets;
mod url;

/// What a rule may build: a text of that many bytes, a list of that many items.
const MAX_BUILT: usize = 1 << 20;

/// Checks the size of what an operator built; no rule can write this name.
pub(super) const BOUNDED: &str = "@bounded";
/// Calls that are replaced by bounded ones of the same meaning.
pub(super) const REPLACED: &[(&str, &str)] = &[("matches", "@matches"), ("replace", "@replace"), ("join", "@join")];

/// The names that a rule may call, beside those of formats.
const KNOWN: &[&str] = &[
    // The language.
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "type",
    "dyn",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "duration",
    "timestamp",
    "getFullYear",
    "getMonth",
    "getDayOfMonth",
    "getDate",
    "getDayOfYear",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "has",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "of",
    "none",
    "ofNonZeroValue",
    "hasValue",
    "value",
    "or",
    "orValue",
    "optMap",
    "optFlatMap",
    // Texts.
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "trim",
    "replace",
    "split",
    "substring",
    "format",
    "quote",
    "reverse",
    "find",
    "findAll",
    "encode",
    "decode",
    // Kubernetes.
    "quantity",
    "isQuantity",
    "isLessThan",
    "isGreaterThan",
    "compareTo",
    "asInteger",
    "isInteger",
    "asApproximateFloat",
    "sign",
    "add",
    "sub",
    "isSorted",
    "sum",
    "min",
    "max",
    "isIP",
    "ip",
    "isCanonical",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "isCIDR",
    "cidr",
    "containsIP",
    "containsCIDR",
    "masked",
    "prefixLength",
    "isURL",
    "url",
    "getScheme",
    "getHost",
    "getHostname",
    "getPort",
    "getEscapedPath",
    "getQuery",
    "equivalent",
    "intersects",
    "semver",
    "isSemver",
    "major",
    "minor",
    "patch",
];

/// Whether a rule may call a function of this name.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || formats::is_known(name)
}

/// The environment, built once.
pub(super) fn env() -> Arc<Env> {
    static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::stdlib();
        // Names are registered once each; a test calls every one of them.
        let declared = extend(&mut env);
        debug_assert_eq!(declared, Ok(()));
        Arc::new(env)
    });
    Arc::clone(&ENV)
}

fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::encoders)?;
    env.add_overload(BOUNDED, "bounded", vec![DYN_TYPE], bounded)?;
    let text = || vec![STRING_TYPE];
    env.add_member_overload("@matches", "matches_go", STRING_TYPE, text(), |arguments| matches(&arguments))?;
    env.add_overload("@matches", "matches_go_global", vec![STRING_TYPE, STRING_TYPE], |arguments| matches(&arguments))?;
    env.add_member_overload("@replace", "replace_bounded", STRING_TYPE, vec![STRING_TYPE, STRING_TYPE], |arguments| {
        replace(&arguments)
    })?;
    let counted = vec![STRING_TYPE, STRING_TYPE, cel::common::types::INT_TYPE];
    env.add_member_overload("@replace", "replace_bounded_n", STRING_TYPE, counted, |arguments| replace(&arguments))?;
    env.add_member_overload("@join", "join_bounded", LIST_TYPE, vec![], |arguments| join(&arguments))?;
    env.add_member_overload("@join", "join_bounded_with", LIST_TYPE, text(), |arguments| join(&arguments))?;
    env.add_member_overload("find", "find", STRING_TYPE, text(), |arguments| find(&arguments))?;
    env.add_member_overload("findAll", "find_all", STRING_TYPE, text(), |arguments| find_all(&arguments))?;
    let counted = vec![STRING_TYPE, cel::common::types::INT_TYPE];
    env.add_member_overload("findAll", "find_all_n", STRING_TYPE, counted, |arguments| find_all(&arguments))?;
    formats::extend(env)?;
    lists::extend(env)?;
    loops::extend(env)?;
    net::extend(env)?;
    semver::extend(env)?;
    sets::extend(env)?;
    url::extend(env)?;
    quantity::extend(env)
}

/// The argument at `index`.
fn argument<'b, 'v>(arguments: &'b [CowVal<'_, 'v>], index: usize) -> Result<&'b (dyn Val + 'v), ExecutionError> {
    let found = arguments.get(index).map(AsRef::as_ref);
    found.ok_or_else(|| ExecutionError::invalid_argument_count(index + 1, arguments.len()))
}

fn text<'b>(arguments: &'b [CowVal<'_, '_>], index: usize) -> Result<&'b str, ExecutionError> {
    let value = argument(arguments, index)?;
    let text = value.downcast_ref::<CelString<'_>>().map(CelString::inner);
    text.ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.get_type().name().to_owned(),
        want: "string".to_owned(),
    })
}

fn items<'b, 'v>(arguments: &'b [CowVal<'_, 'v>], index: usize) -> Result<Vec<&'b (dyn Val + 'v)>, ExecutionError> {
    let value = argument(arguments, index)?;
    let iterable: Option<&(dyn Iterable + '_)> = value.as_iterable();
    let Some(iterable) = iterable else {
        return Err(ExecutionError::UnexpectedType {
            got: value.get_type().name().to_owned(),
            want: "list".to_owned(),
        });
    };
    let mut iterator = iterable.iter();
    Ok(std::iter::from_fn(|| iterator.next()).collect())
}

fn yes_or_no<'b, 'v>(answer: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(answer))
}

fn too_large(function: &str) -> ExecutionError {
    ExecutionError::function_error(function, "the result is too large")
}

fn bounded<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let value = argument(&arguments, 0)?;
    let text = value.downcast_ref::<CelString<'_>>().map_or(0, |text| text.inner().len());
    let sized = if text == 0 { value.as_sizer().map_or(0, |sizer| *sizer.size().inner()) } else { 0 };
    if text > MAX_BUILT || usize::try_from(sized).is_ok_and(|sized| sized > MAX_BUILT) {
        return Err(too_large("+"));
    }
    arguments.into_iter().next().ok_or_else(|| ExecutionError::invalid_argument_count(1, 0))
}

/// A compiled pattern; the last ones used are kept, because loops use the same one again and again.
fn compiled(pattern: &str) -> Result<Regex, ExecutionError> {
    const KEPT: usize = 64;
    static PATTERNS: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = patterns.get(pattern) {
        return Ok(regex.clone());
    }
    let regex = pattern::compile(pattern).map_err(|error| ExecutionError::function_error("matches", error))?;
    if patterns.len() >= KEPT {
        patterns.clear();
    }
    patterns.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

fn matches<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let regex = compiled(text(arguments, 1)?)?;
    Ok(yes_or_no(regex.is_match(text(arguments, 0)?)))
}

fn find<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let regex = compiled(text(arguments, 1)?)?;
    let found = regex.find(text(arguments, 0)?).map_or("", |found| found.as_str());
    Ok(CowVal::owned(CelString::from(found.to_owned())))
}

/// The number at `index`; all, if there is none or it is negative.
fn limit(arguments: &[CowVal<'_, '_>], index: usize) -> usize {
    let count = arguments.get(index).and_then(|value| value.downcast_ref::<CelInt>().map(|count| *count.inner()));
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX)
}

fn find_all<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let regex = compiled(text(arguments, 1)?)?;
    let found = regex.find_iter(text(arguments, 0)?).take(limit(arguments, 2));
    let boxed = found.map(|found| -> Box<dyn Val + 'v> { Box::new(CelString::from(found.as_str().to_owned())) });
    Ok(CowVal::owned(CelList::from(boxed.collect::<Vec<_>>())))
}

fn replace<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let (this, from, to) = (text(arguments, 0)?, text(arguments, 1)?, text(arguments, 2)?);
    let limit = limit(arguments, 3);
    let places = this.matches(from).take(limit).count();
    if this.len().saturating_add(places.saturating_mul(to.len())) > MAX_BUILT {
        return Err(too_large("replace"));
    }
    Ok(CowVal::owned(CelString::from(this.replacen(from, to, limit))))
}

fn join<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let separator = if arguments.len() > 1 { text(arguments, 1)? } else { "" };
    let mut out = String::new();
    for (index, item) in items(arguments, 0)?.into_iter().enumerate() {
        let part = item.downcast_ref::<CelString<'_>>().map(CelString::inner);
        let part = part.ok_or_else(|| ExecutionError::function_error("join", "every item must be a string"))?;
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(part);
        if out.len() > MAX_BUILT {
            return Err(too_large("join"));
        }
    }
    Ok(CowVal::owned(CelString::from(out)))
}
