//! A webhook on loopback, over TLS, for tests.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

/// What the webhook does with a question.
pub(crate) enum Reply {
    /// 200 and this document.
    Json(Value),
    /// Another answer.
    Raw(Response<Full<Bytes>>),
    /// Nothing, ever.
    Silence,
    /// Closes the connection.
    HangUp,
}

/// A running webhook; ends when it is dropped.
pub(crate) struct Hook {
    pub(crate) port: u16,
    ca_pem: String,
    connections: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Hook {
    /// Answers each question, given as path with query and body, with what `reply` says.
    pub(crate) async fn start(reply: impl Fn(&str, &Value) -> Reply + Send + Sync + 'static) -> Self {
        let (acceptor, ca_pem) = localhost();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (reply, connections) = (Arc::new(reply), Arc::new(AtomicUsize::new(0)));
        let (mut serving, count) = (JoinSet::new(), connections.clone());
        serving.spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, reply, count) = (acceptor.clone(), reply.clone(), count.clone());
                conversations.spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    count.fetch_add(1, Ordering::SeqCst);
                    let answer = service_fn(|request| answer(request, &*reply));
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { port, ca_pem, connections, _serving: serving }
    }

    /// The `clientConfig` that names it.
    pub(crate) fn config(&self) -> Value {
        json!({"url": format!("https://localhost:{}/ask", self.port), "caBundle": STANDARD.encode(&self.ca_pem)})
    }

    /// How many connections were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// TLS for a server called localhost, and the certificate that its clients trust.
pub(crate) fn localhost() -> (TlsAcceptor, String) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&pair).unwrap();
    let private = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private).unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate.pem())
}

async fn answer(
    request: Request<Incoming>,
    reply: &(impl Fn(&str, &Value) -> Reply + Send + Sync),
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let path = request.uri().to_string();
    assert_eq!(request.method(), "POST");
    let body = request.into_body().collect().await?.to_bytes();
    match reply(&path, &serde_json::from_slice(&body)?) {
        Reply::Json(document) => Ok(Response::new(Full::new(document.to_string().into()))),
        Reply::Raw(response) => Ok(response),
        Reply::Silence => std::future::pending::<Result<_, Infallible>>().await.map_err(Into::into),
        Reply::HangUp => Err("hung up".into()),
    }
}
