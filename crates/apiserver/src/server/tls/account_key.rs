//! The key that signs the tokens of service accounts: made at the first start, kept like the keys of certificates.

use std::path::Path;

use rcgen::KeyPair;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};

use super::{TlsError, files};
use crate::ServiceAccountKey;

const FILE: &str = "service-account.key";

/// Reads `tls/service-account.key` in `data_dir`, or makes it.
///
/// Guarantees: the file is readable by its owner only and is replaced as a whole. Several servers over one store must have
/// the same file; a new one ends all tokens.
///
/// Errors: a file that is there and holds no key of the curve P-256 is an error, never replaced.
pub fn service_account_key(data_dir: &Path) -> Result<ServiceAccountKey, TlsError> {
    let directory = data_dir.join("tls");
    let path = directory.join(FILE);
    if let Some(text) = files::read_if_there(&path)? {
        let content =
            || TlsError::Content { path: path.display().to_string(), expected: "a private key of the curve P-256" };
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| content())?;
        return ServiceAccountKey::from_pkcs8(der.secret_pkcs8_der().to_vec()).ok_or_else(content);
    }
    files::make_private_directory(&directory)?;
    let made = KeyPair::generate().map_err(|source| TlsError::Make { subject: "service-account".into(), source })?;
    files::write_private(&path, &made.serialize_pem())?;
    let unusable = || TlsError::Content { path: path.display().to_string(), expected: "a key that can sign" };
    ServiceAccountKey::from_pkcs8(made.serialize_der()).ok_or_else(unusable)
}

/// A key that nobody keeps; nothing if no random bytes could be drawn, and then there are no tokens.
pub(in crate::server) fn passing() -> Option<ServiceAccountKey> {
    ServiceAccountKey::from_pkcs8(KeyPair::generate().ok()?.serialize_der())
}
