//! Certificates across starts.

use std::{fs, os::unix::fs::PermissionsExt as _};

use jiff::{SignedDuration, Timestamp};

use super::{Endpoint, ensure, service_account_key};

fn endpoint(names: &[&str]) -> Endpoint {
    Endpoint { names: names.iter().map(|name| (*name).to_owned()).collect(), url: "https://127.0.0.1:6443".into() }
}

#[test]
fn a_second_start_uses_what_is_there_and_renews_what_nearly_ends() {
    let data = tempfile::tempdir().unwrap();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let read = |name: &str| fs::read_to_string(data.path().join(name)).unwrap();
    ensure(data.path(), &endpoint(&["node1.example", "0.0.0.0", ""]), now).unwrap();
    let first = ["tls/ca.crt", "tls/server.crt", "tls/admin.crt", "admin.kubeconfig"].map(read);

    ensure(data.path(), &endpoint(&["node1.example"]), now + SignedDuration::from_hours(24 * 300)).unwrap();
    assert_eq!(first, ["tls/ca.crt", "tls/server.crt", "tls/admin.crt", "admin.kubeconfig"].map(read));

    ensure(data.path(), &endpoint(&["node1.example"]), now + SignedDuration::from_hours(24 * 340)).unwrap();
    assert_eq!(first[0], read("tls/ca.crt"));
    assert_ne!(first[1], read("tls/server.crt"));
    assert_ne!(first[3], read("admin.kubeconfig"));
}

#[test]
fn new_names_make_a_new_certificate_and_keys_are_private() {
    let data = tempfile::tempdir().unwrap();
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    ensure(data.path(), &endpoint(&[]), now).unwrap();
    let before = fs::read(data.path().join("tls/server.crt")).unwrap();
    ensure(data.path(), &endpoint(&["10.1.2.3", "other.example"]), now).unwrap();
    assert_ne!(before, fs::read(data.path().join("tls/server.crt")).unwrap());
    for file in ["tls/ca.key", "tls/server.key", "tls/admin.key", "admin.kubeconfig"] {
        assert_eq!(fs::metadata(data.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
}

/// The certificate that a client sees who trusts these, or why it sees none.
#[expect(clippy::unwrap_in_result, reason = "what is not about TLS should fail the test")]
fn handshake(tls: &super::Tls, authority: &str) -> Result<Vec<u8>, rustls::Error> {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())?;
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(config.into(), name)?;
    let mut server = rustls::ServerConnection::new(tls.config())?;
    while client.is_handshaking() || server.is_handshaking() {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.write_tls(&mut up).unwrap();
        let mut up = up.as_slice();
        while !up.is_empty() {
            server.read_tls(&mut up).unwrap();
            server.process_new_packets()?;
        }
        server.write_tls(&mut down).unwrap();
        let mut down = down.as_slice();
        while !down.is_empty() {
            client.read_tls(&mut down).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(client.peer_certificates().unwrap()[0].to_vec())
}

/// Clients check with the real time, so that certificates of tests have to hold today.
#[expect(clippy::disallowed_methods, reason = "the client of a handshake has no other clock")]
fn today() -> Timestamp {
    Timestamp::now()
}

#[test]
fn a_running_server_renews_its_certificates_before_they_end() {
    let data = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read_to_string(data.path().join(name)).unwrap();
    // Of a year, of which ten days are left.
    let begun = today() - SignedDuration::from_hours(24 * 355);
    let tls = ensure(data.path(), &endpoint(&["node1.example"]), begun).unwrap();
    let (gateway, authority) = (tls.config(), read("tls/ca.crt"));
    let first = handshake(&tls, &authority).unwrap();
    assert!(!tls.refresh(begun + SignedDuration::from_hours(24 * 300)).unwrap(), "there is time");
    let kubeconfig = read("admin.kubeconfig");

    assert!(tls.refresh(today()).unwrap());
    let second = handshake(&tls, &authority).unwrap();
    assert_ne!(first, second);
    assert_ne!(kubeconfig, read("admin.kubeconfig"));
    assert_eq!(authority, read("tls/ca.crt"));
    assert!(!std::sync::Arc::ptr_eq(&gateway, &tls.config()));
    assert!(!tls.refresh(today()).unwrap(), "a second look does nothing");
    assert_eq!(handshake(&tls, &authority).unwrap(), second);
}

#[test]
fn files_that_somebody_replaces_count_when_they_can_be_used() {
    let (mine, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tls = ensure(mine.path(), &endpoint(&[]), today()).unwrap();
    ensure(theirs.path(), &endpoint(&[]), today()).unwrap();
    let authority = |of: &tempfile::TempDir| fs::read_to_string(of.path().join("tls/ca.crt")).unwrap();
    let (old, new) = (authority(&mine), authority(&theirs));
    for file in ["ca.crt", "ca.key", "server.key"] {
        fs::copy(theirs.path().join("tls").join(file), mine.path().join("tls").join(file)).unwrap();
        let error = tls.refresh(today()).unwrap_err().to_string();
        assert!(error.contains("does not contain a certificate"), "{file}: {error}");
        assert!(handshake(&tls, &old).is_ok(), "{file}: what was in force stays");
    }
    fs::copy(theirs.path().join("tls/server.crt"), mine.path().join("tls/server.crt")).unwrap();
    assert!(tls.refresh(today()).unwrap());
    assert!(handshake(&tls, &new).is_ok() && handshake(&tls, &old).is_err());
}

#[test]
fn files_of_somebody_else_are_read_again_and_never_written() {
    let data = tempfile::tempdir().unwrap();
    ensure(data.path(), &endpoint(&[]), today() - SignedDuration::from_hours(24 * 355)).unwrap();
    let at = |file: &str| data.path().join("tls").join(file);
    let tls = super::Tls::from_files(&at("server.crt"), &at("server.key"), None).unwrap();
    let authority = fs::read_to_string(at("ca.crt")).unwrap();
    let before = handshake(&tls, &authority).unwrap();
    assert!(!tls.refresh(today()).unwrap(), "whose they are renews them");
    ensure(data.path(), &endpoint(&[]), today()).unwrap();
    assert!(tls.refresh(today()).unwrap());
    assert_ne!(before, handshake(&tls, &authority).unwrap());
}

#[test]
fn further_keys_are_read_from_private_and_public_halves_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    service_account_key(data.path()).unwrap();
    let [first, second] = [(); 2].map(|()| rcgen::KeyPair::generate().unwrap());
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let path = data.path().join("tls/service-account-verify.pem");
    let read = |text: String| {
        fs::write(&path, text).unwrap();
        service_account_key(data.path()).map(drop)
    };
    read(format!("the one before\n{}{}", first.serialize_pem(), second.public_key_pem())).unwrap();
    for bad in [String::new(), "not a key".into(), other.serialize_pem(), other.public_key_pem()] {
        let error = read(bad).unwrap_err().to_string();
        assert!(error.contains("service-account-verify.pem does not contain"), "{error}");
    }
    assert!(read(first.serialize_pem().repeat(17)).is_err());
}

#[test]
fn the_key_of_service_accounts_is_made_once_and_never_replaced() {
    let data = tempfile::tempdir().unwrap();
    service_account_key(data.path()).unwrap();
    let path = data.path().join("tls/service-account.key");
    let first = fs::read(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    service_account_key(data.path()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first);
    fs::write(&path, "not a key").unwrap();
    assert!(service_account_key(data.path()).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"not a key");
}
