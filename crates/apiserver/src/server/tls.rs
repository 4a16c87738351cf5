//! The server's certificates: from files, or made on first start and renewed before they end, while the server runs.
//!
//! Clients may show a certificate signed by the same authority; whoever shows none must send a token.

mod account_key;
mod authority;
mod current;
mod files;
mod kubeconfig;

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

pub(super) use account_key::passing as passing_service_account_key;
pub use account_key::service_account_key;
use current::{Current, Material, Source};
use jiff::Timestamp;
use rustls::ServerConfig;

use crate::Clock;

/// How often the files of certificates are looked at.
const LOOK: Duration = Duration::from_mins(1);

/// How connections are secured. Clones share what is in force.
#[derive(Clone)]
pub struct Tls {
    current: Arc<Current>,
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
        let client_ca = client_ca.map(Path::to_owned);
        let source = Source::Files { certificate: certificate.to_owned(), key: key.to_owned(), client_ca };
        // No time matters: nothing of this is the server's own to renew.
        let material = source.read(Timestamp::UNIX_EPOCH)?;
        Self::new(source, material)
    }

    /// The configuration, for another listener of the same process. It shows each new certificate, but trusts the
    /// authority of today only.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.config()
    }

    /// Looks at the files again. What somebody put there counts for the handshakes to come, if it can be used; what nearly
    /// ends and was made by [`ensure`] is made anew, the administrator's certificate and `admin.kubeconfig` too. The
    /// authority is not: that would shut out everybody who trusts it.
    ///
    /// True if handshakes see something else from now on. [`ApiServer::serve`](crate::ApiServer::serve) does this once a minute.
    ///
    /// Errors: what lies there cannot be used; what was in force stays.
    pub fn refresh(&self, now: Timestamp) -> Result<bool, TlsError> {
        self.current.refresh(now)
    }

    /// Looks at the files from time to time. Does not end.
    pub(super) async fn keep(&self, clock: &Clock) {
        let mut usable = true;
        loop {
            tokio::time::sleep(LOOK).await;
            let (tls, now) = (self.clone(), clock());
            let Ok(looked) = tokio::task::spawn_blocking(move || tls.refresh(now)).await else { continue };
            match &looked {
                Ok(true) => tracing::info!("new connections see new certificates"),
                Err(error) if usable => {
                    let error = error as &dyn std::error::Error;
                    tracing::warn!(error, "cannot use the certificates that lie there, and keep those in force");
                }
                Ok(false) | Err(_) => {}
            }
            usable = looked.is_ok();
        }
    }

    fn new(source: Source, material: Material) -> Result<Self, TlsError> {
        Ok(Self { current: Arc::new(Current::new(source, material)?) })
    }
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
    let source = Source::Made { data_dir: data_dir.to_owned(), endpoint: endpoint.clone() };
    Tls::new(source, Material::made(&directory, &authority, server))
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
