//! Tokens of service accounts: signed by the server, and dead when their account is.
//!
//! A token is a JWT with the claims of Kubernetes. Nothing is stored of it: the signature proves it, and at each request
//! the account's uid is compared with what stands there, so that deleting the account ends all its tokens at once.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{UserInfo, authenticate::Identity, issued::CREDENTIAL_ID, jwt, service_account};
use crate::{
    ApiError,
    error::Cause,
    registry::{Part, Registry, Scope},
};

/// Who issues the tokens, and for whom they are where nobody says otherwise: this API.
pub(super) const ISSUER: &str = "https://kubernetes.default.svc";
/// Where the public keys are, and where it is said that they are there.
pub(crate) const KEY_SET_PATH: &str = "/openid/v1/jwks";
pub(crate) const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// What a token lasts if nobody says otherwise, as in Kubernetes.
const USUAL_SECONDS: i64 = 3600;
/// Less than this is refused, as in Kubernetes.
const LEAST_SECONDS: i64 = 600;
/// More than this is refused, as in Kubernetes.
const REFUSED_SECONDS: i64 = 1 << 32;
/// No token lasts longer; what asks for more gets this much, and is told so in `status.expirationTimestamp`.
const MOST_SECONDS: i64 = 365 * 24 * 3600;
/// The most audiences of one token, and the longest name of one.
const AUDIENCES: usize = 32;
const AUDIENCE_BYTES: usize = 512;

/// The private key with which the tokens of service accounts are signed, P-256 as PKCS #8, and further keys whose tokens hold.
#[derive(Clone)]
pub struct ServiceAccountKey {
    signs: Vec<u8>,
    verify: Vec<jwt::NamedKey>,
}

impl ServiceAccountKey {
    /// A key from its PKCS #8 form; nothing if it is not one of the curve P-256.
    pub fn from_pkcs8(der: Vec<u8>) -> Option<Self> {
        let verify = vec![jwt::SigningKey::from_pkcs8(&der)?.public()];
        Some(Self { signs: der, verify })
    }

    /// The tokens that this private key signed hold too, as those of a key before, or of the key to come.
    ///
    /// Nothing if it is not one of the curve P-256.
    #[must_use]
    pub fn verifying_pkcs8(self, der: &[u8]) -> Option<Self> {
        Some(self.verifying(jwt::SigningKey::from_pkcs8(der)?.public()))
    }

    /// The same for a public key, in the form that X.509 has for them.
    #[must_use]
    pub fn verifying_spki(self, der: &[u8]) -> Option<Self> {
        Some(self.verifying(jwt::NamedKey::from_spki(der)?))
    }

    fn verifying(mut self, key: jwt::NamedKey) -> Self {
        if self.verify.iter().all(|known| known.id != key.id) {
            self.verify.push(key);
        }
        self
    }
}

impl std::fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceAccountKey")
    }
}

/// Issues the tokens and knows them.
pub(crate) struct AccountTokens {
    registry: Arc<Registry>,
    key: jwt::SigningKey,
    /// The first is that of `key`.
    verify: Vec<jwt::NamedKey>,
}

impl AccountTokens {
    /// With the key of the options.
    pub(crate) fn new(registry: Arc<Registry>, key: &ServiceAccountKey) -> Option<Self> {
        let verify = key.verify.clone();
        Some(Self { registry, key: jwt::SigningKey::from_pkcs8(&key.signs)?, verify })
    }

    /// The public keys, for others who want to check tokens: a JSON Web Key Set.
    pub(crate) fn key_set(&self) -> Value {
        json!({"keys": self.verify.iter().map(jwt::NamedKey::to_jwk).collect::<Vec<_>>()})
    }

