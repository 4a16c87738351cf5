//! Limits that need no socket: what bodies and patches may hold, and how much may be under way.

#![expect(clippy::panic, reason = "a handler that panics is one of the cases")]

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use essaim_apiserver::{ApiError, Limits, Options, RawHandler};
use http::Response;
use http_body_util::BodyExt as _;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{Fixture, SOON, alice, clock, get, json_of, send, widget};

const WIDGETS: &str = "/apis/toys.test/v1/namespaces/default/widgets";
const ONE: &str = "/apis/toys.test/v1/namespaces/default/widgets/one";

async fn post(fixture: &Fixture, media_type: &str, body: impl Into<Body>) -> (u16, Value) {
    json_of(send(fixture.router(), "POST", WIDGETS, &[("content-type", media_type)], body).await).await
}

/// A widget whose only unknown field nests lists so deep.
fn nested(depth: usize) -> String {
    let (open, close) = ("[".repeat(depth), "]".repeat(depth));
    format!(
        r#"{{"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {{"generateName": "n-"}}, "deep": {open}{close}}}"#
    )
}

#[tokio::test]
async fn nesting_is_bounded_in_every_format() {
    let fixture = Fixture::start().await;
    fixture.widgets().create(&PostParams::default(), &widget("one", "red")).await.unwrap();
    for media_type in ["application/json", "application/yaml"] {
        assert_eq!(post(&fixture, media_type, nested(60)).await.0, 201, "{media_type}");
        for depth in [130, 1_000, 1_000_000] {
            let (status, refused) = post(&fixture, media_type, nested(depth)).await;
            assert_eq!(status, 400, "{media_type}, {depth}: {refused}");
        }
    }
    let block = (0..1_000).flat_map(|depth| [" ".repeat(depth), "a:\n".to_owned()]).collect::<String>();
    assert_eq!(post(&fixture, "application/yaml", block).await.0, 400);
    for kind in ["merge-patch+json", "apply-patch+yaml", "json-patch+json"] {
        let body = if kind.starts_with("json") {
            format!(r#"[{{"op": "add", "path": "/spec", "value": {}}}]"#, nested(1_000))
        } else {
            nested(1_000)
        };
        let headers = [("content-type", &*format!("application/{kind}"))];
        let path = format!("{ONE}?fieldManager=tester");
        assert_eq!(send(fixture.router(), "PATCH", &path, &headers, body).await.status(), 400, "{kind}");
    }
}

#[tokio::test]
async fn yaml_nodes_aliases_and_documents_are_bounded() {
    let fixture = Fixture::start().await;
    let head = "apiVersion: toys.test/v1\nkind: Widget\nmetadata: {generateName: n-}\n";
    let nodes = |count: usize| format!("{head}many: [{}]\n", "1,".repeat(count));
    let aliases = |count: usize| format!("{head}base: &base [1]\nmany: [{}]\n", "*base,".repeat(count));
    let bomb = (1..9).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
        let before = format!("*a{},", level - 1).repeat(10);
        format!("{text}a{level}: &a{level} [{before}]\n")
    });
    for (body, status) in [
        (nodes(1_000), 201),
        (nodes(260_000), 400),
        (aliases(90), 201),
        (aliases(110), 400),
        (format!("{head}{bomb}"), 400),
        (format!("{head}---\n{head}"), 400),
    ] {
        let length = body.len();
        let (found, answer) = post(&fixture, "application/yaml", body).await;
        assert_eq!(found, status, "{length} bytes: {answer}");
    }
}

#[tokio::test]
async fn operations_of_a_json_patch_are_bounded() {
    let fixture = Fixture::start().await;
    fixture.widgets().create(&PostParams::default(), &widget("one", "red")).await.unwrap();
    let patch = async |count: usize| {
        let operation = json!({"op": "test", "path": "/kind", "value": "Widget"});
        let headers = [("content-type", "application/json-patch+json")];
        json_of(send(fixture.router(), "PATCH", ONE, &headers, json!(vec![operation; count]).to_string()).await).await
    };
    assert_eq!(patch(10_000).await.0, 200);
    let (status, refused) = patch(10_001).await;
    assert_eq!((status, &refused["reason"]), (413, &json!("RequestEntityTooLarge")));
}

#[tokio::test]
async fn copies_in_a_json_patch_cannot_grow_without_bound() {
    let fixture = Fixture::start().await;
    fixture.widgets().create(&PostParams::default(), &widget("one", "red")).await.unwrap();
    let double = [
        json!({"op": "copy", "from": "/spec", "path": "/spec/x"}),
        json!({"op": "copy", "from": "/spec", "path": "/spec/y"}),
    ];
    let headers = [("content-type", "application/json-patch+json")];
    let body = json!(double.into_iter().cycle().take(200).collect::<Vec<_>>()).to_string();
    let status = send(fixture.router(), "PATCH", ONE, &headers, body).await.status().as_u16();
    assert!((400..500).contains(&status), "{status}");
}

