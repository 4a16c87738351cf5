//! A notebook server that says what it saw, streams, and speaks WebSocket.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures::{SinkExt as _, StreamExt as _, stream};
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::task::TaskTracker;

const CHUNK: usize = 64 * 1024;
pub(crate) const CHUNKS: u64 = 1_024;
pub(crate) static BLOCK: [u8; CHUNK] = [7; CHUNK];

#[derive(Clone)]
pub(crate) struct Notebook {
    pub(crate) address: SocketAddr,
    /// Chunks that `/stream` has handed out.
    pub(crate) streamed: Arc<AtomicU64>,
    name: &'static str,
    tasks: TaskTracker,
}

impl Notebook {
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let notebook =
            Self { address: listener.local_addr().unwrap(), streamed: Arc::default(), name, tasks: TaskTracker::new() };
        let router = Router::new().fallback(serve).with_state(notebook.clone());
        notebook.tasks.spawn(async move { axum::serve(listener, router).await });
        notebook
    }
}

async fn serve(State(notebook): State<Notebook>, request: Request) -> Response {
    match request.uri().path().rsplit('/').next().unwrap_or_default() {
        "ws" => frames(&notebook, request),
        "raw" => raw(&notebook, request),
        "stream" => chunks(&notebook),
        "upload" => upload(request).await,
        "cookies" => {
            let cookies = [(header::SET_COOKIE, "essaim-session=evil; Path=/"), (header::SET_COOKIE, "_xsrf=1")];
            (StatusCode::FOUND, axum::response::AppendHeaders(cookies), [(header::LOCATION, "/user/alice/lab/lab?")])
                .into_response()
        }
        _ => echo(&notebook, &request),
    }
}

fn echo(notebook: &Notebook, request: &Request) -> Response {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: BTreeMap<_, _> =
        request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let uri = request.uri().to_string();
    Json(json!({"server": notebook.name, "method": request.method().as_str(), "uri": uri, "headers": headers}))
        .into_response()
}

fn chunks(notebook: &Notebook) -> Response {
    let streamed = Arc::clone(&notebook.streamed);
    let chunks = stream::iter(0..CHUNKS).map(move |_| {
        streamed.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(Bytes::from_static(&BLOCK))
    });
    Body::from_stream(chunks).into_response()
}

async fn upload(request: Request) -> Response {
    let (mut bytes, mut body) = (0, request.into_body());
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    Json(json!({"bytes": bytes})).into_response()
}

/// Echoes WebSocket messages, and chooses the second subprotocol offered.
fn frames(notebook: &Notebook, mut request: Request) -> Response {
    let response = switching(&request);
    let upgrade = hyper::upgrade::on(&mut request);
    notebook.tasks.spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() || socket.send(message).await.is_err() {
                break;
            }
        }
    });
    response
}

/// Echoes bytes that are no WebSocket at all.
fn raw(notebook: &Notebook, mut request: Request) -> Response {
    let response = switching(&request);
    let upgrade = hyper::upgrade::on(&mut request);
    notebook.tasks.spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut buffer = vec![0; 4_096];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..read]).await.unwrap();
        }
    });
    response
}

fn switching(request: &Request) -> Response {
    let headers = request.headers();
    let accept = derive_accept_key(headers[header::SEC_WEBSOCKET_KEY].as_bytes());
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap().to_owned());
    let chosen = offered.and_then(|offered| offered.split(',').nth(1).map(|name| name.trim().to_owned()));
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(chosen) = chosen {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    // What the notebook saw, so that the test can look at it.
    let authorization = headers.get(header::AUTHORIZATION).cloned();
    let response = match authorization {
        Some(value) => response.header("saw-authorization", value),
        None => response,
    };
    response.body(Body::empty()).unwrap()
}
