//! The certificates in force: what handshakes see from one moment to the next.
//!
//! Invariant: what cannot be used never replaces what can. A file that is half written, or a certificate whose key has not
//! arrived yet, leaves everything as it was until the next look.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use jiff::Timestamp;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};

use super::{Endpoint, TlsError, authority, files, kubeconfig, names};

/// Where certificates come from.
#[derive(Clone)]
pub(super) enum Source {
    /// Somebody else makes them.
    Files { certificate: PathBuf, key: PathBuf, client_ca: Option<PathBuf> },
    /// This server makes them, in this directory.
    Made { data_dir: PathBuf, endpoint: Endpoint },
}

impl Source {
    /// What lies there now. What nearly ends and is this server's own is made anew first.
    pub(super) fn read(&self, now: Timestamp) -> Result<Material, TlsError> {
        match self {
            Self::Files { certificate, key, client_ca } => Ok(Material {
                chain: files::read(certificate)?,
                key: files::read(key)?,
                client_ca: client_ca.as_deref().map(files::read).transpose()?,
                path: certificate.display().to_string(),
            }),
            Self::Made { data_dir, endpoint } => {
                let directory = data_dir.join("tls");
                let authority = authority::read(&directory, now)?;
                let server = authority.renewed_server(&directory, &names(endpoint), now)?;
                if let Some(admin) = authority.renewed_admin(&directory, now)? {
                    let path = data_dir.join("admin.kubeconfig");
                    kubeconfig::write(&path, &endpoint.url, authority.certificate(), &admin)?;
                }
                Ok(Material::made(&directory, &authority, server))
            }
        }
    }
}

/// The texts of the files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    chain: String,
    key: String,
    client_ca: Option<String>,
    /// For errors.
    path: String,
}

impl Material {
    pub(super) fn made(directory: &std::path::Path, authority: &authority::Authority, server: authority::Pair) -> Self {
        let client_ca = Some(authority.certificate().to_owned());
        Self { chain: server.certificate, key: server.key, client_ca, path: directory.display().to_string() }
    }
}

/// What is in force; shared by everybody who accepts connections.
pub(super) struct Current {
    source: Source,
    /// What is in force was made of this. Held while the files are looked at, so that one looks at a time.
    material: Mutex<Material>,
    shown: Arc<Shown>,
    config: RwLock<Arc<ServerConfig>>,
}

impl Current {
    pub(super) fn new(source: Source, material: Material) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let shown = Arc::new(Shown(RwLock::new(certified(&material, &provider)?)));
        let config = RwLock::new(config(&material, provider, shown.clone())?);
        Ok(Self { source, material: Mutex::new(material), shown, config })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the files again; true if they say something else than before.
    pub(super) fn refresh(&self, now: Timestamp) -> Result<bool, TlsError> {
        let mut material = self.material.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.source.read(now)?;
        if found == *material {
            return Ok(false);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = certified(&found, &provider)?;
        let config = config(&found, provider, self.shown.clone())?;
        // Whoever holds an earlier configuration shows the new certificate too.
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = key;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        *material = found;
        Ok(true)
    }
}

/// The certificate that handshakes show. A std lock: it is held for the copy of a pointer.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn certified(material: &Material, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let content = |expected| TlsError::Content { path: material.path.clone(), expected };
    let chain = certificates(&material.chain).ok_or_else(|| content("a certificate chain"))?;
    let key = PrivateKeyDer::from_pem_slice(material.key.as_bytes()).map_err(|_| content("a private key"))?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| TlsError::Config(error.into()))?;
    Ok(Arc::new(certified))
}

fn config(
    material: &Material,
    provider: Arc<CryptoProvider>,
    shown: Arc<Shown>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Config(error.into()))?;
    let builder = match &material.client_ca {
        None => builder.with_no_client_auth(),
        Some(text) => {
            let authority = TlsError::Content { path: material.path.clone(), expected: "the client authority" };
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(text).ok_or(authority)?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::Config(error.into()))?)
        }
    };
    let mut config = builder.with_cert_resolver(shown);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}
