//! Tokens of a tiny issuer in the test, over TLS.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use super::{Oidc, Provider};
use crate::{
    auth::{
        UserInfo,
        jwt::{
            SigningKey, Token,
            tests::{jwk, key},
        },
    },
    webhook::testing::localhost,
};

/// An issuer that publishes the keys that the test gives it, and counts how often it is asked for them.
struct Issuer {
    url: String,
    ca_pem: String,
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    serving: JoinSet<()>,
}

impl Issuer {
    async fn start(keys: Vec<Value>) -> Self {
        let (acceptor, ca_pem) = localhost();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/realms/site", listener.local_addr().unwrap().port());
        let (keys, asked) = (Arc::new(Mutex::new(keys)), Arc::new(AtomicUsize::new(0)));
        let mut serving = JoinSet::new();
        let (own, published, count) = (url.clone(), keys.clone(), asked.clone());
        serving.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let body = if head.starts_with("GET /realms/site/.well-known/openid-configuration ") {
                    json!({"issuer": own, "jwks_uri": format!("{own}/keys")})
                } else {
                    count.fetch_add(1, Ordering::SeqCst);
                    json!({"keys": *published.lock().unwrap()})
                };
                let body = body.to_string();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { url, ca_pem, keys, asked, serving }
    }

    fn settings(&self) -> Oidc {
        Oidc {
            issuer: self.url.clone(),
            audiences: vec!["essaim".into()],
            username_claim: "preferred_username".into(),
            username_prefix: String::new(),
            groups_claim: Some("realm_access.roles".into()),
            groups_prefix: "site:".into(),
            required_claims: [("tenant".to_owned(), "north".to_owned())].into(),
            ca_pem: Some(self.ca_pem.clone()),
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": ["account", "essaim"], "exp": now().as_second() + 300, "iat": now().as_second(),
            "sub": "f3", "preferred_username": "alice", "tenant": "north", "jti": "j1",
            "realm_access": {"roles": ["staff", "teacher"]},
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// Who the bearer is, or why nobody.
async fn judge(provider: &Provider, token: &str, now: Timestamp) -> Result<UserInfo, String> {
    let token = Token::parse(token).unwrap();
    provider.find(&token, now).await.map_err(|error| {
        assert_eq!(error.code, 401);
        error.message
    })
}

/// Signs as the issuer does, with its name for the key.
fn signed(key: &SigningKey, claims: &Value) -> String {
    key.sign(claims).unwrap()
}

#[tokio::test]
async fn a_token_of_the_issuer_names_user_and_groups() {
    let key = key();
    let issuer = Issuer::start(vec![jwk(&key, key.id())]).await;
    let provider = Provider::new(issuer.settings()).unwrap();
    let alice = judge(&provider, &signed(&key, &issuer.claims()), now()).await.unwrap();
    assert_eq!((alice.name.as_str(), alice.groups), ("alice", vec!["site:staff".to_owned(), "site:teacher".into()]));
    for _ in 0..20 {
        judge(&provider, &signed(&key, &issuer.claims()), now()).await.unwrap();
    }
    assert_eq!(issuer.asked(), 1, "keys are kept");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_reason() {
    let key = key();
    let issuer = Issuer::start(vec![jwk(&key, key.id())]).await;
    let provider = Provider::new(issuer.settings()).unwrap();
    let second = now().as_second();
    for (claim, value, why) in [
        ("aud", json!("other"), "another audience"),
        ("exp", json!(second - 11), "expired"),
        ("exp", Value::Null, "when it ends"),
        ("nbf", json!(second + 11), "not hold yet"),
        ("tenant", json!("south"), "required claim"),
        ("preferred_username", json!(""), "name its user"),
        ("preferred_username", json!("system:admin"), "server itself"),
        ("preferred_username", json!("essaim:controllers"), "server itself"),
        ("realm_access", json!({"roles": 7}), "groups"),
    ] {
        let mut claims = issuer.claims();
        claims[claim] = value;
        let refused = judge(&provider, &signed(&key, &claims), now()).await.unwrap_err();
        assert!(refused.contains(why), "{claim}: {refused}");
    }
    let mut none = issuer.claims();
    none.as_object_mut().unwrap().remove("realm_access");
    assert!(judge(&provider, &signed(&key, &none), now()).await.unwrap().groups.is_empty());
}

#[tokio::test]
async fn only_asymmetric_signatures_of_published_keys_count() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    let (key, stranger) = (key(), key());
    let issuer =
        Issuer::start(vec![jwk(&key, key.id()), json!({"kty": "oct", "kid": "shared", "k": "c2VjcmV0"})]).await;
    let provider = Provider::new(issuer.settings()).unwrap();
    let claims = B64.encode(issuer.claims().to_string());
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "none", "kid": key.id()}),
        json!({"alg": "HS256", "kid": key.id()}),
        json!({"alg": "HS256", "kid": "shared"}),
    ] {
        let token = format!("{}.{claims}.{}", B64.encode(header.to_string()), B64.encode("signature"));
        assert!(judge(&provider, &token, now()).await.is_err(), "{header}");
    }
    // Somebody else's key under the name of a published one.
    let token = signed(&stranger, &issuer.claims());
    let (_, rest) = token.split_once('.').unwrap();
    let header = B64.encode(json!({"alg": "ES256", "kid": key.id()}).to_string());
    let refused = judge(&provider, &format!("{header}.{rest}"), now()).await.unwrap_err();
    assert!(refused.contains("did not sign"), "{refused}");
}

