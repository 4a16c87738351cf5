//! A server with one toy kind, and ways to talk to it.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use essaim_apiserver::{ApiServer, Clock, Options, ServeError, StaticToken, UserInfo, tls};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use k8s_openapi as _;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ObjectMeta},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Long enough for a slow machine, short enough to notice.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// Who bears it may do everything, but is counted like everybody.
pub(crate) const ALICE: &str = "Bearer token-of-alice";

/// A server in a temporary directory.
pub(crate) struct Fixture {
    pub(crate) server: ApiServer,
    pub(crate) data: tempfile::TempDir,
}

#[expect(clippy::disallowed_methods, reason = "tests of a server that runs in real time")]
pub(crate) fn clock() -> Clock {
    Arc::new(Timestamp::now)
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::with(Options::new(clock())).await
    }

    /// The toy kind is there besides what the options say.
    pub(crate) async fn with(mut options: Options) -> Self {
        options.bootstrap_manifests.push(widgets());
        let data = tempfile::tempdir().unwrap();
        let server = ApiServer::start(store(data.path()), options).await.unwrap();
        Self { server, data }
    }

    /// A router for somebody who may do everything.
    pub(crate) fn router(&self) -> Router {
        self.server.in_process(UserInfo::new("root", ["system:masters"]))
    }

    /// Without being one of those whom limits do not concern.
    pub(crate) async fn let_alice_do_everything(&self) {
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "alice"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "alice"}],
        });
        let path = format!("/apis/{group}/v1/clusterrolebindings");
        assert_eq!(send(self.router(), "POST", &path, &[], binding.to_string()).await.status(), 201);
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.router(), "default")
    }

    pub(crate) fn widgets(&self) -> Api<DynamicObject> {
        Api::default_namespaced_with(self.client(), &resource())
    }
}

/// The server behind a socket.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    /// Ends with what `serve` says.
    pub(crate) serving: JoinSet<Result<(), ServeError>>,
    connector: TlsConnector,
}

/// An answer over a connection of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Served {
    /// `ALICE` is known besides what the options say.
    pub(crate) async fn with(mut options: Options) -> Self {
        let token_sha256 = Sha256::digest(ALICE.trim_start_matches("Bearer ")).into();
        options.tokens.push(StaticToken { token_sha256, user: alice() });
        let fixture = Fixture::with(options).await;
        fixture.let_alice_do_everything().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = tls::Endpoint { names: Vec::new(), url: format!("https://{address}") };
        let tls = tls::ensure(fixture.data.path(), &endpoint, clock()()).unwrap();
        let pem = std::fs::read(fixture.data.path().join("tls/ca.crt")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let (mut serving, shutdown) = (JoinSet::new(), CancellationToken::new());
        let stop = shutdown.clone();
        serving.spawn(async move { fixture.server.serve(listener, tls, stop).await });
        Self { address, shutdown, serving, connector: TlsConnector::from(Arc::new(config)) }
    }

    /// A connection after its handshake, for either version of HTTP. It has room for little that nobody reads.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        self.connector.connect(name, stream).await.unwrap()
    }

    /// What a GET by alice on a new connection is answered.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        ask(&mut self.connect().await, &format!("GET {path} HTTP/1.1\r\nauthorization: {ALICE}\r\n\r\n"), &[]).await
    }
}

/// Sends a head, which ends with an empty line, and a body; reads an answer of known length.
pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>, head: &str, body: &[u8]) -> Answer {
    // An answer may come before all was sent.
    let _ = async { stream.write_all(head.as_bytes()).await.and(stream.write_all(body).await) }.await;
    stream.flush().await.unwrap();
    answer(stream).await
}

/// Reads an answer of known length.
pub(crate) async fn answer(stream: &mut TlsStream<TcpStream>) -> Answer {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(tokio::time::timeout(SOON, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(text).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    Answer { status, head, body: String::from_utf8(body).unwrap() }
}

pub(crate) fn alice() -> UserInfo {
    UserInfo::new("alice", ["staff"])
}

pub(crate) fn store(directory: &std::path::Path) -> Arc<dyn essaim_store::Store> {
    essaim_store::Embedded::open(directory.join("store.redb"), essaim_store::Options::default()).unwrap()
}

pub(crate) fn resource() -> ApiResource {
    ApiResource {
        group: "toys.test".into(),
        version: "v1".into(),
        api_version: "toys.test/v1".into(),
        kind: "Widget".into(),
        plural: "widgets".into(),
    }
}

/// A kind with everything that the wire has to show: status, scale, columns, a short name.
pub(crate) fn widgets() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.toys.test"},
        "spec": {
            "group": "toys.test", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wg"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                },
                "additionalPrinterColumns": [
                    {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object", "description": "A thing to play with.",
                    "properties": {
                        "spec": {"type": "object", "description": "What it should be.", "properties": {
                            "color": {"type": "string", "description": "Its color.", "enum": ["red", "green", "blue"]},
                            "size": {"type": "integer", "minimum": 0},
                            "tags": {"type": "array", "items": {"type": "string"}},
                        }},
                        "status": {"type": "object", "properties": {
                            "size": {"type": "integer"},
                            "conditions": {"type": "array", "items": {"type": "object", "properties": {
                                "type": {"type": "string"}, "status": {"type": "string"},
                            }}},
                        }},
                    },
                }},
            }],
        },
    })
}

pub(crate) fn widget(name: &str, color: &str) -> DynamicObject {
    let metadata = ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
    let mut widget = DynamicObject::new(name, &resource()).data(json!({"spec": {"color": color}}));
    widget.metadata = metadata;
    widget
}

/// Sends a request by hand.
pub(crate) async fn send(
    router: Router,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.oneshot(request.body(body.into()).unwrap()).await.unwrap()
}

/// The status code and the body as JSON; null if it is none.
pub(crate) async fn json_of(response: Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub(crate) async fn get(router: Router, uri: &str) -> (u16, Value) {
    json_of(send(router, "GET", uri, &[], Body::empty()).await).await
}
