//! Issued tokens: Secrets of one type in one namespace, made, listed and revoked through the ordinary API.
//!
//! A token is `ID.SECRET`: the Secret's name is `token-ID`, and its data hold the SHA-256 of the whole token, whose it is and
//! when it ends. The token itself is never stored, and never sent here but as a credential. It counts as long as the
//! Secret exists; deleting the Secret revokes it, for the next request already.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{UserInfo, same_digest};
use crate::{
    ApiError,
    error::Cause,
    registry::{Admission, AdmissionRequest, Admitted, Operation, Registry},
};

/// What the name of a token's Secret begins with; its id follows.
const NAME_PREFIX: &str = "token-";
/// Tells in `extra` by which credential somebody came, as in Kubernetes.
pub(super) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// Where issued tokens are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedTokens {
    /// The namespace of the Secrets.
    pub namespace: String,
    /// Their `type`. Its data: `sha256` (hexadecimal), `user`, `groups` (a JSON list), `expires` (RFC 3339), `description`.
    pub secret_type: String,
}

/// What a Secret says of a token.
#[derive(Debug)]
pub(super) struct Issued {
    sha256: [u8; 32],
    /// Whose token it is.
    pub(super) user: UserInfo,
    expires: Timestamp,
}

impl IssuedTokens {
    /// Whether a Secret of the namespace is, or is to be, a token.
    pub(super) fn is_token(&self, secret: &Value) -> bool {
        secret["type"] == self.secret_type.as_str()
    }
}

/// Refuses Secrets of the type that are no tokens, so that none is there which never works and nobody knows why.
impl Admission for IssuedTokens {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
        let concerned = request.group.is_empty() && request.resource == "secrets";
        let here = request.namespace == Some(&self.namespace);
        if !concerned || !here || request.operation == Operation::Delete || !self.is_token(request.object) {
            return Ok(Admitted::unchanged());
        }
        let refused = |(field, message): (&str, &str)| {
            let cause = Cause { reason: "FieldValueInvalid".into(), message: message.into(), field: field.into() };
            ApiError::invalid("", "Secret", request.name, vec![cause])
        };
        read(request.object).map(|_| Admitted::unchanged()).map_err(refused)
    }
}

/// Reads a token's Secret: its id and the rest, or which field is wrong, and how.
pub(super) fn read(secret: &Value) -> Result<(String, Issued), (&'static str, &'static str)> {
    let id = secret["metadata"]["name"].as_str().and_then(|name| name.strip_prefix(NAME_PREFIX));
    let id = id.filter(|id| is_id(id)).ok_or(("metadata.name", "must be `token-` and 8 to 32 letters or digits"))?;
    let text = |field: &str| {
        let bytes = STANDARD.decode(secret["data"][field].as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    };
    let mut sha256 = [0; 32];
    let digest = text("sha256").and_then(|digits| hex::decode_to_slice(digits.trim(), &mut sha256).ok());
    digest.ok_or(("data.sha256", "must be the SHA-256 of the token, 64 hexadecimal digits"))?;
    let user = text("user").filter(|user| is_name(user)).ok_or(("data.user", "must name a user"))?;
    let groups = text("groups").unwrap_or_else(|| "[]".into());
    let groups: Option<Vec<String>> = serde_json::from_str(&groups).ok();
    let groups = groups.filter(|groups| groups.iter().all(|group| is_name(group)));
    let groups = groups.ok_or(("data.groups", "must be a JSON list of names"))?;
    let expires = text("expires").and_then(|time| time.trim().parse().ok());
    let expires = expires.ok_or(("data.expires", "must be a time such as 2030-01-31T12:00:00Z"))?;
    let mut user = UserInfo::new(user, groups);
    user.extra.insert(CREDENTIAL_ID.into(), vec![format!("TOKEN={id}")]);
    Ok((id.to_owned(), Issued { sha256, user, expires }))
}

fn is_id(id: &str) -> bool {
    (8..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(char::is_control)
}

/// By id.
type Known = Arc<HashMap<String, Issued>>;
/// The Secrets that the index was made of.
type Source = Arc<Vec<Arc<Value>>>;

/// Knows the issued tokens by reading their Secrets.
pub(crate) struct Index {
    registry: Arc<Registry>,
    place: IssuedTokens,
    /// The index of the newest Secrets. A std mutex, because nothing is awaited under it.
    made: Mutex<(Source, Known)>,
}

impl Index {
    pub(crate) fn new(registry: Arc<Registry>, place: IssuedTokens) -> Self {
        Self { registry, place, made: Mutex::default() }
    }

    /// Whose token it is; nothing if it is not one of these, or none any more.
    ///
    /// The look-up by id may take as long as it likes, since ids are no secrets; the digest is compared in the same time
    /// wherever it differs.
    pub(super) async fn find(&self, token: &str, now: Timestamp) -> Result<Option<UserInfo>, ApiError> {
        let Some((id, _)) = token.split_once('.').filter(|(id, _)| is_id(id)) else { return Ok(None) };
        let known = self.known().await?;
        let digest = Sha256::digest(token).into();
        let found = known.get(id).filter(|one| same_digest(&one.sha256, &digest) && now < one.expires);
        Ok(found.map(|one| one.user.clone()))
    }

    async fn known(&self) -> Result<Known, ApiError> {
        let Some(secrets) = self.registry.catalogue.find("", "v1", "secrets") else { return Ok(Known::default()) };
        let secrets = self.registry.cached_list_in(&secrets, &self.place.namespace).await?;
        let mut index = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&index.0, &secrets) {
            let tokens = secrets.iter().filter(|secret| self.place.is_token(secret));
            let known = Arc::new(tokens.filter_map(|secret| read(secret).ok()).collect());
            *index = (secrets, known);
        }
        Ok(index.1.clone())
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};

    use super::read;

    fn secret(change: impl FnOnce(&mut Value)) -> Value {
        let data = |text: &str| STANDARD.encode(text);
        let mut secret = json!({
            "metadata": {"name": "token-0123456789abcdef"},
            "data": {
                "sha256": data(&"ab".repeat(32)), "user": data("alice"), "groups": data(r#"["staff"]"#),
                "expires": data("2030-01-01T00:00:00Z"),
            },
        });
        change(&mut secret);
        secret
    }

    #[test]
    fn a_secret_says_whose_token_it_is() {
        let (id, token) = read(&secret(|_| {})).unwrap();
        assert_eq!((id.as_str(), token.user.name.as_str()), ("0123456789abcdef", "alice"));
        assert_eq!((token.user.groups, token.sha256), (vec!["staff".to_owned()], [0xab; 32]));
        assert!(read(&secret(|secret| drop(secret["data"].as_object_mut().unwrap().remove("groups")))).is_ok());
    }

    #[test]
    fn what_could_never_work_is_told_by_its_field() {
        for (field, bad) in
            [("sha256", "ab"), ("user", ""), ("groups", "staff"), ("groups", r#"[""]"#), ("expires", "soon")]
        {
            let refused = read(&secret(|secret| secret["data"][field] = STANDARD.encode(bad).into())).unwrap_err();
            assert_eq!(refused.0, format!("data.{field}"));
        }
        for name in ["site-key", "token-", "token-UPPER0000", "token-a.b.c.d.e"] {
            assert_eq!(
                read(&secret(|secret| secret["metadata"]["name"] = name.into())).unwrap_err().0,
                "metadata.name"
            );
        }
    }
}
