//! The server's own certificate authority, and what it signs.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use x509_parser::{extensions::GeneralName, pem::parse_x509_pem, prelude::X509Certificate};

use super::{TlsError, files};

/// What is signed ends after a year; the authority after ten.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365);
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// What ends sooner than this is made anew.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(24 * 30);
const SUBJECT: &str = "essaim-ca";

/// A certificate with its key, both as PEM text.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The authority.
pub(super) struct Authority {
    pair: Pair,
}

/// Reads the authority, or makes it.
pub(super) fn ensure(directory: &Path, now: Timestamp) -> Result<Authority, TlsError> {
    let pair = reuse_or_make(
        directory,
        "ca",
        now,
        |_| true,
        || {
            let mut params = params(&[], now, AUTHORITY_LIFETIME)?;
            params.distinguished_name.push(DnType::CommonName, SUBJECT);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages =
                vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
            let key = KeyPair::generate()?;
            let certificate = params.self_signed(&key)?;
            Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
        },
    )?;
    Ok(Authority { pair })
}

/// The authority as it lies there; never makes one.
pub(super) fn read(directory: &Path, now: Timestamp) -> Result<Authority, TlsError> {
    match found(directory, "ca", now, |_| true)? {
        (Some(pair), State::Fresh | State::Ending) => Ok(Authority { pair }),
        _ => Err(unfit(directory, "ca.crt", "a certificate with its key in ca.key")),
    }
}

impl Authority {
    pub(super) fn certificate(&self) -> &str {
        &self.pair.certificate
    }

    /// The server's certificate for these names.
    pub(super) fn server(&self, directory: &Path, names: &[String], now: Timestamp) -> Result<Pair, TlsError> {
        let fits = |certificate: &X509Certificate<'_>| {
            self.signed(certificate) && names.iter().all(|name| covers(certificate, name))
        };
        reuse_or_make(directory, "server", now, fits, || self.make_server(names, now))
    }

    /// The server's certificate as it lies there, made anew if it nearly ends.
    ///
    /// Errors: what lies there is not of this authority, or has another key. Somebody may be replacing the files just now, so
    /// nothing is overwritten.
    pub(super) fn renewed_server(&self, directory: &Path, names: &[String], now: Timestamp) -> Result<Pair, TlsError> {
        match found(directory, "server", now, |certificate| self.signed(certificate))? {
            (Some(pair), State::Fresh) => Ok(pair),
            (Some(_), State::Ending) => make_and_write(directory, "server", || self.make_server(names, now)),
            _ => Err(unfit(
                directory,
                "server.crt",
                "a certificate of the authority in ca.crt with its key in server.key",
            )),
        }
    }

    fn make_server(&self, names: &[String], now: Timestamp) -> Result<Pair, rcgen::Error> {
        let mut params = params(names, now, LIFETIME)?;
        params.distinguished_name.push(DnType::CommonName, "essaim-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// The administrator's certificate: a member of the group that may do everything.
    pub(super) fn admin(&self, directory: &Path, now: Timestamp) -> Result<Pair, TlsError> {
        let fits = |certificate: &X509Certificate<'_>| self.signed(certificate);
        reuse_or_make(directory, "admin", now, fits, || self.make_admin(now))
    }

    /// A new certificate for the administrator, if the one that lies there nearly ends. What is not of this authority is
    /// left alone.
    pub(super) fn renewed_admin(&self, directory: &Path, now: Timestamp) -> Result<Option<Pair>, TlsError> {
        match found(directory, "admin", now, |certificate| self.signed(certificate))? {
            (Some(_), State::Ending) => make_and_write(directory, "admin", || self.make_admin(now)).map(Some),
            _ => Ok(None),
        }
    }

    fn make_admin(&self, now: Timestamp) -> Result<Pair, rcgen::Error> {
        let mut params = params(&[], now, LIFETIME)?;
        params.distinguished_name.push(DnType::CommonName, "kubernetes-admin");
        params.distinguished_name.push(DnType::OrganizationName, "system:masters");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Pair, rcgen::Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_pem(&self.pair.certificate, KeyPair::from_pem(&self.pair.key)?)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Whether this authority signed it; a certificate of an earlier authority is of no use.
    fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        let Ok((_, pem)) = parse_x509_pem(self.pair.certificate.as_bytes()) else { return false };
        let Ok(own) = pem.parse_x509() else { return false };
        let key_id = |one: &X509Certificate<'_>| {
            one.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => {
                    id.key_identifier.as_ref().map(|id| id.0.to_vec())
                }
                _ => None,
            })
        };
        let own_id = own.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        own_id.is_some() && key_id(certificate) == own_id
    }
}