#[tokio::test]
async fn a_page_is_as_long_as_was_asked_and_warnings_end_somewhere() {
    let fixture = Fixture::start().await;
    for name in ["a", "b", "c"] {
        fixture.widgets().create(&PostParams::default(), &widget(name, "red")).await.unwrap();
    }
    for (limit, length) in [("1", 1), ("2", 2), ("18446744073709551615", 3), ("0", 3)] {
        let (_, list) = get(fixture.router(), &format!("{WIDGETS}?limit={limit}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), length, "limit {limit}");
    }
    let mut body = json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": "d"}, "spec": {}});
    for field in 0..10_000 {
        body["spec"][format!("unknown{field}")] = 1.into();
    }
    let made = send(fixture.router(), "POST", WIDGETS, &[], body.to_string()).await;
    assert_eq!(made.status(), 201);
    let warnings = made.headers().get_all("warning").iter().map(http::HeaderValue::len).sum::<usize>();
    assert!((1_000..8_192).contains(&warnings), "{warnings} bytes");
}

/// Handlers that wait for a permit, fail, panic, or never end.
async fn limited(limits: Limits) -> (Fixture, Arc<Semaphore>) {
    let going = Arc::new(Semaphore::new(0));
    let held = going.clone();
    let mut options = Options::new(clock());
    options.limits = limits;
    options.raw_handlers = vec![
        RawHandler::new("/extra/wait", move |_| {
            let held = held.clone();
            async move { held.acquire().await.map(|_| Response::default()).map_err(ApiError::internal) }
        }),
        RawHandler::new("/extra/fails", async |_| Err(ApiError::forbidden("on purpose"))),
        RawHandler::new("/extra/panics", async |_| panic!("on purpose")),
        RawHandler::new("/extra/never", async |_| std::future::pending().await),
    ];
    let fixture = Fixture::with(options).await;
    fixture.let_alice_do_everything().await;
    (fixture, going)
}

fn as_alice(fixture: &Fixture) -> Router {
    fixture.server.in_process(alice())
}

/// Whether it is the refusal that clients obey by waiting.
fn is_refused(response: &Response<Body>) -> bool {
    response.status() == 429 && response.headers()["retry-after"] == "1"
}

#[tokio::test]
async fn a_full_house_is_429_and_a_place_comes_back_however_a_request_ends() {
    let (fixture, going) = limited(Limits { reads: 2, handler: Duration::from_secs(2), ..Limits::default() }).await;
    let ask = async |path: &str| send(as_alice(&fixture), "GET", path, &[], Body::empty()).await;
    for (path, status) in [("/extra/fails", 403), ("/extra/panics", 500), ("/extra/never", 504), ("/nowhere", 404)] {
        assert_eq!(ask(path).await.status().as_u16(), status, "{path}: what came before gave its place back");
    }
    drop((fixture, going));

    let (fixture, going) = limited(Limits { reads: 2, ..Limits::default() }).await;
    let ask = async |path: &str| send(as_alice(&fixture), "GET", path, &[], Body::empty()).await;
    let mut waiting = Box::pin(ask("/extra/wait"));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert!(is_refused(&ask("/version").await), "half of the places is one");
    assert_eq!(get(fixture.router(), "/version").await.0, 200, "those who repair pass");
    drop(waiting);
    assert_eq!(ask("/version").await.status(), 200, "who left has no place");

    let mut waiting = Box::pin(ask("/extra/wait"));
    assert!(futures::poll!(&mut waiting).is_pending());
    going.add_permits(1);
    let answered = tokio::time::timeout(SOON, waiting).await.unwrap();
    assert_eq!(answered.status(), 200);
    drop(answered);
    assert_eq!(ask("/version").await.status(), 200);
}

#[tokio::test]
async fn a_watch_too_many_is_429_and_its_place_comes_back_with_its_end() {
    let (fixture, _) = limited(Limits { watches: 2, ..Limits::default() }).await;
    let watch = async |uri: &str| {
        let uri = format!("{WIDGETS}?watch=true{uri}");
        tokio::time::timeout(SOON, send(as_alice(&fixture), "GET", &uri, &[], Body::empty())).await.unwrap()
    };
    assert_eq!(watch("&resourceVersion=x").await.status(), 400);
    assert_eq!(watch("&labelSelector=(").await.status(), 400);
    let first = watch("").await;
    assert_eq!(first.status(), 200);
    assert!(is_refused(&watch("").await));
    assert_eq!(send(as_alice(&fixture), "GET", WIDGETS, &[], Body::empty()).await.status(), 200, "lists are others");
    drop(first);
    let short = watch("&timeoutSeconds=1").await;
    assert_eq!(short.status(), 200);
    tokio::time::timeout(SOON, short.into_body().collect()).await.unwrap().unwrap();
    assert_eq!(watch("").await.status(), 200);
}
