//! The names of service accounts as users. Pure.

/// How the user name of every service account begins.
const PREFIX: &str = "system:serviceaccount:";
/// The group of all service accounts; with `:NAMESPACE` behind it, of those in one namespace.
const GROUP: &str = "system:serviceaccounts";

/// The user name of a service account.
pub(super) fn user_name(namespace: &str, name: &str) -> String {
    format!("{PREFIX}{namespace}:{name}")
}

/// Namespace and name, if the user is a service account.
pub(super) fn parse(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(PREFIX)?.split_once(':')?;
    let good = !namespace.is_empty() && !name.is_empty() && !name.contains(':');
    good.then_some((namespace, name))
}

/// The groups of every service account of the namespace.
pub(super) fn groups(namespace: &str) -> Vec<String> {
    vec![GROUP.into(), format!("{GROUP}:{namespace}")]
}
