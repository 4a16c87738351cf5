//! `url('https://a.example:8443/x?y=z')` and its parts.

use std::collections::{BTreeMap, HashMap};

use cel::common::types::{CelList, CelMap, CelMapKey, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::opaque::{Known, known, made};
use super::{Outcome, argument, text, yes_or_no};

static URL: Type = Type::new_unspecified_type("kubernetes.URL");

/// An absolute address, or an absolute path. A fragment is not looked for, as in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Url {
    scheme: String,
    /// With the port, without a user.
    host: String,
    path: String,
    query: String,
}

impl Known for Url {
    fn cel_type() -> &'static Type {
        &URL
    }
}

/// One function for each part: a function of the environment cannot hold anything.
macro_rules! declare {
    ($env:ident, {$($name:literal, $id:literal => $part:expr,)*}) => {$(
        $env.add_member_overload($name, $id, URL.to_owned(), vec![], |arguments| {
            let part: fn(&Url) -> String = $part;
            Ok(CowVal::owned(CelString::from(part(known::<Url>(argument(&arguments, 0)?)?))))
        })?;
    )*};
}

pub(super) fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    let url = || URL.to_owned();
    env.add_type(url())?;
    env.add_overload("isURL", "is_url", vec![STRING_TYPE], |arguments| {
        Ok(yes_or_no(Url::parse(text(&arguments, 0)?).is_some()))
    })?;
    env.add_overload("url", "string_to_url", vec![STRING_TYPE], |arguments| {
        let given = text(&arguments, 0)?;
        let parsed = Url::parse(given);
        let wrong = || ExecutionError::function_error("url", format!("URL parse error during conversion: {given:?}"));
        Ok(made(parsed.ok_or_else(wrong)?))
    })?;
    declare!(env, {
        "getScheme", "url_get_scheme" => |url: &Url| url.scheme.clone(),
        "getHost", "url_get_host" => |url: &Url| url.host.clone(),
        "getHostname", "url_get_hostname" => |url: &Url| url.hostname().to_owned(),
        "getPort", "url_get_port" => |url: &Url| url.port().to_owned(),
        "getEscapedPath", "url_get_escaped_path" => |url: &Url| url.path.clone(),
    });
    env.add_member_overload("getQuery", "url_get_query", url(), vec![], |arguments| query(&arguments))
}

impl Url {
    fn parse(given: &str) -> Option<Self> {
        if given.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return None;
        }
        let (rest, query) = given.split_once('?').unwrap_or((given, ""));
        let well_escaped = rest.match_indices('%').all(|(at, _)| hex(rest.as_bytes(), at).is_some());
        let (scheme, rest) = if rest.starts_with('/') { ("", rest) } else { rest.split_once(':')? };
        let is_scheme = scheme.is_empty() && rest.starts_with('/')
            || scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !well_escaped || !is_scheme || given.starts_with(':') {
            return None;
        }
        let (authority, path) = match rest.strip_prefix("//").filter(|_| !scheme.is_empty()) {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let url = Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
        };
        let open = url.host.starts_with('[') && !url.host.contains(']');
        let port_is_number = url.port_part().is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        (!open && port_is_number && !url.host.contains(['<', '>', '"', '\\'])).then_some(url)
    }

    /// What stands behind the colon of the host.
    fn port_part(&self) -> Option<&str> {
        let behind = self.host.rfind(']').map_or(0, |at| at + 1);
        self.host[behind..].rsplit_once(':').map(|(_, port)| port)
    }

    fn port(&self) -> &str {
        self.port_part().unwrap_or_default()
    }

    fn hostname(&self) -> &str {
        let without =
            self.port_part().map_or(self.host.as_str(), |port| &self.host[..self.host.len() - port.len() - 1]);
        without.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(without)
    }
}

fn query<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let url = known::<Url>(argument(arguments, 0)?)?;
    let mut found: BTreeMap<String, Vec<Box<dyn Val + 'v>>> = BTreeMap::new();
    for pair in url.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // What is not well escaped is left out.
        if let (Some(name), Some(value)) = (unescaped(name), unescaped(value)) {
            found.entry(name).or_default().push(Box::new(CelString::from(value)));
        }
    }
    let fields = found.into_iter().map(|(name, values)| {
        let values: Box<dyn Val + 'v> = Box::new(CelList::from(values));
        (CelMapKey::from(name), values)
    });
    Ok(CowVal::owned(CelMap::from(fields.collect::<HashMap<_, _>>())))
}

/// The byte that `%41` at this place stands for.
fn hex(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok()
}

fn unescaped(given: &str) -> Option<String> {
    let bytes = given.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'%' => {
                out.push(hex(bytes, at)?);
                at += 2;
            }
            b'+' => out.push(b' '),
            other => out.push(*other),
        }
        at += 1;
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}
