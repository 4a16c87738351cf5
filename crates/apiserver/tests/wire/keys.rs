//! The keys of service accounts' tokens: published for others, and replaced without ending the tokens.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]

use std::sync::Arc;

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use essaim_apiserver::{ApiServer, Options, ServiceAccountKey, UserInfo};
use essaim_store::{Embedded, Store};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use crate::support::{clock, get, json_of, send};

const ACCOUNT: &str = "/api/v1/namespaces/default/serviceaccounts/default";
const KEYS: &str = "/openid/v1/jwks";
const DISCOVERY: &str = "/.well-known/openid-configuration";

async fn server(store: &Arc<Embedded>, key: ServiceAccountKey) -> ApiServer {
    let mut options = Options::new(clock());
    options.service_account_key = Some(key);
    options.url = Some("https://api.example:6443".into());
    let store: Arc<dyn Store> = store.clone();
    ApiServer::start(store, options).await.unwrap()
}

fn signs(key: &KeyPair) -> ServiceAccountKey {
    ServiceAccountKey::from_pkcs8(key.serialize_der()).unwrap()
}

async fn token(server: &ApiServer) -> String {
    let router = server.in_process(UserInfo::new("root", ["system:masters"]));
    let (status, issued) = json_of(send(router, "POST", &format!("{ACCOUNT}/token"), &[], "{}").await).await;
    assert_eq!(status, 201, "{issued}");
    issued["status"]["token"].as_str().unwrap().to_owned()
}

/// What the bearer is answered on a path.
async fn by(server: &ApiServer, token: &str, path: &str) -> (u16, Value) {
    json_of(send(server.router(), "GET", path, &[("authorization", &format!("Bearer {token}"))], Body::empty()).await)
        .await
}

/// The key that the token says it was signed with.
fn key_id(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tokens_of_the_key_before_hold_as_long_as_it_is_kept() {
    let store = Embedded::in_memory(essaim_store::Options::default()).unwrap();
    let [old, new] = [(); 2].map(|()| KeyPair::generate().unwrap());
    let before = token(&server(&store, signs(&old)).await).await;

    let kept = server(&store, signs(&new).verifying_spki(&old.subject_public_key_info()).unwrap()).await;
    let after = token(&kept).await;
    assert_ne!(key_id(&before), key_id(&after));
    for token in [&before, &after] {
        assert_eq!(by(&kept, token, "/version").await.0, 200);
    }
    let (_, keys) = by(&kept, &after, KEYS).await;
    let ids = keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids, [key_id(&after), key_id(&before)]);

    let dropped = server(&store, signs(&new)).await;
    assert_eq!(by(&dropped, &before, "/version").await.0, 401);
    assert_eq!(by(&dropped, &after, "/version").await.0, 200);
    let prepared = server(&store, signs(&old).verifying_pkcs8(&new.serialize_der()).unwrap()).await;
    assert_eq!(by(&prepared, &after, "/version").await.0, 200, "the next key can be made known before it signs");
}

#[tokio::test]
async fn others_can_check_tokens_with_what_is_published() {
    let store = Embedded::in_memory(essaim_store::Options::default()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = server(&store, signs(&key)).await;
    let token = token(&server).await;

    let (status, discovery) = by(&server, &token, DISCOVERY).await;
    assert_eq!((status, &discovery["jwks_uri"]), (200, &json!("https://api.example:6443/openid/v1/jwks")));
    assert_eq!(discovery["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let bearer = format!("Bearer {token}");
    let answer = send(server.router(), "GET", KEYS, &[("authorization", &bearer)], Body::empty()).await;
    assert_eq!(answer.headers()["content-type"], "application/jwk-set+json");
    let (_, keys) = json_of(answer).await;
    let published = &keys["keys"][0];
    assert_eq!(
        (&published["kid"], &published["alg"], &published["use"]),
        (&json!(key_id(&token)), &json!("ES256"), &json!("sig"))
    );

    let part = |name: &str| URL_SAFE_NO_PAD.decode(published[name].as_str().unwrap()).unwrap();
    let point = [vec![4], part("x"), part("y")].concat();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point);
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&claims).unwrap()["iss"], discovery["issuer"]);

    let stranger = server.in_process(UserInfo::new("stranger", ["staff"]));
    assert_eq!(get(stranger, KEYS).await.0, 403, "only service accounts, and to whom the role is given");
}
