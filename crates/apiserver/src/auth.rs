//! Who asks, and may they.
//!
//! Authentication finds a [`UserInfo`]: put there by the process itself, or from a bearer token, or from a client
//! certificate. Authorization evaluates the Role and binding objects behind the same API. Neither remembers anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The group whose members may do everything.
pub(crate) const SYSTEM_MASTERS: &str = "system:masters";
/// The group of everybody who proved who they are.
pub(crate) const SYSTEM_AUTHENTICATED: &str = "system:authenticated";

/// Who asks, as in the Kubernetes authentication API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// The user's name.
    #[serde(rename = "username")]
    pub name: String,
    /// Tells apart users who had the same name one after the other.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The groups; `system:authenticated` is added by the server.
    pub groups: Vec<String>,
    /// Further facts, not used for decisions here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// A bearer token that the composition root made known; the token itself is never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticToken {
    /// SHA-256 of the token.
    pub token_sha256: [u8; 32],
    /// Whose token it is.
    pub user: UserInfo,
}
