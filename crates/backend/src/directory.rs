//! Who a login is.

use std::future::Future;

use serde::{Deserialize, Serialize};

/// An account of the computing centre.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The login name.
    pub login: String,
    /// Numeric user id; never 0.
    pub uid: u32,
    /// Numeric id of the primary group; never 0.
    pub gid: u32,
    /// Every group of the account, the primary one first.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Absolute path of the home directory.
    pub home: String,
}

/// A group of accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its numeric id; never 0.
    pub gid: u32,
}

/// Why the directory gave no answer. Invariant: this is never "there is no such login".
#[derive(Debug, thiserror::Error)]
#[error("cannot look up login {login:?} in the directory")]
pub struct Error {
    /// The login that was asked for.
    pub login: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Looks accounts up.
pub trait Directory: Send + Sync + 'static {
    /// The account of a login; `None` means that the directory answered and knows no such login.
    fn lookup(&self, login: &str) -> impl Future<Output = Result<Option<Account>, Error>> + Send;
}
