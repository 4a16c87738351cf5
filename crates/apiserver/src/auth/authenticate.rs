//! Who asks: the process itself, the bearer of a token, or the holder of a client certificate.
//!
//! Invariant: an identity in the request's extensions was put there by this process; the network can only send headers.

use std::sync::Arc;

use http::{Extensions, HeaderMap, header};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{AccountTokens, StaticToken, UserInfo, account_tokens, issued, jwt, oidc::Provider, same_digest};
use crate::ApiError;

/// The identity in a client certificate that was checked during the handshake.
#[derive(Clone, Debug)]
pub(crate) struct PeerCertificate(Arc<UserInfo>);

impl PeerCertificate {
    /// Reads the common name as the user and the organizations as groups; nothing if there is no common name.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().next()?.as_str().ok().filter(|name| !name.is_empty())?;
        let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
        Some(Self(Arc::new(UserInfo::new(name, groups))))
    }
}

/// Who somebody is, and for whom their credential was made.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) user: UserInfo,
    pub(crate) audiences: Vec<String>,
}

impl Identity {
    /// By a credential that is good for this API and nobody else.
    fn here(user: UserInfo) -> Self {
        Self { user, audiences: vec![account_tokens::ISSUER.into()] }
    }
}

/// Knows the tokens.
#[derive(Default)]
pub(crate) struct Authenticator {
    pub(crate) configured: Vec<StaticToken>,
    pub(crate) issued: Option<issued::Index>,
    pub(crate) accounts: Option<Arc<AccountTokens>>,
    pub(crate) oidc: Option<Provider>,
}

impl Authenticator {
    /// Finds who asks, by what this process, a token or a client certificate says.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
        now: Timestamp,
    ) -> Result<UserInfo, ApiError> {
        if let Some(user) = extensions.get::<UserInfo>() {
            return Ok(user.clone().authenticated());
        }
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).ok_or_else(ApiError::unauthorized)?;
            return Ok(self.by_token(token, &[], now).await?.user);
        }
        let peer = extensions.get::<PeerCertificate>().ok_or_else(ApiError::unauthorized)?;
        Ok(UserInfo::clone(&peer.0).authenticated())
    }

    /// Whose token it is, and for which of the wanted audiences; for this API if none are named.
    ///
    /// Errors: 401 for one that is not known, does not hold, or is for somebody else.
    pub(crate) async fn by_token(&self, token: &str, wanted: &[String], now: Timestamp) -> Result<Identity, ApiError> {
        let Identity { user, mut audiences } = self.find(token, now).await?;
        let here = [account_tokens::ISSUER.to_owned()];
        let wanted = if wanted.is_empty() { &here } else { wanted };
        audiences.retain(|one| wanted.contains(one));
        if audiences.is_empty() {
            return Err(ApiError::unauthenticated("the token is for another audience"));
        }
        Ok(Identity { user: user.authenticated(), audiences })
    }

    async fn find(&self, token: &str, now: Timestamp) -> Result<Identity, ApiError> {
        if let Some(user) = self.configured(token) {
            return Ok(Identity::here(user));
        }
        if let Some(signed) = jwt::Token::parse(token) {
            return self.by_signature(&signed, now).await;
        }
        match &self.issued {
            Some(issued) => issued.find(token, now).await?.map(Identity::here).ok_or_else(ApiError::unauthorized),
            None => Err(ApiError::unauthorized()),
        }
    }

    /// A token tells its issuer, and its issuer knows the key.
    async fn by_signature(&self, token: &jwt::Token<'_>, now: Timestamp) -> Result<Identity, ApiError> {
        let issuer = token.text("iss");
        if let Some(accounts) = self.accounts.as_ref().filter(|_| issuer == account_tokens::ISSUER) {
            return accounts.find(token, now).await;
        }
        match self.oidc.as_ref().filter(|provider| provider.is_issuer(issuer)) {
            Some(provider) => provider.find(token, now).await.map(Identity::here),
            None => Err(ApiError::unauthenticated("nobody here knows the issuer of the token")),
        }
    }

    /// Compares with every token in the same time, so that nothing can be learned from the wait.
    fn configured(&self, token: &str) -> Option<UserInfo> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for known in &self.configured {
            if same_digest(&known.token_sha256, &digest) {
                found = Some(&known.user);
            }
        }
        found.cloned()
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::{Extensions, HeaderMap, HeaderValue, header};
    use jiff::Timestamp;
    use sha2::{Digest as _, Sha256};

    use super::Authenticator;
    use crate::auth::{StaticToken, UserInfo};

    fn headers(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(authorization))])
    }

    #[tokio::test]
    async fn a_token_names_its_user_and_nothing_else_does() {
        let token =
            StaticToken { token_sha256: Sha256::digest("secret").into(), user: UserInfo::new("alice", ["staff"]) };
        let authenticator = Authenticator { configured: vec![token], ..Authenticator::default() };
        let identify = async |headers: HeaderMap| {
            authenticator
                .identify(&headers, &Extensions::new(), Timestamp::UNIX_EPOCH)
                .await
                .map_err(|error| error.code)
        };
        let user = identify(headers("Bearer secret")).await.unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups.as_slice()),
            ("alice", &["staff".to_owned(), "system:authenticated".into()][..])
        );
        for wrong in ["Bearer other", "Bearer ", "Basic secret", "secret"] {
            assert_eq!(identify(headers(wrong)).await.unwrap_err(), 401, "{wrong}");
        }
        assert_eq!(identify(HeaderMap::new()).await.unwrap_err(), 401);
    }
}
