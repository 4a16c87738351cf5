//! The key that signs the tokens of service accounts: made at the first start, kept like the keys of certificates; and the
//! keys beside it whose tokens hold too, so that it can be replaced while tokens of the one before are in use.

use std::path::Path;

use rcgen::KeyPair;
use rustls::pki_types::{
    PrivatePkcs8KeyDer,
    pem::{PemObject as _, SectionKind},
};

use super::{TlsError, files};
use crate::ServiceAccountKey;

const FILE: &str = "service-account.key";
/// Further keys, private or public, one PEM section each. They sign nothing.
const VERIFY_FILE: &str = "service-account-verify.pem";
/// More would be a mistake: each that a token does not name costs a signature's check.
const VERIFY_KEYS: usize = 16;

/// Reads `tls/service-account.key` in `data_dir`, or makes it; and `tls/service-account-verify.pem`, if it is there.
///
/// Guarantees: the file is readable by its owner only and is replaced as a whole. Several servers over one store must have
/// the same file; a new one ends all tokens but those of the keys in the other file.
///
/// Errors: a file that is there and holds no key of the curve P-256 is an error, never replaced.
pub fn service_account_key(data_dir: &Path) -> Result<ServiceAccountKey, TlsError> {
    let directory = data_dir.join("tls");
    let key = signing(&directory)?;
    let path = directory.join(VERIFY_FILE);
    match files::read_if_there(&path)? {
        Some(text) => with_further(key, &text).ok_or_else(|| TlsError::Content {
            path: path.display().to_string(),
            expected: "1 to 16 keys of the curve P-256 (PRIVATE KEY or PUBLIC KEY) and nothing else",
        }),
        None => Ok(key),
    }
}

fn signing(directory: &Path) -> Result<ServiceAccountKey, TlsError> {
    let path = directory.join(FILE);
    if let Some(text) = files::read_if_there(&path)? {
        let content =
            || TlsError::Content { path: path.display().to_string(), expected: "a private key of the curve P-256" };
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| content())?;
        return ServiceAccountKey::from_pkcs8(der.secret_pkcs8_der().to_vec()).ok_or_else(content);
    }
    files::make_private_directory(directory)?;
    let made = KeyPair::generate().map_err(|source| TlsError::Make { subject: "service-account".into(), source })?;
    files::write_private(&path, &made.serialize_pem())?;
    let unusable = || TlsError::Content { path: path.display().to_string(), expected: "a key that can sign" };
    ServiceAccountKey::from_pkcs8(made.serialize_der()).ok_or_else(unusable)
}

fn with_further(key: ServiceAccountKey, text: &str) -> Option<ServiceAccountKey> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes());
    let sections = sections.collect::<Result<Vec<_>, _>>().ok()?;
    if !(1..=VERIFY_KEYS).contains(&sections.len()) {
        return None;
    }
    sections.into_iter().try_fold(key, |key, (kind, der)| match kind {
        SectionKind::PrivateKey => key.verifying_pkcs8(&der),
        SectionKind::PublicKey => key.verifying_spki(&der),
        _ => None,
    })
}

/// A key that nobody keeps; nothing if no random bytes could be drawn, and then there are no tokens.
pub(in crate::server) fn passing() -> Option<ServiceAccountKey> {
    ServiceAccountKey::from_pkcs8(KeyPair::generate().ok()?.serialize_der())
}
