//! A listener whose connections all end with it.

use std::{future::Future, io, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

/// A request, read to its end.
pub(super) struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub body: Bytes,
}

/// What to answer.
pub(super) struct Answer {
    pub status: StatusCode,
    /// JSON, or nothing.
    pub body: String,
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: &Value) -> Self {
        Answer { status, body: if body.is_null() { String::new() } else { body.to_string() } }
    }
}

/// Closes the connection without an answer.
#[derive(Debug)]
pub(super) struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up")
    }
}

impl std::error::Error for HangUp {}

/// A running listener.
pub(super) struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, and has every request answered.
    pub(super) async fn listen<F, W>(address: SocketAddr, answer: F) -> io::Result<Self>
    where
        F: Fn(Asked) -> W + Clone + Send + Sync + 'static,
        W: Future<Output = Result<Answer, HangUp>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, answer));
        Ok(Server { address, _tasks: tasks })
    }
}

async fn accept<F, W>(listener: TcpListener, answer: F)
where
    F: Fn(Asked) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = Result<Answer, HangUp>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let answer = answer.clone();
        connections.spawn(async move {
            let service = service_fn(|request| respond(request, &answer));
            // A client that goes away is no concern of a fake.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond<F, W>(request: Request<Incoming>, answer: &F) -> Result<Response<Full<Bytes>>, HangUp>
where
    F: Fn(Asked) -> W,
    W: Future<Output = Result<Answer, HangUp>>,
{
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let Answer { status, body } = answer(Asked { method: parts.method.to_string(), target, body }).await?;
    let response =
        Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(Full::from(body));
    response.map_err(|_| HangUp)
}
