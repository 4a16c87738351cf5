//! The client side of the proxy: pooled HTTP/1.1 connections to notebook servers, streaming, with timeouts.

use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::answer::Refusal;
use crate::error::chain;
use crate::options::Limits;
use crate::origin;

/// Idle connections to one server; JupyterLab's pages open a few dozen at once.
const IDLE_PER_SERVER: usize = 32;
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Shorter than the 900 s after which a Swarm's virtual addresses drop silent connections.
const KEEPALIVE: Duration = Duration::from_mins(1);

pub(crate) struct Upstream {
    client: Client<HttpConnector, Body>,
    response_head: Duration,
}

impl Upstream {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(limits.connect));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_SERVER)
            .set_host(false)
            .build(connector);
        Self { client, response_head: limits.response_head }
    }

    /// Sends a request and gives the head of the response; both bodies stream.
    ///
    /// A request without a body that only reads is sent once more if its connection broke: a server closes idle
    /// connections when it likes, also while our request is on its way.
    pub(crate) async fn send(&self, request: Request, upgrade: bool) -> Result<Response<Incoming>, Refusal> {
        let again = repeatable(&request);
        match self.send_once(request, upgrade).await {
            Err(Failure::Broken(error)) if !error.is_connect() => {
                let Some(again) = again else {
                    return Err(refusal(&Failure::Broken(error)));
                };
                self.send_once(again, upgrade).await
            }
            other => other,
        }
        .map_err(|failure| refusal(&failure))
    }

    /// The time for an answer counts from the last part of the request that went out, so a slow upload is not cut. An
    /// upgrade may take as long as the client waits: Jupyter may have to start a kernel first.
    async fn send_once(&self, request: Request, upgrade: bool) -> Result<Response<Incoming>, Failure> {
        let sent = Arc::new(AtomicU64::new(0));
        let mut response = self.client.request(counted(request, &sent));
        if upgrade {
            return response.await.map_err(Failure::Broken);
        }
        let mut seen = 0;
        loop {
            match tokio::time::timeout(self.response_head, &mut response).await {
                Ok(answer) => return answer.map_err(Failure::Broken),
                Err(_) if sent.load(Ordering::Relaxed) == seen => return Err(Failure::Slow),
                Err(_) => seen = sent.load(Ordering::Relaxed),
            }
        }
    }
}

enum Failure {
    Broken(Error),
    Slow,
}

fn repeatable(request: &Request) -> Option<Request> {
    if !origin::is_safe(request.method()) || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

fn counted(request: Request, sent: &Arc<AtomicU64>) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let sent = Arc::clone(sent);
    request.map(|body| {
        Body::new(body.inspect_frame(move |frame| {
            let bytes = frame.data_ref().map_or(0, axum::body::Bytes::len);
            sent.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        }))
    })
}

fn refusal(failure: &Failure) -> Refusal {
    let error = match failure {
        Failure::Slow => {
            tracing::info!("a notebook server was too slow to answer");
            return Refusal::Upstream { status: StatusCode::GATEWAY_TIMEOUT, cause: "It took too long to answer." };
        }
        Failure::Broken(error) => error,
    };
    tracing::info!(error = chain(error), "a notebook server did not answer");
    if !error.is_connect() {
        return Refusal::Upstream { status: StatusCode::BAD_GATEWAY, cause: "It broke the connection off." };
    }
    let status = StatusCode::BAD_GATEWAY;
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => {
            Refusal::Upstream { status, cause: "It refuses the connection: Jupyter does not run there." }
        }
        Some(io::ErrorKind::TimedOut) => Refusal::Upstream {
            status: StatusCode::GATEWAY_TIMEOUT,
            cause: "Its machine does not answer within the time.",
        },
        _ => Refusal::Upstream { status, cause: "Its machine cannot be reached." },
    }
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}
