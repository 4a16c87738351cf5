//! The same over TLS, with both versions of HTTP that browsers speak.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::site::Site;

/// A server's and a client's configuration that trust each other.
fn configurations() -> (ServerConfig, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let certificate = made.cert.der().clone();
    let mut server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    (server, ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

async fn connect(site: &Site, mut config: ClientConfig, protocol: &[u8]) -> TokioIo<TlsStream<TcpStream>> {
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(site.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    TokioIo::new(stream)
}

#[tokio::test]
async fn http_2_over_tls_reaches_the_notebook_as_one_http_1_request() {
    let (server, client) = configurations();
    let site = Site::start_with(Some(Arc::new(server)), |options| options.secure_cookies = false).await;
    let stream = connect(&site, client, b"h2").await;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let ask = || {
        let request = Request::get("https://hub.example:8443/user/alice/lab/api?x=1").version(Version::HTTP_2);
        request
            .header("authorization", "token token-of-alice")
            .header("cookie", "_xsrf=1")
            .header("cookie", "essaim-session=x")
            .header("cookie", "b=2")
            .body(Body::empty())
            .unwrap()
    };
    let mut response = sender.send_request(ask()).await.unwrap();
    while response.status() == StatusCode::SERVICE_UNAVAILABLE {
        // The routes are being loaded.
        response = sender.send_request(ask()).await.unwrap();
    }
    assert_eq!(response.status(), StatusCode::OK);
    let seen: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(seen["uri"], "/user/alice/lab/api?x=1");
    assert_eq!(seen["headers"]["cookie"], "_xsrf=1; b=2");
    assert_eq!(seen["headers"]["host"], "hub.example:8443");
    assert_eq!(seen["headers"]["x-forwarded-proto"], "https");
}

#[tokio::test]
async fn http_1_over_tls_works_too_and_plain_http_there_does_not() {
    let (server, client) = configurations();
    let site = Site::start_with(Some(Arc::new(server)), |_| {}).await;
    let stream = connect(&site, client, b"http/1.1").await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = Request::get("/healthz").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::OK);

    let plain = TcpStream::connect(site.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(plain)).await.unwrap();
    tasks.spawn(connection);
    let request = Request::get("/healthz").header("host", "localhost").body(Body::empty()).unwrap();
    assert!(sender.send_request(request).await.is_err());
}
