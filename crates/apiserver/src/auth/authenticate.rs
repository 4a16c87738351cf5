//! Who asks: the process itself, the bearer of a token, or the holder of a client certificate.
//!
//! Invariant: an identity in the request's extensions was put there by this process; the network can only send headers.

use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{StaticToken, UserInfo};
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

/// Knows the tokens.
#[derive(Debug, Default)]
pub(crate) struct Authenticator {
    tokens: Vec<StaticToken>,
}

impl Authenticator {
    pub(crate) fn new(tokens: Vec<StaticToken>) -> Self {
        Self { tokens }
    }

    /// Finds who asks, and for whom they act if they say so.
    pub(crate) fn identify(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<UserInfo, ApiError> {
        if let Some(user) = extensions.get::<UserInfo>() {
            return Ok(user.clone().authenticated());
        }
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer).ok_or_else(ApiError::unauthorized)?;
            return self.by_token(token).ok_or_else(ApiError::unauthorized);
        }
        let peer = extensions.get::<PeerCertificate>().ok_or_else(ApiError::unauthorized)?;
        Ok(UserInfo::clone(&peer.0).authenticated())
    }

    /// Whose token it is. Compares with every token in the same time, so that nothing can be learned from the wait.
    pub(crate) fn by_token(&self, token: &str) -> Option<UserInfo> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for known in &self.tokens {
            let difference = known.token_sha256.iter().zip(digest).fold(0, |all, (left, right)| all | (left ^ right));
            if std::hint::black_box(difference) == 0 {
                found = Some(&known.user);
            }
        }
        found.map(|user| user.clone().authenticated())
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// Whom the request says it acts for: `Impersonate-User` and `Impersonate-Group`, as `kubectl --as` sends them.
pub(crate) fn impersonated(headers: &HeaderMap) -> Result<Option<UserInfo>, ApiError> {
    // One that cannot be read must not be passed over: the request would then count as the sender's own.
    let text = |name: &str| {
        let values = headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>();
        values.map_err(|_| ApiError::bad_request(format!("the header {name} is not ASCII text")))
    };
    let (names, groups) = (text("impersonate-user")?, text("impersonate-group")?);
    let other = headers.keys().find(|name| {
        let name = name.as_str();
        name.starts_with("impersonate-") && name != "impersonate-user" && name != "impersonate-group"
    });
    match (names.as_slice(), other) {
        (_, Some(other)) => Err(ApiError::bad_request(format!("the header {other} is not supported"))),
        ([], None) if groups.is_empty() => Ok(None),
        ([name], None) if !name.is_empty() => Ok(Some(UserInfo::new(*name, groups).authenticated())),
        _ => Err(ApiError::bad_request("exactly one Impersonate-User is needed to act for somebody else")),
    }
}

#[cfg(test)]
mod tests {
    use http::{Extensions, HeaderMap, HeaderValue, header};
    use sha2::{Digest as _, Sha256};

    use super::{Authenticator, impersonated};
    use crate::auth::{StaticToken, UserInfo};

    fn headers(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(authorization))])
    }

    #[test]
    fn a_token_names_its_user_and_nothing_else_does() {
        let token =
            StaticToken { token_sha256: Sha256::digest("secret").into(), user: UserInfo::new("alice", ["staff"]) };
        let authenticator = Authenticator::new(vec![token]);
        let user = authenticator.identify(&headers("Bearer secret"), &Extensions::new()).unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups.as_slice()),
            ("alice", &["staff".to_owned(), "system:authenticated".into()][..])
        );
        for wrong in ["Bearer other", "Bearer ", "Basic secret", "secret"] {
            assert_eq!(authenticator.identify(&headers(wrong), &Extensions::new()).unwrap_err().code, 401, "{wrong}");
        }
        assert_eq!(authenticator.identify(&HeaderMap::new(), &Extensions::new()).unwrap_err().code, 401);
    }

    #[test]
    fn impersonation_is_read_or_refused_never_ignored() {
        let with = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            impersonated(&pairs.collect())
        };
        assert_eq!(with(&[]).unwrap(), None);
        assert_eq!(with(&[("impersonate-user", "bob")]).unwrap().unwrap().name, "bob");
        assert!(with(&[("impersonate-group", "staff")]).is_err());
        assert!(with(&[("impersonate-user", "bob"), ("impersonate-uid", "1")]).is_err());
        for name in ["impersonate-user", "impersonate-group"] {
            let unreadable = HeaderValue::from_bytes(b"\xc3\xa9ric").unwrap();
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), unreadable)]);
            assert_eq!(impersonated(&headers).unwrap_err().code, 400, "{name}");
        }
    }
}
