//! `continue`: where the next page begins, and of which moment it is.
//!
//! The form is Kubernetes' own, since tools look into it: base64 of `{"v":"meta.k8s.io/v1","rv":12,"start":"ns/name\0"}`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use essaim_store::Revision;
use serde::{Deserialize, Serialize};

use crate::ApiError;

const VERSION: &str = "meta.k8s.io/v1";

/// A position between two pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The moment of the first page; `None` goes on with whatever is there now.
    pub(super) revision: Option<Revision>,
    /// The key to start at, without the prefix of the list.
    pub(super) start: String,
}

#[derive(Serialize, Deserialize)]
struct Form {
    v: String,
    rv: i64,
    start: String,
}

impl Token {
    /// Behind the last key of a page.
    pub(super) fn after(key: &str, prefix: &str, revision: Revision) -> Self {
        let start = key.strip_prefix(prefix).unwrap_or(key);
        Self { revision: Some(revision), start: format!("{start}\0") }
    }

    /// The same place, at no particular moment.
    pub(super) fn inconsistent(self) -> Self {
        Self { revision: None, ..self }
    }

    pub(super) fn encode(&self) -> String {
        let rv = self.revision.and_then(|revision| i64::try_from(revision.0).ok()).unwrap_or(-1);
        let form = Form { v: VERSION.into(), rv, start: self.start.clone() };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&form).unwrap_or_default())
    }

    pub(super) fn decode(text: &str) -> Result<Self, ApiError> {
        let refuse = || ApiError::bad_request("continue key is not valid");
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| refuse())?;
        let form: Form = serde_json::from_slice(&bytes).map_err(|_| refuse())?;
        if form.v != VERSION || form.rv == 0 || form.start.is_empty() || form.start.split('/').any(|part| part == "..")
        {
            return Err(refuse());
        }
        Ok(Self { revision: u64::try_from(form.rv).ok().map(Revision), start: form.start })
    }
}

#[cfg(test)]
mod tests {
    use essaim_store::Revision;

    use super::Token;

    #[test]
    fn tokens_come_back_as_they_were() {
        let token = Token::after("/registry/g/p/ns/name", "/registry/g/p/", Revision(12));
        assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        assert_eq!(token.start, "ns/name\0");
        let loose = token.inconsistent();
        assert_eq!(Token::decode(&loose.encode()).unwrap().revision, None);
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for text in ["", "x", "!!!", "e30"] {
            assert_eq!(Token::decode(text).unwrap_err().code, 400, "{text}");
        }
    }
}
