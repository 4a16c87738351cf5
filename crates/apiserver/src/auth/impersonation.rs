//! To act as somebody else: what a request says with `Impersonate-*` headers, and which rights it takes.
//!
//! The same rights guard every other way to become somebody: see [`escalation`](super::escalation). The resources are
//! those of Kubernetes: `users`, `groups`, `serviceaccounts`, and in `authentication.k8s.io` `uids` and `userextras/KEY`.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue};

use super::{
    SYSTEM_AUTHENTICATED, UserInfo,
    authorize::{Attributes, Target},
    service_account,
};
use crate::{ApiError, wire::path::percent_decode};

const VERB: &str = "impersonate";
/// The group of `uids` and `userextras`.
const AUTHENTICATION_GROUP: &str = "authentication.k8s.io";
const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

/// Whom the request says it acts for, as `kubectl --as`, `--as-group` and `--as-uid` send it.
///
/// Errors: 400 for a header that cannot be read, that is not known, or that comes without `Impersonate-User`. One that was
/// passed over would make the request count as the sender's own.
pub(crate) fn impersonated(headers: &HeaderMap) -> Result<Option<UserInfo>, ApiError> {
    let known = |name: &str| matches!(name, USER | GROUP | UID) || name.len() > EXTRA.len() && name.starts_with(EXTRA);
    let sent = || headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("impersonate-"));
    if let Some(other) = sent().find(|name| !known(name)) {
        return Err(ApiError::bad_request(format!("the header {other} is not supported")));
    }
    if sent().next().is_none() {
        return Ok(None);
    }
    let names = texts(headers, USER)?;
    let uids = texts(headers, UID)?;
    let ([name], true) = (names.as_slice(), uids.len() <= 1) else {
        let message =
            "exactly one Impersonate-User, and at most one Impersonate-Uid, is needed to act for somebody else";
        return Err(ApiError::bad_request(message));
    };
    if name.is_empty() {
        return Err(ApiError::bad_request("Impersonate-User names nobody"));
    }
    let mut user = UserInfo::new(name, texts(headers, GROUP)?);
    if let (true, Some((namespace, _))) = (user.groups.is_empty(), service_account::parse(name)) {
        user.groups = service_account::groups(namespace);
    }
    user.uid = uids.into_iter().next().unwrap_or_default();
    user.extra = extra(headers)?;
    Ok(Some(user.authenticated()))
}

/// The rights that it takes to become this user. The group of everybody needs none, nor do the groups that a service
/// account has by its name.
pub(crate) fn needed(user: &UserInfo) -> Vec<Attributes> {
    let account = service_account::parse(&user.name);
    let own_groups = account.map(|(namespace, _)| service_account::groups(namespace)).unwrap_or_default();
    let mut needed = vec![match account {
        Some((namespace, name)) => right(namespace, "", "serviceaccounts", "", name),
        None => right("", "", "users", "", &user.name),
    }];
    // A service account's own groups are exempt only as a whole: whoever names some of them names them as groups.
    let implied = account.is_some() && own_groups.iter().all(|group| user.groups.contains(group));
    let groups = user.groups.iter().filter(|group| *group != SYSTEM_AUTHENTICATED);
    let groups = groups.filter(|group| !(implied && own_groups.contains(group)));
    needed.extend(groups.map(|group| right("", "", "groups", "", group)));
    if !user.uid.is_empty() {
        needed.push(right("", AUTHENTICATION_GROUP, "uids", "", &user.uid));
    }
    for (key, values) in &user.extra {
        needed.extend(values.iter().map(|value| right("", AUTHENTICATION_GROUP, "userextras", key, value)));
    }
    needed
}

fn right(namespace: &str, group: &str, resource: &str, subresource: &str, name: &str) -> Attributes {
    Attributes {
        verb: VERB.into(),
        namespace: namespace.into(),
        target: Target::Resource {
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            name: name.into(),
        },
    }
}

fn texts(headers: &HeaderMap, name: &str) -> Result<Vec<String>, ApiError> {
    let values = headers.get_all(name).iter().map(HeaderValue::to_str).map(|text| text.map(str::to_owned));
    values.collect::<Result<_, _>>().map_err(|_| ApiError::bad_request(format!("the header {name} is not ASCII text")))
}

