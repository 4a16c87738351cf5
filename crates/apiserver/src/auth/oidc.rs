//! Tokens of an identity provider: OpenID Connect, as Keycloak and others speak it.
//!
//! What is believed: a token of the configured issuer, for one of the configured audiences, signed with a key that the issuer
//! publishes now, in its time, with the required claims. Who it is for is read from configured claims. The rules are those of
//! Kubernetes' OIDC authenticator; stricter in one point: a provider cannot name users or groups of the server itself.

mod fetch;
mod keys;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{UserInfo, issued::CREDENTIAL_ID, jwt};
use crate::ApiError;
use fetch::Source;
use keys::Keys;

pub use fetch::OidcError;

/// Names that only the server itself gives begin so.
const RESERVED: &str = "system:";
/// The most groups of one token, and the longest name.
const GROUPS: usize = 1000;
const NAME_BYTES: usize = 512;

/// An identity provider, and how its tokens are read. Claims may be nested: `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// The issuer as it stands in its tokens, an `https` address.
    pub issuer: String,
    /// The client's id at the provider; a token must be for one of these.
    pub audiences: Vec<String>,
    /// The claim that names the user.
    pub username_claim: String,
    /// Stands before every user's name. If it is empty, names with a colon are refused, since those belong to the server.
    pub username_prefix: String,
    /// The claim that names the groups: a text or a list of texts.
    pub groups_claim: Option<String>,
    /// Stands before every group's name.
    pub groups_prefix: String,
    /// What else a token must say, word for word.
    pub required_claims: BTreeMap<String, String>,
    /// The authority of the provider's certificate, as PEM; those of the system if it is absent.
    pub ca_pem: Option<String>,
}

/// Checks the tokens of one provider.
pub(crate) struct Provider {
    settings: Oidc,
    keys: Keys,
}

impl Provider {
    /// Reads the authorities; nothing is fetched before the first token comes.
    pub(crate) fn new(settings: Oidc) -> Result<Self, OidcError> {
        let source = Source::new(&settings.issuer, settings.ca_pem.as_deref())?;
        Ok(Self { settings, keys: Keys::new(source) })
    }

    /// Whether the token says that it comes from here.
    pub(super) fn is_issuer(&self, issuer: &str) -> bool {
        self.settings.issuer == issuer
    }

    /// Whose token it is. The keys are asked for last, so that tokens that could not hold anyway cause no traffic.
    pub(super) async fn find(&self, token: &jwt::Token<'_>, now: Timestamp) -> Result<UserInfo, ApiError> {
        let refused = |why: &str| ApiError::unauthenticated(why);
        self.settings.check(token, now).map_err(refused)?;
        let keys = self.keys.for_token(token.key_id(), now).await.map_err(refused)?;
        if !keys.iter().any(|key| token.is_signed_by(key)) {
            return Err(refused("the issuer did not sign the token"));
        }
        self.settings.user(token.claims()).map_err(refused)
    }
}

impl Oidc {
    fn check(&self, token: &jwt::Token<'_>, now: Timestamp) -> Result<(), &'static str> {
        if !self.audiences.iter().any(|one| token.audiences().contains(&one.as_str())) {
            return Err("the token is for another audience");
        }
        token.in_time(now)?;
        let claims = token.claims();
        let said = |(claim, text): (&String, &String)| find(claims, claim).and_then(Value::as_str) == Some(text);
        if self.required_claims.iter().all(said) { Ok(()) } else { Err("the token lacks a required claim") }
    }

    fn user(&self, claims: &Map<String, Value>) -> Result<UserInfo, &'static str> {
        let name = find(claims, &self.username_claim).and_then(Value::as_str).filter(|name| is_name(name));
        let name = name.ok_or("the token does not name its user")?;
        if self.username_claim == "email" && claims.get("email_verified").is_some_and(|verified| *verified != true) {
            return Err("the email address of the token is not verified");
        }
        let name_of_server = self.username_prefix.is_empty() && name.contains(':');
        let name = format!("{}{name}", self.username_prefix);
        if name_of_server || name.starts_with(RESERVED) {
            return Err("the token names a user of the server itself");
        }
        let mut user = UserInfo::new(name, self.groups(claims)?);
        if let Some(id) = claims.get("jti").and_then(Value::as_str).filter(|id| is_name(id)) {
            user.extra.insert(CREDENTIAL_ID.into(), vec![format!("JTI={id}")]);
        }
        Ok(user)
    }

    /// None where the claim is absent; a claim of another form is an error.
    fn groups(&self, claims: &Map<String, Value>) -> Result<Vec<String>, &'static str> {
        let claim = self.groups_claim.as_deref().and_then(|claim| find(claims, claim));
        let named: Option<Vec<&str>> = match claim {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::String(one)) => Some(vec![one]),
            Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        let named = named.filter(|named| named.len() <= GROUPS && named.iter().all(|one| is_name(one)));
        let named = named.ok_or("the groups of the token cannot be read")?;
        let groups: Vec<String> = named.into_iter().map(|one| format!("{}{one}", self.groups_prefix)).collect();
        if groups.iter().any(|group| group.starts_with(RESERVED)) {
            return Err("the token names a group of the server itself");
        }
        Ok(groups)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES && !name.chars().any(char::is_control)
}

/// A claim by its name, or else by its path with dots.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, part| value.get(part))
}

#[cfg(test)]
mod tests;
