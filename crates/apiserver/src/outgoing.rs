//! Connections to servers outside, always over TLS: the identity provider, webhooks. Here stands whom they trust, and how an
//! address is read.
//!
//! Nothing here keeps a connection or bounds a wait; whoever asks does both.

use std::{io, sync::Arc};

use http::Uri;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// An `https` address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an address, without the brackets that stand in text.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// With the query.
    pub(crate) path: String,
}

impl Address {
    /// Nothing unless it is an `https` address with a host.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let host = uri.host().filter(|host| uri.scheme_str() == Some("https") && !host.is_empty())?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { host, port: uri.port_u16().unwrap_or(443), path })
    }

    /// For the header `Host`.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }

    /// Opens a connection; the certificate must be for the host.
    ///
    /// Cancellation: closes it.
    pub(crate) async fn connect(&self, connector: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await?;
        socket.set_nodelay(true)?;
        connector.connect(name, socket).await
    }
}

/// Why nobody could be trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// The text is not PEM.
    #[error("the certificate authorities cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It holds no certificate.
    #[error("there is no certificate authority")]
    Empty,
}

/// Trusts the authorities of the text, or those of the system. Remembers sessions, so keep it.
pub(crate) fn trusting(ca_pem: Option<&[u8]>) -> Result<TlsConnector, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::Unreadable(error.into()))?
        .with_root_certificates(authorities(ca_pem)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authorities(ca_pem: Option<&[u8]>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let found = match ca_pem {
        Some(text) => CertificateDer::pem_slice_iter(text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TrustError::Unreadable(error.into()))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(found);
    if roots.is_empty() { Err(TrustError::Empty) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::{Address, trusting};

    #[test]
    fn an_address_is_https_with_a_host() {
        let address = Address::parse("https://[::1]:8443/a/b?c=d").unwrap();
        assert_eq!((address.host.as_str(), address.port, address.path.as_str()), ("::1", 8443, "/a/b?c=d"));
        assert_eq!(address.authority(), "[::1]:8443");
        let plain = Address::parse("https://hooks.example.org").unwrap();
        assert_eq!((plain.authority().as_str(), plain.port, plain.path.as_str()), ("hooks.example.org", 443, "/"));
        for wrong in ["http://localhost/", "localhost", "https:///path", "", "https://a b/"] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_text_without_a_certificate_is_trusted_by_nobody() {
        assert!(trusting(Some(b"nothing")).is_err());
    }
}
