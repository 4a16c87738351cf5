//! The session cookie: who logged in and until when, signed. Nothing about a session is kept on the server.
//!
//! Value: `base64url(payload) "." base64url(HMAC-SHA256(payload))`. The key is derived from the site key, so that a
//! signature made for another purpose is none here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::options::SiteKey;

/// Browsers drop cookies above 4,096 bytes, name and attributes included.
const MAX_VALUE: usize = 3_900;
const PURPOSE: &[u8] = b"essaim gateway session cookie, version 1";
const HMAC_BLOCK: usize = 64;

/// Who somebody is, as the API said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) login: String,
    pub(crate) groups: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    login: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    /// Seconds since 1970.
    expiry: i64,
    /// Makes two sessions of one login differ.
    nonce: String,
}

/// Signs and verifies sessions.
pub(crate) struct Sessions {
    mac: Hmac<Sha256>,
}

impl Sessions {
    pub(crate) fn new(site_key: &SiteKey) -> Self {
        let derived = keyed(&Sha256::digest(site_key.bytes())).chain_update(PURPOSE).finalize().into_bytes();
        Self { mac: keyed(&derived) }
    }

    /// The cookie value for somebody who proved to be `identity`.
    pub(crate) fn sign(&self, identity: &Identity, expiry: Timestamp) -> Result<String, Error> {
        let mut nonce = [0_u8; 12];
        getrandom::fill(&mut nonce).map_err(Error::Random)?;
        let payload = Payload {
            login: identity.login.clone(),
            groups: identity.groups.clone(),
            expiry: expiry.as_second(),
            nonce: URL_SAFE_NO_PAD.encode(nonce),
        };
        let too_large = || Error::SessionTooLarge { login: identity.login.clone() };
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&payload).map_err(|_| too_large())?);
        let signature = self.mac.clone().chain_update(payload.as_bytes()).finalize().into_bytes();
        let value = format!("{payload}.{}", URL_SAFE_NO_PAD.encode(signature));
        if value.len() > MAX_VALUE {
            return Err(too_large());
        }
        Ok(value)
    }

    /// Whose session a cookie value is; `None` if it is not ours or is over. The signature is compared in constant time.
    pub(crate) fn verify(&self, value: &str, now: Timestamp) -> Option<Identity> {
        if value.len() > MAX_VALUE {
            return None;
        }
        let (payload, signature) = value.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac.clone().chain_update(payload.as_bytes()).verify_slice(&signature).ok()?;
        let payload: Payload = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        (now.as_second() < payload.expiry).then_some(Identity { login: payload.login, groups: payload.groups })
    }
}

/// HMAC pads a short key with zeros; doing it here makes the length right by its type.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0_u8; HMAC_BLOCK];
    for (slot, byte) in block.iter_mut().zip(key) {
        *slot = *byte;
    }
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(fill: u8) -> Sessions {
        Sessions::new(&SiteKey::try_new([fill; 32]).unwrap())
    }

    fn alice() -> Identity {
        Identity { login: "alice".to_owned(), groups: vec!["physics".to_owned()] }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_session_is_believed_until_it_expires() {
        let value = sessions(1).sign(&alice(), at(1_000)).unwrap();
        assert_eq!(sessions(1).verify(&value, at(999)), Some(alice()));
        assert_eq!(sessions(1).verify(&value, at(1_000)), None);
    }

    #[test]
    fn a_changed_session_is_refused() {
        let value = sessions(1).sign(&alice(), at(1_000)).unwrap();
        for position in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last letter of each part carries spare bits; the decoder refuses those that are not zero.
            assert_eq!(sessions(1).verify(&changed, at(1)), None, "letter {position}");
        }
        let (payload, _) = value.split_once('.').unwrap();
        for changed in ["", ".", payload, &format!("{payload}."), &value[..value.len() - 1], &format!("{value}A")] {
            assert_eq!(sessions(1).verify(changed, at(1)), None, "{changed}");
        }
    }

    #[test]
    fn another_sites_session_is_refused() {
        let value = sessions(1).sign(&alice(), at(1_000)).unwrap();
        assert_eq!(sessions(2).verify(&value, at(1)), None);
    }

    #[test]
    fn two_sessions_of_one_login_differ() {
        let one = sessions(1).sign(&alice(), at(1_000)).unwrap();
        assert_ne!(one, sessions(1).sign(&alice(), at(1_000)).unwrap());
    }

    #[test]
    fn a_session_that_no_browser_would_keep_is_not_made() {
        let many = Identity { login: "alice".to_owned(), groups: vec!["a-rather-long-group-name".to_owned(); 200] };
        assert!(matches!(sessions(1).sign(&many, at(1)), Err(Error::SessionTooLarge { .. })));
    }
}
