//! What reaches a notebook server, and what comes back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{StreamExt as _, stream};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::ready;
use crate::notebook::{BLOCK, CHUNKS, Notebook};
use crate::site::{ALICE, HTML, Site};

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_is_closed() {
    let site = Site::start_with(None, |options| options.limits.client_head = Duration::from_millis(300)).await;
    for said in ["", "GET /healthz", "PRI * HTTP/2.0\r\n\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "still open after {said:?}");
    }
}

#[tokio::test]
async fn the_notebook_sees_its_own_token_and_nothing_of_ours() {
    let site = Site::start().await;
    let cookie = format!("{}; _xsrf=2|abc", site.cookie_of("alice").await);
    let spoofed = [
        ("cookie", cookie.as_str()),
        ("x-forwarded-user", "root"),
        ("x-forwarded-for", "203.0.113.1"),
        ("remote-user", "root"),
    ];
    let seen = site.get("/user/alice/lab/api", &spoofed).await.json();
    let headers = &seen["headers"];
    assert_eq!(headers["authorization"], "token for-uid-alice-lab");
    assert_eq!(headers["cookie"], "_xsrf=2|abc");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(headers["x-forwarded-host"], site.address.to_string());
    assert_eq!(headers["host"], site.address.to_string());
    assert!(headers.get("x-forwarded-user").is_none() && headers.get("remote-user").is_none());
}

#[tokio::test]
async fn path_and_query_arrive_byte_for_byte() {
    let site = Site::start().await;
    for path in [
        "/user/alice/lab",
        "/user/alice/lab/",
        "/user/alice/lab/a%2Fb//c%20d/é?x=%00&y=a+b&/user/bob/../",
        "/user/alice/lab/?",
    ] {
        let seen = site.get(path, &[ALICE]).await;
        assert_eq!(seen.json()["uri"], path);
    }
}

#[tokio::test]
async fn tricks_in_the_path_are_refused_before_anything_else() {
    let site = Site::start().await;
    for path in [
        "/user/alice/../bob/secret/",
        "/user/alice%2flab/",
        "/user/alice//lab/",
        "/user/alice/lab/..%2f..%2fbob",
        "/user/alice/lab/%2e%2e/x",
        "/user/alice/lab%00/",
    ] {
        assert_eq!(site.get(path, &[ALICE]).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    for path in ["//user/alice/lab/", "/user/alice", "/elsewhere"] {
        assert_eq!(site.get(path, &[ALICE]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn answers_pass_except_for_our_cookie() {
    let site = Site::start().await;
    let answer = site.get("/user/alice/lab/cookies", &[ALICE]).await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers[header::LOCATION], "/user/alice/lab/lab?");
    let cookies: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(cookies, ["_xsrf=1"]);
}

#[tokio::test]
async fn a_large_download_streams_and_waits_for_its_reader() {
    let site = Site::start().await;
    let response = site.send(Method::GET, "/user/alice/lab/stream", &[ALICE], Body::empty()).await;
    assert_eq!(response.status(), StatusCode::OK);
    // Nobody reads yet, so the notebook must come to a halt once the sockets' buffers are full.
    let mut before = u64::MAX;
    site.until("the notebook halts", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = site.notebook.streamed.load(Ordering::Relaxed);
        std::mem::replace(&mut before, now) == now
    })
    .await;
    assert!(before < CHUNKS / 2, "{before} chunks left the notebook though nobody reads");
    let (mut body, mut bytes) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    assert_eq!(bytes, 64 * 1024 * 1024);
}

#[tokio::test]
async fn a_large_upload_streams() {
    let site = Site::start().await;
    let chunks = stream::iter(0..CHUNKS).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&BLOCK)));
    let answer = site.call(Method::PUT, "/user/alice/lab/upload", &[ALICE], Body::from_stream(chunks)).await;
    assert_eq!(answer.json()["bytes"], 64 * 1024 * 1024);
}

#[tokio::test]
async fn a_slow_upload_is_not_cut() {
    let site = Site::start().await;
    let chunks = stream::unfold(0, async |sent| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        (sent < 5).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"x")), sent + 1))
    });
    let answer = site.call(Method::PUT, "/user/alice/lab/upload", &[ALICE], Body::from_stream(chunks.boxed())).await;
    assert_eq!((answer.status, answer.json()["bytes"].clone()), (StatusCode::OK, 5.into()));
}

