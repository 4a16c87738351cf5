//! Limits that need a socket: heads, bodies, connections, and clients that are slow or do nothing.
//!
//! Nothing here is timed: what is short is so for the test's sake, and what a test waits for has a wide bound.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails should fail the test")]

use std::{io, time::Duration};

use axum::body::Body;
use essaim_apiserver::{Limits, Options, RawHandler};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::support::{ALICE, SOON, Served, answer, ask, clock};

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// More than sockets keep for a client that does not read.
const LARGE: usize = 32 << 20;
/// How long a test looks whether something does not happen.
const MOMENT: Duration = Duration::from_millis(200);
/// A time limit that a test waits for; nothing that should be in time takes as long, on a busy machine either.
const SHORT: Duration = Duration::from_secs(2);

async fn served(limits: Limits) -> Served {
    let mut options = Options::new(clock());
    options.limits = limits;
    options.raw_handlers = vec![
        RawHandler::new("/extra/large", async |_| Ok(Response::new(Body::from(vec![b'x'; LARGE])))),
        RawHandler::new("/extra/never", async |_| std::future::pending().await),
    ];
    Served::with(options).await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nauthorization: {ALICE}\r\n\r\n")
}

fn post(length: usize) -> String {
    format!("POST {CONFIG_MAPS} HTTP/1.1\r\nauthorization: {ALICE}\r\ncontent-length: {length}\r\n\r\n")
}

/// How much still came before the other side ended the connection.
async fn ended(mut stream: impl AsyncRead + Unpin) -> usize {
    let (mut piece, mut length) = (vec![0; 64 * 1024], 0);
    let reading = async {
        while let Ok(more @ 1..) = stream.read(&mut piece).await {
            length += more;
        }
    };
    timeout(SOON, reading).await.expect("the connection should be ended");
    length
}