/// `Impersonate-Extra-KEY: VALUE`; the key is percent-encoded, since it may hold a slash.
fn extra(headers: &HeaderMap) -> Result<BTreeMap<String, Vec<String>>, ApiError> {
    let mut extra = BTreeMap::new();
    for name in headers.keys().map(http::HeaderName::as_str) {
        let Some(raw) = name.strip_prefix(EXTRA) else { continue };
        let key = percent_decode(raw).filter(|key| !key.chars().any(char::is_control));
        let key = key.ok_or_else(|| ApiError::bad_request(format!("the header {name} is not percent-encoded text")))?;
        extra.entry(key.to_lowercase()).or_insert_with(Vec::new).extend(texts(headers, name)?);
    }
    Ok(extra)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{impersonated, needed};
    use crate::auth::{UserInfo, authorize::Target};

    fn with(pairs: &[(&'static str, &'static str)]) -> Result<Option<UserInfo>, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        impersonated(&headers).map_err(|error| error.code)
    }

    fn rights(user: &UserInfo) -> Vec<String> {
        let text = |target| match target {
            Target::Resource { group, resource, subresource, name } => {
                format!("{group}/{resource}/{subresource}={name}")
            }
            Target::Path(path) => path,
        };
        needed(user).into_iter().map(|one| text(one.target) + "@" + &one.namespace).collect()
    }

    #[test]
    fn impersonation_is_read_or_refused_never_ignored() {
        assert_eq!(with(&[]), Ok(None));
        assert_eq!(with(&[("impersonate-user", "bob")]).unwrap().unwrap().name, "bob");
        for wrong in [
            &[("impersonate-group", "staff")][..],
            &[("impersonate-uid", "7")],
            &[("impersonate-user", "")],
            &[("impersonate-user", "bob"), ("impersonate-user", "eve")],
            &[("impersonate-user", "bob"), ("impersonate-uid", "7"), ("impersonate-uid", "8")],
            &[("impersonate-user", "bob"), ("impersonate-extra-", "x")],
            &[("impersonate-user", "bob"), ("impersonate-extra-a%zz", "x")],
            &[("impersonate-user", "bob"), ("impersonate-shoe-size", "7")],
        ] {
            assert_eq!(with(wrong), Err(400), "{wrong:?}");
        }
        for name in ["impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-a"] {
            let unreadable = HeaderValue::from_bytes(b"\xc3\xa9ric").unwrap();
            let mut headers = HeaderMap::from_iter([(HeaderName::from_static(name), unreadable)]);
            headers.entry("impersonate-user").or_insert(HeaderValue::from_static("bob"));
            assert_eq!(impersonated(&headers).unwrap_err().code, 400, "{name}");
        }
    }

    #[test]
    fn every_part_of_an_identity_takes_a_right() {
        let sent = with(&[
            ("impersonate-user", "bob"),
            ("impersonate-group", "staff"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-example.org%2fscopes", "read"),
            ("impersonate-extra-example.org%2fscopes", "write"),
        ]);
        let user = sent.unwrap().unwrap();
        assert_eq!((user.uid.as_str(), user.groups.len()), ("7", 2));
        assert_eq!(user.extra["example.org/scopes"], ["read", "write"]);
        let wanted = [
            "/users/=bob@",
            "/groups/=staff@",
            "authentication.k8s.io/uids/=7@",
            "authentication.k8s.io/userextras/example.org/scopes=read@",
            "authentication.k8s.io/userextras/example.org/scopes=write@",
        ];
        assert_eq!(rights(&user), wanted);
    }

    #[test]
    fn a_service_account_is_a_resource_of_its_namespace_and_brings_its_groups() {
        let robot = with(&[("impersonate-user", "system:serviceaccount:alice:robot")]).unwrap().unwrap();
        assert_eq!(robot.groups, ["system:serviceaccounts", "system:serviceaccounts:alice", "system:authenticated"]);
        assert_eq!(rights(&robot), ["/serviceaccounts/=robot@alice"]);
        let named = with(&[("impersonate-user", "system:serviceaccount:alice:robot"), ("impersonate-group", "staff")]);
        assert_eq!(rights(&named.unwrap().unwrap()), ["/serviceaccounts/=robot@alice", "/groups/=staff@"]);
        let partly = with(&[
            ("impersonate-user", "system:serviceaccount:alice:robot"),
            ("impersonate-group", "system:serviceaccounts:bob"),
        ]);
        assert!(rights(&partly.unwrap().unwrap()).contains(&"/groups/=system:serviceaccounts:bob@".to_owned()));
    }
}
