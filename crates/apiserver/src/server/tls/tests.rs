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
