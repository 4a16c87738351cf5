//! Who asks, and may they.
//!
//! Authentication finds a [`UserInfo`]: put there by the process itself, or from a bearer token, or from a client
//! certificate. Authorization evaluates the Role and binding objects behind the same API. Neither remembers anything
//! but the compiled form of those objects.

pub(crate) mod account_tokens;
mod authenticate;
mod authorize;
mod bootstrap;
mod escalation;
mod impersonation;
mod issued;
mod jwt;
mod oidc;
mod policy;
mod reviews;
mod rules;
mod service_account;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use account_tokens::AccountTokens;
pub(crate) use authenticate::{Authenticator, PeerCertificate};
pub(crate) use authorize::{Attributes, Authorizer, Target};
pub(crate) use bootstrap::default_manifests;
pub(crate) use escalation::Guard;
pub(crate) use impersonation::{impersonated, needed as needed_to_impersonate};
pub(crate) use issued::Index as IssuedIndex;
pub(crate) use oidc::Provider as OidcProvider;
pub(crate) use reviews::Reviews;

pub use account_tokens::ServiceAccountKey;
pub use issued::IssuedTokens;
pub use oidc::{Oidc, OidcError};

/// The group whose members may do everything.
const SYSTEM_MASTERS: &str = "system:masters";
/// The group of everybody who proved who they are.
const SYSTEM_AUTHENTICATED: &str = "system:authenticated";

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

impl UserInfo {
    /// A user of that name in these groups.
    pub fn new(name: impl Into<String>, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let groups = groups.into_iter().map(Into::into).collect();
        Self { name: name.into(), groups, ..Self::default() }
    }

    /// Whether the user may do everything.
    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == SYSTEM_MASTERS)
    }

    /// The same user, in the group of everybody who proved who they are.
    fn authenticated(mut self) -> Self {
        if !self.groups.iter().any(|group| group == SYSTEM_AUTHENTICATED) {
            self.groups.push(SYSTEM_AUTHENTICATED.into());
        }
        self
    }
}

/// A bearer token that the composition root made known; the token itself is never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticToken {
    /// SHA-256 of the token.
    pub token_sha256: [u8; 32],
    /// Whose token it is.
    pub user: UserInfo,
}

/// Compares in the same time wherever the two differ, so that nothing can be learned from the wait.
fn same_digest(left: &[u8; 32], right: &[u8; 32]) -> bool {
    let difference = left.iter().zip(right).fold(0, |all, (left, right)| all | (left ^ right));
    std::hint::black_box(difference) == 0
}
