//! WebSockets go through untouched.

use futures::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::api::suspended;
use crate::site::{ALICE, BOB, Site};

fn handshake(site: &Site, path: &str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = format!("ws://{}{path}", site.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

async fn refused(request: Request<()>) -> StatusCode {
    match connect_async(request).await {
        Err(Error::Http(response)) => response.status(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn messages_come_back_as_they_went_with_the_chosen_subprotocol() {
    let site = Site::start().await;
    let offered = ("sec-websocket-protocol", "v0.other, v1.kernel.websocket.jupyter.org");
    let request = handshake(&site, "/user/alice/lab/api/kernels/1/ws?session_id=2", &[ALICE, offered]);
    let (mut socket, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()[header::SEC_WEBSOCKET_PROTOCOL], "v1.kernel.websocket.jupyter.org");
    assert_eq!(response.headers()["saw-authorization"], "token for-uid-alice-lab");
    for message in [
        Message::text("héllo"),
        Message::binary((0..=255).cycle().take(300_000).collect::<Vec<u8>>()),
        Message::text(""),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
}

#[tokio::test]
async fn one_server_does_not_take_the_websockets_of_the_others() {
    let site = Site::start_with(None, |options| options.limits.tunnels_per_server = 1).await;
    let (alice, bob) = ("/user/alice/lab/api/kernels/1/ws", "/user/bob/secret/api/kernels/1/ws");
    let (mut first, _) = connect_async(handshake(&site, alice, &[ALICE])).await.unwrap();
    assert_eq!(refused(handshake(&site, alice, &[ALICE])).await, StatusCode::SERVICE_UNAVAILABLE);
    connect_async(handshake(&site, bob, &[BOB])).await.unwrap();
    first.close(None).await.unwrap();
    drop(first);
    site.until("the place is given back", async || connect_async(handshake(&site, alice, &[ALICE])).await.is_ok())
        .await;
}

#[tokio::test]
async fn even_bytes_that_are_no_websocket_frames_pass() {
    let site = Site::start().await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let head = format!(
        "GET /user/alice/lab/raw HTTP/1.1\r\nHost: {}\r\nAuthorization: token token-of-alice\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        site.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    let sent: Vec<u8> = (0_u32..200_000).map(|number| u8::try_from(number * 31 % 251).unwrap()).collect();
    let (mut read, mut write) = stream.split();
    let mut received = vec![0; sent.len()];
    let (written, got) = tokio::join!(write.write_all(&sent), read.read_exact(&mut received));
    written.unwrap();
    got.unwrap();
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_websocket_needs_the_same_rights_as_a_request() {
    let site = Site::start().await;
    let path = "/user/alice/lab/ws";
    assert_eq!(refused(handshake(&site, path, &[])).await, StatusCode::UNAUTHORIZED);
    assert_eq!(refused(handshake(&site, path, &[BOB])).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_our_own_pages_open_websockets_with_a_session() {
    let site = Site::start().await;
    let cookie = site.cookie_of("alice").await;
    let path = "/user/alice/lab/ws";
    let own = format!("http://{}", site.address);
    assert_eq!(
        refused(handshake(&site, path, &[("cookie", &cookie), ("origin", "https://evil.example")])).await,
        StatusCode::FORBIDDEN
    );
    assert!(connect_async(handshake(&site, path, &[("cookie", &cookie), ("origin", &own)])).await.is_ok());
}

#[tokio::test]
async fn a_forgotten_tab_does_not_start_a_stopped_server() {
    let site = Site::start().await;
    site.api.put("alice", "lab", true, &suspended("SuspendedByRequest", "Stopped by alice."));
    site.until("the stop is known", async || {
        site.get("/user/alice/lab/", &[ALICE]).await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(refused(handshake(&site, "/user/alice/lab/ws", &[ALICE])).await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(site.api.patches().is_empty());
}

#[tokio::test]
async fn shutdown_ends_websockets() {
    let mut site = Site::start().await;
    let (mut socket, _) = connect_async(handshake(&site, "/user/alice/lab/ws", &[ALICE])).await.unwrap();
    socket.send(Message::text("open")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("open"));
    site.shutdown.cancel();
    assert!(socket.next().await.is_none_or(|message| message.is_err()));
    site.gateway.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn the_bound_on_websockets_is_said_and_freed_again() {
    let site = Site::start_with(None, |options| options.limits.tunnels = 1).await;
    let asked = || handshake(&site, "/user/alice/lab/ws", &[ALICE]);
    let (mut first, _) = connect_async(asked()).await.unwrap();
    assert_eq!(refused(asked()).await, StatusCode::SERVICE_UNAVAILABLE);
    // The notebook ends its side; this client keeps its own open.
    first.send(Message::Close(None)).await.unwrap();
    site.until("the slot is free again", async || connect_async(asked()).await.is_ok()).await;
}
