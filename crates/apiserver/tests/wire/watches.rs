//! Watches: what happened, in order, from where the client left off.

use std::time::Duration;

use axum::body::Body;
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use kube::{
    api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams},
    runtime::watcher,
};
use serde_json::{Value, json};

use crate::support::{Fixture, send, widget};

/// Long enough for a slow machine, short enough to notice.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_watch_resumes_after_the_revision_it_names() {
    let fixture = Fixture::start().await;
    let widgets = fixture.widgets();
    let listed = widgets.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    widgets.create(&PostParams::default(), &widget("one", "red")).await.unwrap();
    let made = widgets.create(&PostParams::default(), &widget("two", "blue")).await.unwrap();
    widgets.delete("one", &DeleteParams::default()).await.unwrap();

    let from_list = widgets.watch(&WatchParams::default(), &listed).await.unwrap();
    let events = tokio::time::timeout(SOON, from_list.take(3).try_collect::<Vec<_>>()).await.unwrap().unwrap();
    let names = events.iter().map(|event| match event {
        WatchEvent::Added(object) => format!("+{}", object.metadata.name.as_deref().unwrap()),
        WatchEvent::Deleted(object) => format!("-{}", object.metadata.name.as_deref().unwrap()),
        other => format!("{other:?}"),
    });
    assert_eq!(names.collect::<Vec<_>>(), ["+one", "+two", "-one"]);

    let resumed = widgets.watch(&WatchParams::default(), &made.metadata.resource_version.unwrap()).await.unwrap();
    let first = tokio::time::timeout(SOON, resumed.boxed().try_next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Deleted(_)), "{first:?}");
}

#[tokio::test]
async fn kube_runtime_lists_by_watching() {
    let fixture = Fixture::start().await;
    fixture.widgets().create(&PostParams::default(), &widget("one", "red")).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = watcher(fixture.widgets(), config).boxed();
        let mut found = 0;
        loop {
            match tokio::time::timeout(SOON, events.try_next()).await.unwrap().unwrap().unwrap() {
                watcher::Event::InitApply(_) => found += 1,
                watcher::Event::InitDone => break,
                _ => {}
            }
        }
        assert_eq!(found, 1);
    }
}

#[tokio::test]
async fn only_the_first_event_of_a_table_watch_names_the_columns() {
    let fixture = Fixture::start().await;
    for name in ["one", "two"] {
        fixture.widgets().create(&PostParams::default(), &widget(name, "red")).await.unwrap();
    }
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let uri = "/apis/toys.test/v1/namespaces/default/widgets?&watch=true&timeoutSeconds=1";
    let response = send(fixture.router(), "GET", uri, &accept, Body::empty()).await;
    let text = tokio::time::timeout(SOON, response.into_body().collect()).await.unwrap().unwrap().to_bytes();
    let events = std::str::from_utf8(&text).unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events = events.filter(|event| event["type"] == "ADDED").collect::<Vec<_>>();
    assert_eq!(events.len(), 2);
    assert!(events[0]["object"]["columnDefinitions"].is_array());
    assert!(events[1]["object"]["columnDefinitions"].is_null());
}

#[tokio::test]
async fn a_revision_that_is_gone_is_an_event_and_one_to_come_a_timeout() {
    let fixture = Fixture::start().await;
    let uri = |version: &str| {
        format!("/apis/toys.test/v1/namespaces/default/widgets?watch=1&timeoutSeconds=1&resourceVersion={version}")
    };
    let future = send(fixture.router(), "GET", &uri("99999999"), &[], Body::empty()).await;
    let text = future.into_body().collect().await.unwrap().to_bytes();
    let error: Value = serde_json::from_slice(text.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    let status = if error["type"] == json!("ERROR") { error["object"].clone() } else { error };
    assert!(matches!(status["code"].as_u64(), Some(410 | 504)), "{status}");
}

#[tokio::test]
async fn stopping_the_server_ends_watches_cleanly() {
    let fixture = Fixture::start().await;
    let stream = fixture.widgets().watch(&WatchParams::default(), "0").await.unwrap();
    fixture.server.stop();
    let rest = tokio::time::timeout(SOON, stream.try_collect::<Vec<_>>()).await.unwrap();
    assert!(rest.is_ok());
}