    /// Where others find the keys, in the words of OpenID Connect Discovery. `url` is where clients reach the server.
    pub(crate) fn discovery(url: Option<&str>) -> Value {
        let url = url.unwrap_or(ISSUER).trim_end_matches('/');
        json!({
            "issuer": ISSUER, "jwks_uri": format!("{url}{KEY_SET_PATH}"),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    /// Answers a `TokenRequest` for the account: the request with the token in its status.
    ///
    /// Errors: 404 without the account, 409 for the uid of another one, 422 for what cannot be granted.
    pub(crate) async fn issue(
        &self,
        namespace: &str,
        name: &str,
        request: &Value,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        let wanted = Wanted::read(request, name)?;
        let account = self.account(namespace, name).await?;
        let uid = account["metadata"]["uid"].as_str().unwrap_or_default();
        if account["metadata"]["deletionTimestamp"].is_string() {
            return Err(ApiError::conflict("", "serviceaccounts", name, "the service account is being deleted"));
        }
        if request["metadata"]["uid"].as_str().is_some_and(|asked| asked != uid) {
            return Err(ApiError::conflict(
                "",
                "serviceaccounts",
                name,
                "the uid in the request is not that of the account",
            ));
        }
        let issued = now.as_second();
        let ends = issued.saturating_add(wanted.seconds.min(MOST_SECONDS));
        let claims = json!({
            "iss": ISSUER, "sub": service_account::user_name(namespace, name), "aud": wanted.audiences,
            "iat": issued, "nbf": issued, "exp": ends, "jti": uuid::Uuid::new_v4().to_string(),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
        });
        let token = self.key.sign(&claims).ok_or_else(|| ApiError::internal("no random bytes for a signature"))?;
        let ends = Timestamp::from_second(ends).map_err(ApiError::internal)?;
        Ok(json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": crate::registry::seconds(now)},
            "spec": {"audiences": wanted.audiences, "expirationSeconds": wanted.seconds, "boundObjectRef": null},
            "status": {"token": token, "expirationTimestamp": ends.to_string()},
        }))
    }

    /// Whose token it is, which says that it comes from here.
    pub(super) async fn find(&self, token: &jwt::Token<'_>, now: Timestamp) -> Result<Identity, ApiError> {
        let refused = |why: &str| ApiError::unauthenticated(why);
        // A token that names its key was signed by no other.
        let named = |key: &&jwt::NamedKey| token.key_id().is_none_or(|id| id == key.id);
        if !self.verify.iter().filter(named).any(|key| token.is_signed_by(&key.key)) {
            return Err(refused("the token is not signed by this server"));
        }
        token.in_time(now).map_err(refused)?;
        let bound = token.claims().get("kubernetes.io").unwrap_or(&Value::Null);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, account) = (text(&bound["namespace"]), &bound["serviceaccount"]);
        let (name, uid) = (text(&account["name"]), text(&account["uid"]));
        let there = self.account(&namespace, &name).await.map_err(|error| match error.code {
            404 => refused("the service account of the token does not exist any more"),
            _ => error,
        })?;
        if uid.is_empty() || there["metadata"]["uid"] != uid.as_str() {
            return Err(refused("the service account of the token was deleted"));
        }
        let mut user =
            UserInfo::new(service_account::user_name(&namespace, &name), service_account::groups(&namespace));
        user.uid = uid;
        user.extra.insert(CREDENTIAL_ID.into(), vec![format!("JTI={}", token.text("jti"))]);
        Ok(Identity { user, audiences: token.audiences().into_iter().map(str::to_owned).collect() })
    }

    async fn account(&self, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        let resource = self.registry.catalogue.find("", "v1", "serviceaccounts").ok_or_else(ApiError::no_such_path)?;
        let scope = Scope { resource, namespace: Some(namespace.to_owned()) };
        self.registry.get(&scope, name, Part::Main).await?.value()
    }
}

/// What a `TokenRequest` asks for.
struct Wanted {
    audiences: Vec<String>,
    seconds: i64,
}

impl Wanted {
    fn read(request: &Value, name: &str) -> Result<Self, ApiError> {
        if request["kind"].as_str().is_some_and(|kind| kind != "TokenRequest") {
            return Err(ApiError::bad_request("the body must be a TokenRequest"));
        }
        if request["metadata"]["name"].as_str().is_some_and(|other| !other.is_empty() && other != name) {
            return Err(ApiError::bad_request("metadata.name must be the name of the service account"));
        }
        let spec = &request["spec"];
        let invalid = |field: &str, message: &str| {
            let cause = Cause { reason: "FieldValueInvalid".into(), message: message.into(), field: field.into() };
            ApiError::invalid("authentication.k8s.io", "TokenRequest", name, vec![cause])
        };
        if !spec["boundObjectRef"].is_null() {
            return Err(invalid("spec.boundObjectRef", "tokens can be bound to the service account only"));
        }
        let seconds = match &spec["expirationSeconds"] {
            Value::Null => USUAL_SECONDS,
            given => given.as_i64().ok_or_else(|| invalid("spec.expirationSeconds", "must be an integer"))?,
        };
        if seconds < LEAST_SECONDS {
            return Err(invalid("spec.expirationSeconds", "may not specify a duration less than 10 minutes"));
        }
        if seconds > REFUSED_SECONDS {
            return Err(invalid("spec.expirationSeconds", "may not specify a duration larger than 2^32 seconds"));
        }
        let given = spec["audiences"].as_array().map(Vec::as_slice).unwrap_or_default();
        let audiences: Option<Vec<String>> = given.iter().map(|one| one.as_str().map(str::to_owned)).collect();
        let fine = |one: &String| !one.is_empty() && one.len() <= AUDIENCE_BYTES;
        let audiences = audiences.filter(|all| all.len() <= AUDIENCES && all.iter().all(fine));
        let mut audiences =
            audiences.ok_or_else(|| invalid("spec.audiences", "must be at most 32 names of at most 512 bytes"))?;
        if audiences.is_empty() {
            audiences.push(ISSUER.into());
        }
        Ok(Self { audiences, seconds })
    }
}