/// Waits until a request is answered with this status.
async fn becomes(served: &Served, path: &str, status: u16) {
    let asking = async {
        while served.get(path).await.status != status {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, asking).await.expect("the answer should change");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_connection_stays_usable() {
    let served = served(Limits::default()).await;
    let mut stream = served.connect().await;
    for length in [3 * 1024 * 1024 + 1, 4 * 1024 * 1024] {
        let refused = ask(&mut stream, &post(length), &vec![b' '; length]).await;
        assert_eq!(refused.status, 413, "{}", refused.body);
        assert!(refused.body.contains("RequestEntityTooLarge"), "{}", refused.body);
        assert_eq!(ask(&mut stream, &get("/version"), &[]).await.status, 200);
    }
    let at_the_limit = vec![b' '; 3 * 1024 * 1024];
    assert_eq!(ask(&mut stream, &post(at_the_limit.len()), &at_the_limit).await.status, 400, "it is read, and empty");
}

#[tokio::test]
async fn heads_lines_and_addresses_are_bounded() {
    let served = served(Limits::default()).await;
    let filler = |length: usize| "x".repeat(length);
    let lines = |count: usize| "accept: */*\r\n".repeat(count);
    for (head, status) in [
        (format!("GET /livez HTTP/1.1\r\nx-filler: {}\r\n\r\n", filler(60_000)), 200),
        (format!("GET /livez HTTP/1.1\r\nx-filler: {}\r\n\r\n", filler(70_000)), 431),
        (format!("GET /livez?x={} HTTP/1.1\r\n\r\n", filler(60_000)), 200),
        (format!("GET /livez?x={} HTTP/1.1\r\n\r\n", filler(70_000)), 431),
        (format!("GET /livez HTTP/1.1\r\n{}\r\n", lines(900)), 200),
        (format!("GET /livez HTTP/1.1\r\n{}\r\n", lines(1100)), 431),
    ] {
        let answered = ask(&mut served.connect().await, &head, &[]).await;
        assert_eq!(answered.status, status, "{} bytes: {}", head.len(), answered.head);
    }
}

/// A connection of HTTP/2.
struct Http2 {
    sender: http2::SendRequest<Empty<bytes::Bytes>>,
    _connection: JoinSet<hyper::Result<()>>,
}

impl Http2 {
    async fn connect(served: &Served) -> Self {
        let io = TokioIo::new(served.connect().await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        Self { sender, _connection: tasks }
    }

    async fn get(&self, path: &str, filler: usize) -> hyper::Result<Response<Incoming>> {
        let request = Request::get(format!("https://essaim{path}")).header("authorization", ALICE);
        let request = request.header("x-filler", "x".repeat(filler)).body(Empty::new()).unwrap();
        self.sender.clone().send_request(request).await
    }
}

#[tokio::test]
async fn a_head_over_the_limit_costs_one_stream_of_a_connection() {
    let served = served(Limits::default()).await;
    let connection = Http2::connect(&served).await;
    assert_eq!(connection.get("/version", 60_000).await.unwrap().status(), 200);
    assert_eq!(connection.get("/version", 70_000).await.unwrap().status(), 431);
    assert_eq!(connection.get("/version", 0).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_stream_over_the_limit_waits_for_one_that_ends() {
    let served = served(Limits { streams: 2, ..Limits::default() }).await;
    let connection = Http2::connect(&served).await;
    // After an answer the client knows the limit.
    connection.get("/version", 0).await.unwrap().into_body().collect().await.unwrap();
    let watch = format!("{CONFIG_MAPS}?watch=true");
    let first = connection.get(&watch, 0).await.unwrap();
    let _second = connection.get(&watch, 0).await.unwrap();
    let mut third = std::pin::pin!(connection.get("/version", 0));
    assert!(timeout(MOMENT, &mut third).await.is_err(), "there is no room");
    drop(first);
    assert_eq!(timeout(SOON, third).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_one_that_ends() {
    let served = served(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = served.connect().await;
    assert_eq!(ask(&mut first, &get("/version"), &[]).await.status, 200);
    let mut second = std::pin::pin!(served.connect());
    assert!(timeout(MOMENT, &mut second).await.is_err(), "there is no room");
    drop(first);
    let mut second = timeout(SOON, second).await.unwrap();
    assert_eq!(ask(&mut second, &get("/version"), &[]).await.status, 200);
}

#[tokio::test]
async fn who_says_nothing_is_cut_off() {
    let served = served(Limits { silence: SHORT, ..Limits::default() }).await;
    let nothing = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(ended(nothing).await, 0);
    let mut half_a_handshake = TcpStream::connect(served.address).await.unwrap();
    half_a_handshake.write_all(&[22, 3, 1, 1, 0, 1]).await.unwrap();
    assert_eq!(ended(half_a_handshake).await, 0);
    ended(served.connect().await).await;
    let mut half_a_head = served.connect().await;
    half_a_head.write_all(b"GET /version HTTP/1.1\r\nhost: ").await.unwrap();
    half_a_head.flush().await.unwrap();
    ended(half_a_head).await;
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_cut_off() {
    let served = served(Limits { ping: SHORT, silence: SHORT, ..Limits::default() }).await;
    let mut mute = served.connect().await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // The head of a GET of `/`, each line by its number in the table that both sides know.
    let request = [0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x87];
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings, &request].concat();
    mute.write_all(&preface).await.unwrap();
    mute.flush().await.unwrap();
    let answered = async {
        loop {
            let mut frame = [0; 9];
            mute.read_exact(&mut frame).await.unwrap();
            let length = usize::from(frame[1]) << 8 | usize::from(frame[2]);
            mute.read_exact(&mut vec![0; length]).await.unwrap();
            // The head of the answer: from here on the client is not one that asks nothing.
            if frame[3] == 1 {
                break;
            }
        }
    };
    timeout(SOON, answered).await.unwrap();
    ended(mute).await;
}

#[tokio::test]
async fn a_connection_without_a_further_request_is_ended() {
    let served = served(Limits { idle: SHORT, ..Limits::default() }).await;
    let mut idle = served.connect().await;
    assert_eq!(ask(&mut idle, &get("/version"), &[]).await.status, 200);
    ended(idle).await;
    let mut half_a_head = served.connect().await;
    assert_eq!(ask(&mut half_a_head, &get("/version"), &[]).await.status, 200);
    half_a_head.write_all(b"GET /version HTTP/1.1\r\nhost: ").await.unwrap();
    half_a_head.flush().await.unwrap();
    ended(half_a_head).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_and_gives_its_place_back() {
    let served = served(Limits { writes: 2, handler: SHORT, ..Limits::default() }).await;
    let mut slow = served.connect().await;
    slow.write_all(post(100).as_bytes()).await.unwrap();
    slow.write_all(b"{\"metadata\": ").await.unwrap();
    slow.flush().await.unwrap();
    let refused = answer(&mut slow).await;
    assert_eq!(refused.status, 504, "{}", refused.body);
    let object = r#"{"metadata": {"name": "one"}}"#;
    let written = ask(&mut served.connect().await, &post(object.len()), object.as_bytes()).await;
    assert_eq!(written.status, 201, "{}", written.body);
}

#[tokio::test]
async fn an_answer_holds_its_place_until_the_client_took_it() {
    let served = served(Limits { reads: 2, ..Limits::default() }).await;
    let mut reader = served.connect().await;
    reader.write_all(get("/extra/large").as_bytes()).await.unwrap();
    reader.flush().await.unwrap();
    reader.read_u8().await.unwrap();
    let refused = served.get("/version").await;
    assert_eq!(refused.status, 429);
    assert!(refused.head.contains("\r\nretry-after: 1\r\n"), "{}", refused.head);
    let mut rest = vec![0; LARGE];
    timeout(SOON, reader.read_exact(&mut rest)).await.unwrap().unwrap();
    becomes(&served, "/version", 200).await;

    let mut leaving = served.connect().await;
    leaving.write_all(get("/extra/large").as_bytes()).await.unwrap();
    leaving.flush().await.unwrap();
    leaving.read_u8().await.unwrap();
    assert_eq!(served.get("/version").await.status, 429);
    drop(leaving);
    becomes(&served, "/version", 200).await;
}

#[tokio::test]
async fn who_takes_nothing_is_cut_off_and_gives_the_place_back() {
    let served = served(Limits { reads: 2, stalled: SHORT, ..Limits::default() }).await;
    let mut stalled = served.connect().await;
    stalled.write_all(get("/extra/large").as_bytes()).await.unwrap();
    stalled.flush().await.unwrap();
    stalled.read_u8().await.unwrap();
    becomes(&served, "/version", 200).await;
    assert!(ended(stalled).await < LARGE);
}

#[tokio::test]
async fn who_takes_a_little_now_and_then_loses_the_answer_and_gives_the_place_back() {
    let served = served(Limits { reads: 2, stalled: SHORT, ..Limits::default() }).await;
    let mut slow = served.connect().await;
    slow.write_all(get("/extra/large").as_bytes()).await.unwrap();
    slow.flush().await.unwrap();
    slow.read_u8().await.unwrap();
    assert_eq!(served.get("/version").await.status, 429);
    let reading = async {
        // At this rate the answer would take hours, and yet it is being read.
        while slow.read_u8().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = reading => {}
        () = becomes(&served, "/version", 200) => {}
    }
    becomes(&served, "/version", 200).await;
}

#[tokio::test]
async fn a_stream_whose_window_stays_shut_loses_its_answer_and_the_others_go_on() {
    let served = served(Limits { reads: 2, stalled: SHORT, ..Limits::default() }).await;
    let connection = Http2::connect(&served).await;
    let watch = connection.get(&format!("{CONFIG_MAPS}?watch=true"), 0).await.unwrap();
    let unread = connection.get("/extra/large", 0).await.unwrap();
    assert_eq!(served.get("/version").await.status, 429);
    becomes(&served, "/version", 200).await;
    assert!(unread.into_body().collect().await.is_err(), "it broke off");
    assert_eq!(connection.get("/version", 0).await.unwrap().status(), 200);
    let object = r#"{"metadata": {"name": "one"}}"#;
    assert_eq!(ask(&mut served.connect().await, &post(object.len()), object.as_bytes()).await.status, 201);
    let event = timeout(SOON, watch.into_body().frame()).await.unwrap().unwrap().unwrap();
    assert!(event.into_data().unwrap().starts_with(b"{\"type\":\"ADDED\""));
}

#[tokio::test]
async fn a_request_that_does_not_end_is_dropped_when_the_listener_stops() {
    let mut served = served(Limits { drain: SHORT, ..Limits::default() }).await;
    let mut stream = served.connect().await;
    stream.write_all(get("/extra/never").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    served.shutdown.cancel();
    let ending = timeout(SOON, served.serving.join_next()).await.unwrap();
    ending.unwrap().unwrap().unwrap();
    ended(stream).await;
    let refused = TcpStream::connect(served.address).await.map_err(|error| error.kind());
    assert!(matches!(refused, Err(io::ErrorKind::ConnectionRefused)), "{refused:?}");
}

/// A refusal that comes before the body was read must not break the connection under the client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_a_large_body_in_vain_learns_why() {
    let served = Served::with(Options::new(clock())).await;
    for size in [5_000, 200_000, 2_900_000] {
        let mut stream = served.connect().await;
        let head = format!("POST {CONFIG_MAPS} HTTP/1.1\r\ncontent-length: {size}\r\n\r\n");
        // Twice on one connection: the first answer must leave it usable.
        for _ in 0..2 {
            assert_eq!(ask(&mut stream, &head, &vec![b' '; size]).await.status, 401, "{size} bytes");
        }
    }
}
