//! The figures of the server, as monitoring reads them.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]

use axum::body::Body;
use essaim_apiserver::UserInfo;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use kube::api::{PostParams, WatchParams};

use crate::support::{Fixture, get, send, widget};

/// The document, to somebody of this group.
async fn text(fixture: &Fixture, group: &str, accept: &str) -> (u16, String, String) {
    let router = fixture.server.in_process(UserInfo::new("prometheus", [group]));
    let answer = send(router, "GET", "/metrics", &[("accept", accept)], Body::empty()).await;
    let (status, media_type) =
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap().to_owned());
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, media_type, String::from_utf8(bytes.to_vec()).unwrap())
}

/// The value of a sample in thousandths, 0 if it is not there.
async fn thousandths(fixture: &Fixture, name: &str) -> u64 {
    let (_, _, text) = text(fixture, "system:monitoring", "").await;
    let Some(value) = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')) else { return 0 };
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    whole.parse::<u64>().unwrap() * 1000 + format!("{fraction:0<3}")[..3].parse::<u64>().unwrap()
}

/// The value of a sample that is a number of things.
async fn sample(fixture: &Fixture, name: &str) -> u64 {
    thousandths(fixture, name).await / 1000
}

fn requests(verb: &str, scope: &str, code: u16) -> String {
    format!(
        "apiserver_request_total{{verb=\"{verb}\",group=\"toys.test\",version=\"v1\",resource=\"widgets\",subresource=\"\",\
         scope=\"{scope}\",component=\"apiserver\",dry_run=\"\",code=\"{code}\"}}"
    )
}

const DURATIONS: &str = "apiserver_request_duration_seconds_count{verb=\"POST\",group=\"toys.test\",version=\"v1\",resource=\"widgets\",\
     subresource=\"\",scope=\"resource\",component=\"apiserver\",dry_run=\"\"}";
const OPEN: &str = "apiserver_longrunning_requests{verb=\"WATCH\",group=\"toys.test\",version=\"v1\",resource=\"widgets\",\
     subresource=\"\",scope=\"namespace\",component=\"apiserver\"}";
const EVENTS: &str = "apiserver_watch_events_total{group=\"toys.test\",version=\"v1\",resource=\"widgets\"}";

#[tokio::test]
async fn what_is_asked_for_is_counted() {
    let fixture = Fixture::start().await;
    let (created, missed) = (requests("POST", "resource", 201), requests("GET", "resource", 404));
    assert_eq!(sample(&fixture, &created).await, 0);
    let commits = sample(&fixture, "essaim_store_commit_duration_seconds_count").await;
    let revision = sample(&fixture, "essaim_store_revision").await;

    let widgets = fixture.widgets();
    let mut watch = widgets.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    for name in ["one", "two"] {
        widgets.create(&PostParams::default(), &widget(name, "red")).await.unwrap();
        watch.next().await.unwrap().unwrap();
    }
    assert_eq!(get(fixture.router(), "/apis/toys.test/v1/namespaces/default/widgets/three").await.0, 404);

    assert_eq!(sample(&fixture, &created).await, 2);
    assert_eq!((sample(&fixture, &missed).await, sample(&fixture, DURATIONS).await), (1, 2));
    assert_eq!((sample(&fixture, OPEN).await, sample(&fixture, EVENTS).await), (1, 2));
    drop(watch);
    assert_eq!(sample(&fixture, OPEN).await, 0);
    assert_eq!(sample(&fixture, "apiserver_storage_objects{resource=\"widgets.toys.test\"}").await, 2);
    assert!(sample(&fixture, "essaim_store_commit_duration_seconds_count").await >= commits + 2);
    assert!(sample(&fixture, "essaim_store_batch_transactions_sum").await >= 2);
    assert!(sample(&fixture, "essaim_store_revision").await >= revision + 2);
    assert_eq!(sample(&fixture, "essaim_store_writable").await, 1);
    assert_eq!(sample(&fixture, "apiserver_current_inflight_requests{request_kind=\"readOnly\"}").await, 1, "its own");
    for name in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds"] {
        assert!(thousandths(&fixture, name).await > 0, "{name}");
    }
}

#[tokio::test]
async fn the_document_has_both_formats_and_is_for_those_who_watch_over_the_server() {
    let fixture = Fixture::start().await;
    assert_eq!(text(&fixture, "staff", "").await.0, 403);
    let (status, media_type, older) = text(&fixture, "system:monitoring", "text/plain").await;
    assert_eq!((status, media_type.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert!(older.contains("\n# TYPE apiserver_request_total counter\n") && !older.contains("# EOF"), "{older}");
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4";
    let (_, media_type, open) = text(&fixture, "system:monitoring", accept).await;
    assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.contains("\n# TYPE apiserver_request counter\n") && open.ends_with("\n# EOF\n"));
    assert_eq!(open.matches("# EOF").count(), 1);
    let names = open.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect::<Vec<_>>();
    let distinct = names.iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(distinct.len(), names.len(), "no name is there twice");
}
