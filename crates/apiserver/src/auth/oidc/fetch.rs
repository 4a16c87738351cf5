//! The way to the identity provider: two small documents over TLS.
//!
//! One connection for each, since they are fetched once an hour. Nothing is followed: no redirect, no other scheme.
//! Bounds: 5 s and 512 KiB for each document, 100 keys.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{
    auth::jwt::PublicKey,
    outgoing::{self, Address},
};

const PATIENCE: Duration = Duration::from_secs(5);
const DOCUMENT_BYTES: usize = 512 * 1024;
const MOST_KEYS: usize = 100;

/// Why an identity provider cannot be used, or did not give its keys.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// Not an address that can be asked.
    #[error("{0:?} is not an https address")]
    Address(String),
    /// No certificate authority could be read.
    #[error("cannot read the certificate authorities for the identity provider")]
    Authorities(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider cannot be reached.
    #[error("cannot connect to {host}")]
    Connect {
        /// Where.
        host: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The conversation broke off.
    #[error("cannot read {url}")]
    Exchange {
        /// What was asked for.
        url: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered something else than a document.
    #[error("{url} is answered with {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The code.
        status: StatusCode,
    },
    /// It took too long.
    #[error("{0} is not answered in time")]
    TimedOut(String),
    /// The document does not say what it should.
    #[error("{url} does not give {expected}")]
    Content {
        /// The document.
        url: String,
        /// What should stand there.
        expected: &'static str,
    },
}

/// One key of the issuer, with its name.
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) public: PublicKey,
}

/// Where the keys are.
pub(super) struct Source {
    issuer: String,
    connector: TlsConnector,
}

impl Source {
    pub(super) fn new(issuer: &str, ca_pem: Option<&str>) -> Result<Self, OidcError> {
        address(issuer)?;
        let connector = outgoing::trusting(ca_pem.map(str::as_bytes));
        let connector = connector.map_err(|error| OidcError::Authorities(error.into()))?;
        Ok(Self { issuer: issuer.to_owned(), connector })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Asks the issuer where its keys are, and then for the keys.
    pub(super) async fn fetch(&self) -> Result<Vec<Key>, OidcError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let found = self.document(&url).await?;
        if found["issuer"] != self.issuer.as_str() {
            return Err(OidcError::Content { url, expected: "the configured issuer" });
        }
        let Some(keys_url) = found["jwks_uri"].as_str() else {
            return Err(OidcError::Content { url, expected: "the address of its keys" });
        };
        let set = self.document(keys_url).await?;
        let entries = set["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
        let key = |entry: &Value| {
            let public = PublicKey::from_jwk(entry)?;
            Some(Key { id: entry["kid"].as_str().map(str::to_owned), public })
        };
        let keys: Vec<Key> = entries.iter().filter_map(key).take(MOST_KEYS).collect();
        if keys.is_empty() {
            return Err(OidcError::Content { url: keys_url.to_owned(), expected: "a key that can be used" });
        }
        Ok(keys)
    }

    async fn document(&self, url: &str) -> Result<Value, OidcError> {
        let bytes = timeout(PATIENCE, self.get(url)).await.map_err(|_| OidcError::TimedOut(url.to_owned()))??;
        serde_json::from_slice(&bytes).map_err(|_| OidcError::Content { url: url.to_owned(), expected: "JSON" })
    }

    async fn get(&self, url: &str) -> Result<Bytes, OidcError> {
        let address = address(url)?;
        let broken =
            |source: Box<dyn std::error::Error + Send + Sync>| OidcError::Exchange { url: url.to_owned(), source };
        let connect = |source| OidcError::Connect { host: address.host.clone(), source };
        let stream = address.connect(&self.connector).await.map_err(connect)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.into()))?;
        let request = Request::get(&address.path).header(header::HOST, address.authority());
        let request = request.header(header::ACCEPT, "application/json");
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| broken(error.into()))?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|error| broken(error.into()))?;
            if answer.status() != StatusCode::OK {
                return Err(OidcError::Status { url: url.to_owned(), status: answer.status() });
            }
            let body = Limited::new(answer.into_body(), DOCUMENT_BYTES).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return OidcError::Content { url: url.to_owned(), expected: "a document of at most 512 KiB" };
                }
                broken(error)
            })
        };
        // The connection carries the exchange; how it ends is seen there.
        let carried = async {
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = exchange => answer,
            () = carried => Err(OidcError::TimedOut(url.to_owned())),
        }
    }
}

fn address(url: &str) -> Result<Address, OidcError> {
    Address::parse(url).ok_or_else(|| OidcError::Address(url.to_owned()))
}
