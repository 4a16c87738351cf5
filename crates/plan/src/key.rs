//! The site key, and the secrets derived from it.
//!
//! A notebook's token is not stored anywhere: it is a keyed hash of the server's uid. So a crash can lose nothing between
//! "token made" and "token recorded", and whoever holds the site key (controllers, gateway) knows every token.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key of a site, from the Secret in essaim's own namespace.
#[derive(Clone, PartialEq, Eq)]
pub struct SiteKey(Vec<u8>);

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiteKey(…)")
    }
}

impl SiteKey {
    /// Takes at least 32 random bytes; `None` if there are fewer.
    pub fn try_new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() >= 32).then_some(Self(bytes))
    }

    /// The token that a notebook server asks of its callers: 64 hexadecimal digits.
    pub fn notebook_token(&self, uid: &str) -> String {
        hex::encode(self.derive(&["notebook-token", uid]))
    }

    /// The key that signs the gateway's sessions: 32 bytes.
    pub fn session_key(&self) -> Vec<u8> {
        self.derive(&["gateway-session"])
    }

    /// A short public name of this key: secrets made under another key are told apart by it.
    pub fn fingerprint(&self) -> String {
        hex::encode(&self.derive(&["fingerprint"])[..4])
    }

    /// A keyed hash of the parts, which cannot run into each other because each ends with a zero byte.
    fn derive(&self, parts: &[&str]) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length; the type cannot say so")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any key length is fine");
        for part in parts {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_by_server_and_by_site() {
        let (one, two) = (SiteKey::try_new(vec![1; 32]).unwrap(), SiteKey::try_new(vec![2; 32]).unwrap());
        assert_eq!(one.notebook_token("u1"), one.notebook_token("u1"));
        assert_ne!(one.notebook_token("u1"), one.notebook_token("u2"));
        assert_ne!(one.notebook_token("u1"), two.notebook_token("u1"));
        assert_ne!(one.fingerprint(), two.fingerprint());
        assert_eq!(one.notebook_token("u1").len(), 64);
    }

    #[test]
    fn a_short_key_is_refused_and_a_key_is_never_printed() {
        assert!(SiteKey::try_new(vec![1; 31]).is_none());
        assert_eq!(format!("{:?}", SiteKey::try_new(vec![7; 32]).unwrap()), "SiteKey(…)");
    }
}
