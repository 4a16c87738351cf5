//! The server's certificates: from files, or made on first start and renewed before they end.
//!
//! Clients may show a certificate signed by the same authority; whoever shows none must send a token.

mod account_key;
mod authority;
mod files;
mod kubeconfig;

use std::{net::IpAddr, path::Path, sync::Arc};

pub(super) use account_key::passing as passing_service_account_key;
pub use account_key::service_account_key;
use jiff::Timestamp;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

/// How connections are secured.
#[derive(Clone)]
pub struct Tls {
    pub(super) server: Arc<ServerConfig>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("cannot {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file does not contain what it should.
    #[error("{path} does not contain {expected}")]
    Content {
        /// The file.
        path: String,
        /// What should be there.
        expected: &'static str,
    },
    /// A certificate could not be made.
    #[error("cannot make the certificate of {subject:?}")]
    Make {
        /// Whose.
        subject: String,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// The certificate and key do not make a server.
    #[error("cannot use the certificate")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What the certificates of a first start must fit.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host names and addresses under which clients reach the server, beside `localhost` and the loopback addresses.
    pub names: Vec<String>,
    /// The address in the kubeconfig: `https://127.0.0.1:6443`.
    pub url: String,
}

impl Tls {
    /// Uses certificates that somebody else made. Client certificates are accepted if `client_ca` is given.
    pub fn from_files(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let client_ca = client_ca.map(files::read).transpose()?;
        let (chain, key_text) = (files::read(certificate)?, files::read(key)?);
        Self::build(&chain, &key_text, client_ca.as_deref(), &certificate.display().to_string())
    }

    /// The configuration, for another listener of the same process.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    fn build(chain: &str, key: &str, client_ca: Option<&str>, path: &str) -> Result<Self, TlsError> {
        let content = |expected| TlsError::Content { path: path.to_owned(), expected };
        let chain = certificates(chain).ok_or_else(|| content("a certificate chain"))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| content("a private key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Config(error.into()))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(text) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(text).ok_or_else(|| content("the client authority"))?);
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build();
                builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::Config(error.into()))?)
            }
        };
        let mut server = builder.with_single_cert(chain, key).map_err(|error| TlsError::Config(error.into()))?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { server: Arc::new(server) })
    }
}

fn certificates(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

/// Makes what is missing or nearly over in `data_dir`: an authority, the server's certificate, the administrator's
/// certificate and `admin.kubeconfig`. What is there and valid is used again.
///
/// Guarantees: files with keys are readable by their owner only and are replaced as a whole.
pub fn ensure(data_dir: &Path, endpoint: &Endpoint, now: Timestamp) -> Result<Tls, TlsError> {
    let directory = data_dir.join("tls");
    files::make_private_directory(&directory)?;
    let authority = authority::ensure(&directory, now)?;
    let names = names(endpoint);
    let server = authority.server(&directory, &names, now)?;
    let admin = authority.admin(&directory, now)?;
    kubeconfig::write(&data_dir.join("admin.kubeconfig"), &endpoint.url, authority.certificate(), &admin)?;
    Tls::build(&server.certificate, &server.key, Some(authority.certificate()), &directory.display().to_string())
}

/// The names of the endpoint and of the machine itself, each once, in order.
fn names(endpoint: &Endpoint) -> Vec<String> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    // A certificate for "any address" would name nothing.
    let specific =
        |name: &String| !name.is_empty() && !name.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    let mut names =
        own.into_iter().chain(endpoint.names.iter().filter(|name| specific(name)).cloned()).collect::<Vec<_>>();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