#[tokio::test]
async fn a_changed_route_is_followed_also_after_the_api_restarted() {
    let site = Site::start().await;
    assert_eq!(site.get("/user/alice/lab/", &[ALICE]).await.json()["server"], "first");
    let used = async |name| {
        site.until("the new route is used", async || {
            site.get("/user/alice/lab/", &[ALICE]).await.json()["server"] == name
        })
        .await;
    };
    let at = |notebook: &Notebook| ready("True", "Serving", "", Some(&notebook.address.to_string()));
    let (second, third, fourth) =
        (Notebook::start("second").await, Notebook::start("third").await, Notebook::start("fourth").await);
    site.api.put("alice", "lab", false, &at(&second));
    used("second").await;
    site.api.restart();
    site.api.put("alice", "lab", false, &at(&third));
    used("third").await;
    site.api.put_and_forget("alice", "lab", false, &at(&fourth));
    used("fourth").await;
}

#[tokio::test]
async fn a_notebook_that_is_not_there_gives_a_page_with_the_reason() {
    let site = Site::start().await;
    // A port that was free a moment ago.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    site.api.put("alice", "lab", false, &ready("True", "Serving", "", Some(&dead.to_string())));
    site.until("the dead one is tried", async || {
        site.get("/user/alice/lab/", &[ALICE]).await.status == StatusCode::BAD_GATEWAY
    })
    .await;
    let program = site.get("/user/alice/lab/", &[ALICE]).await;
    assert_eq!(program.headers["essaim-reason"], "NotAnswering");
    let page = site.get("/user/alice/lab/", &[ALICE, HTML]).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.text.contains("refuses the connection"), "{}", page.text);
}

#[tokio::test]
async fn a_server_that_nobody_could_look_at_is_tried_and_then_explained_by_its_status() {
    let site = Site::start().await;
    let unknown =
        |address: &str| ready("Unknown", "NodeUnreachable", "node-3 does not answer the Swarm.", Some(address));
    site.api.put("alice", "lab", false, &unknown(&site.notebook.address.to_string()));
    assert_eq!(site.get("/user/alice/lab/", &[ALICE]).await.status, StatusCode::OK);
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    site.api.put("alice", "lab", false, &unknown(&dead.to_string()));
    site.until("the status explains", async || {
        let answer = site.get("/user/alice/lab/", &[ALICE]).await;
        answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.json()["reason"] == "NodeUnreachable"
    })
    .await;
}

#[tokio::test]
async fn a_notebook_that_says_nothing_is_given_up() {
    let site = Site::start().await;
    // The kernel completes connections; nobody ever answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    site.api.put("alice", "lab", false, &ready("True", "Serving", "", Some(&silent.local_addr().unwrap().to_string())));
    site.until("it is given up", async || {
        site.get("/user/alice/lab/", &[ALICE]).await.status == StatusCode::GATEWAY_TIMEOUT
    })
    .await;
}

#[tokio::test]
async fn reading_is_tried_once_more_when_the_connection_breaks_and_writing_is_not() {
    let site = Site::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    site.api.put(
        "alice",
        "lab",
        false,
        &ready("True", "Serving", "", Some(&listener.local_addr().unwrap().to_string())),
    );
    let mut broken = tokio::task::JoinSet::new();
    broken.spawn(async move {
        let mut accepted = 0_u32;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            accepted += 1;
            let mut head = [0; 1_024];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
            if accepted.is_multiple_of(2) {
                let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecond";
                tokio::io::AsyncWriteExt::write_all(&mut stream, ok).await.unwrap();
            }
        }
    });
    site.until("the retry succeeds", async || site.get("/user/alice/lab/", &[ALICE]).await.text == "second").await;
    let put = site.call(Method::PUT, "/user/alice/lab/x", &[ALICE], Body::from("once")).await;
    assert_eq!(put.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn shutdown_lets_a_request_end() {
    let mut site = Site::start().await;
    let mut response = site.send(Method::GET, "/user/alice/lab/stream", &[ALICE], Body::empty()).await;
    site.shutdown.cancel();
    let mut bytes = 0;
    while let Some(frame) = response.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    assert_eq!(bytes, 64 * 1024 * 1024);
    site.gateway.join_next().await.unwrap().unwrap().unwrap();
}
