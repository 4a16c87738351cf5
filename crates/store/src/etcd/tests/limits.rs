//! What is refused, and who is let in.

use std::fs;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{Error, Etcd, EtcdOptions, Key, Mutation, Precondition, Server, commit, get, key, open, put, write};
use crate::etcd::EtcdTls;

#[tokio::test(flavor = "multi_thread")]
async fn what_etcd_would_refuse_is_refused_by_name() {
    let server = Server::start();
    let store = open(server.options()).await;
    let outside = Mutation::Put(Key::new("/elsewhere/x"), Bytes::new());
    let own = Mutation::Put(key(".essaim/fence"), Bytes::new());
    let large = || Mutation::Put(key("a/x"), Bytes::from(vec![b'v'; 1 << 20]));
    let other = Mutation::Put(key("a/y"), Bytes::from(vec![b'v'; 1 << 20]));
    let cases = [
        ("128", vec![], (0..129).map(|n| put(&format!("a/{n}"), "")).collect()),
        ("127", (0..128).map(|n| Precondition::Absent(key(&format!("a/{n}")))).collect(), vec![put("a/x", "")]),
        ("does not belong", vec![], vec![outside]),
        ("does not belong", vec![], vec![own]),
        ("1571840", vec![], vec![large(), other]),
    ];
    for (what, preconditions, mutations) in cases {
        let outcome = commit(&store, preconditions, mutations).await;
        let Err(Error::Invalid(reason) | Error::TooLarge(reason)) = outcome else {
            panic!("{what} must be refused, not {outcome:?}")
        };
        assert!(reason.contains(what), "{reason}");
    }
    write(&store, (0..128).map(|n| put(&format!("a/{n}"), "")).collect()).await;
    write(&store, vec![large()]).await;
    let never =
        commit(&store, vec![Precondition::ModifiedAt(key("absent"), crate::Revision(0))], vec![put("absent", "")]);
    assert!(matches!(never.await, Err(Error::Conflict { current: None, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_takes_less_says_so() {
    let server = Server::start_taking(64 << 10);
    let store = open(server.options()).await;
    // One that etcd itself refuses, and one that it does not even read.
    for length in [128 << 10, 1 << 20] {
        let value = Mutation::Put(key("a/x"), Bytes::from(vec![b'v'; length]));
        let outcome = commit(&store, vec![], vec![value]).await;
        assert!(matches!(outcome, Err(Error::TooLarge(_))), "{length} bytes: {outcome:?}");
    }
    write(&store, vec![put("a/x", "v")]).await;
}

#[tokio::test]
async fn options_that_cannot_be_meant_are_refused() {
    let good = EtcdOptions::new(["http://127.0.0.1:1"]);
    let cases = [
        ("no endpoint", EtcdOptions { endpoints: vec![], ..good.clone() }),
        ("http", EtcdOptions { endpoints: vec!["127.0.0.1:1".to_owned()], ..good.clone() }),
        ("no authority", EtcdOptions { endpoints: vec!["https://127.0.0.1:1".to_owned()], ..good.clone() }),
        ("must end with /", EtcdOptions { prefix: "/registry".to_owned(), ..good.clone() }),
    ];
    for (what, options) in cases {
        let Err(Error::Invalid(reason)) = Etcd::open(options).await else { panic!("{what} must be refused") };
        assert!(reason.contains(what), "{reason}");
    }
    let Err(Error::Engine { .. }) = Etcd::open(good).await else { panic!("nobody answers there") };
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_shown_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authorities = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let issue = || {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    };
    let (certificate, private) = issue();
    for (name, text) in [("ca.pem", &authorities), ("server.pem", &certificate), ("server.key", &private)] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let server = Server::start_secure(directory);
    let (certificate, private) = issue();
    let identity = Some((certificate.into_bytes(), private.into_bytes()));
    let tls = EtcdTls { authorities: authorities.into_bytes(), identity, name: None };
    let store = open(EtcdOptions { tls: Some(tls.clone()), ..server.options() }).await;
    write(&store, vec![put("a/x", "one")]).await;
    assert_eq!(get(&store, "a/x").await.as_deref(), Some("one"));

    let nameless = EtcdOptions { tls: Some(EtcdTls { identity: None, ..tls }), ..server.options() };
    assert!(matches!(Etcd::open(nameless).await, Err(Error::Engine { .. })), "etcd asks for a certificate");
    assert!(store.health().is_ok());
}