/// Reads `NAME.crt` and `NAME.key` and keeps them if they will do, else makes and writes them.
fn reuse_or_make(
    directory: &Path,
    name: &str,
    now: Timestamp,
    fits: impl FnOnce(&X509Certificate<'_>) -> bool,
    make: impl FnOnce() -> Result<Pair, rcgen::Error>,
) -> Result<Pair, TlsError> {
    match found(directory, name, now, fits)? {
        (Some(pair), State::Fresh) => Ok(pair),
        _ => make_and_write(directory, name, make),
    }
}

fn make_and_write(
    directory: &Path,
    name: &str,
    make: impl FnOnce() -> Result<Pair, rcgen::Error>,
) -> Result<Pair, TlsError> {
    let (certificate_path, key_path) = paths(directory, name);
    let pair = make().map_err(|source| TlsError::Make { subject: name.to_owned(), source })?;
    // The key goes first: a crash between the two leaves a pair that does not match and is made again.
    files::write_private(&key_path, &pair.key)?;
    files::write_private(&certificate_path, &pair.certificate)?;
    Ok(pair)
}

fn paths(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")))
}

/// What is to be thought of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    /// It would do, but has little time left, or none.
    Ending,
    /// The two do not belong together, or it is not for this.
    Unfit,
}

/// The pair that lies there, if both files do.
fn found(
    directory: &Path,
    name: &str,
    now: Timestamp,
    fits: impl FnOnce(&X509Certificate<'_>) -> bool,
) -> Result<(Option<Pair>, State), TlsError> {
    let (certificate_path, key_path) = paths(directory, name);
    let (certificate, key) = (files::read_if_there(&certificate_path)?, files::read_if_there(&key_path)?);
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok((None, State::Unfit)) };
    let state = judge(&certificate, &key, now, fits).unwrap_or(State::Unfit);
    Ok((Some(Pair { certificate, key }), state))
}

fn judge(
    certificate: &str,
    key: &str,
    now: Timestamp,
    fits: impl FnOnce(&X509Certificate<'_>) -> bool,
) -> Option<State> {
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).ok()?;
    let parsed = pem.parse_x509().ok()?;
    let key = KeyPair::from_pem(key).ok()?;
    let fit = parsed.public_key().subject_public_key.data == key.public_key_raw() && fits(&parsed);
    let fresh = parsed.validity().not_after.timestamp() > now.as_second() + RENEW_BEFORE.as_secs();
    fit.then_some(if fresh { State::Fresh } else { State::Ending })
}

fn unfit(directory: &Path, file: &str, expected: &'static str) -> TlsError {
    TlsError::Content { path: directory.join(file).display().to_string(), expected }
}

/// Whether the certificate names the host or address.
fn covers(certificate: &X509Certificate<'_>, name: &str) -> bool {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    names.value.general_names.iter().any(|one| match one {
        GeneralName::DNSName(found) => *found == name,
        GeneralName::IPAddress(bytes) => match name.parse() {
            Ok(std::net::IpAddr::V4(address)) => address.octets() == **bytes,
            Ok(std::net::IpAddr::V6(address)) => address.octets() == **bytes,
            Err(_) => false,
        },
        _ => false,
    })
}

fn params(names: &[String], now: Timestamp, lifetime: SignedDuration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let day = |at: Timestamp| {
        let date = at.to_zoned(TimeZone::UTC).date();
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    // A day of grace for clocks that differ.
    params.not_before = day(now - SignedDuration::from_hours(24));
    params.not_after = day(now + lifetime);
    Ok(params)
}