#[tokio::test]
async fn a_new_key_is_fetched_but_not_more_often_than_allowed() {
    let (old, new) = (key(), key());
    let issuer = Issuer::start(vec![jwk(&old, old.id())]).await;
    let provider = Provider::new(issuer.settings()).unwrap();
    assert!(judge(&provider, &signed(&old, &issuer.claims()), now()).await.is_ok());
    issuer.keys.lock().unwrap()[0] = jwk(&new, new.id());
    for _ in 0..20 {
        let refused = judge(&provider, &signed(&new, &issuer.claims()), now()).await.unwrap_err();
        assert!(refused.contains("no such key"), "{refused}");
    }
    assert_eq!(issuer.asked(), 1, "strangers cannot make the server ask");
    let later = now() + SignedDuration::from_secs(10);
    assert!(judge(&provider, &signed(&new, &issuer.claims()), later).await.is_ok());
    assert!(judge(&provider, &signed(&old, &issuer.claims()), later).await.is_err(), "it was withdrawn");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_asked_rarely_and_its_keys_hold_for_a_day() {
    let key = key();
    let mut issuer = Issuer::start(vec![jwk(&key, key.id())]).await;
    let provider = Provider::new(issuer.settings()).unwrap();
    let mut claims = issuer.claims();
    claims["exp"] = (now().as_second() + 1_000_000).into();
    let token = signed(&key, &claims);
    assert!(judge(&provider, &token, now()).await.is_ok());
    issuer.serving.shutdown().await;
    assert!(judge(&provider, &token, now() + SignedDuration::from_hours(23)).await.is_ok());
    let refused = judge(&provider, &token, now() + SignedDuration::from_hours(25)).await.unwrap_err();
    assert!(refused.contains("too old"), "{refused}");

    let fresh = Provider::new(issuer.settings()).unwrap();
    let refused = judge(&fresh, &token, now()).await.unwrap_err();
    assert!(refused.contains("could not be fetched"), "{refused}");
}

#[tokio::test]
async fn after_failures_the_issuer_is_asked_with_growing_pauses() {
    let key = key();
    let issuer = Issuer::start(Vec::new()).await;
    let provider = Provider::new(issuer.settings()).unwrap();
    let token = signed(&key, &issuer.claims());
    for (second, asked) in [(0, 1), (0, 1), (1, 1), (2, 2), (5, 2), (6, 3), (13, 3)] {
        let refused = judge(&provider, &token, now() + SignedDuration::from_secs(second)).await.unwrap_err();
        assert!(refused.contains("could not be fetched"), "{refused}");
        assert_eq!(issuer.asked(), asked, "after {second} s");
    }
    issuer.keys.lock().unwrap().push(jwk(&key, key.id()));
    assert!(judge(&provider, &token, now() + SignedDuration::from_secs(14)).await.is_ok());
}

#[test]
fn only_https_is_asked() {
    let issuer = |url: &str| Oidc {
        issuer: url.into(),
        audiences: Vec::new(),
        username_claim: "sub".into(),
        username_prefix: String::new(),
        groups_claim: None,
        groups_prefix: String::new(),
        required_claims: std::collections::BTreeMap::new(),
        ca_pem: None,
    };
    for url in ["http://sso.example", "sso.example", "", "file:///etc/passwd"] {
        assert!(Provider::new(issuer(url)).is_err(), "{url}");
    }
}
