//! Watches. Time is paused: waits cost nothing and deadlines come at once.

use super::*;
use crate::registry::Presented;

fn from(revision: &str) -> WatchOptions {
    WatchOptions {
        resource_version: Some(revision.into()),
        timeout: Some(Duration::from_mins(10)),
        ..WatchOptions::default()
    }
}

fn streaming(bookmarks: bool) -> WatchOptions {
    WatchOptions {
        send_initial_events: Some(true),
        resource_version_match: Some("NotOlderThan".into()),
        bookmarks,
        ..from("0")
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_everything_after_its_revision() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let created = bench.create(&scope, widget("a", "one")).await.unwrap().object;
    let mut events = bench.watch(&scope, from(revision(&created))).await;
    bench.create(&scope, widget("b", "x")).await.unwrap();
    bench.merge(&scope, "a", json!({"spec": {"image": "two"}})).await.unwrap();
    bench.create(&bench.maps(), json!({"metadata": {"name": "unrelated"}})).await.unwrap();
    bench.delete(&scope, "a").await.unwrap();
    assert_eq!(events.word().await, "ADDED b");
    let (kind, modified) = events.object().await;
    assert_eq!((kind, &modified["spec"]["image"]), ("MODIFIED", &json!("two")));
    let (kind, deleted) = events.object().await;
    assert_eq!((kind, &deleted["spec"]["image"]), ("DELETED", &json!("two")));
    assert_eq!(revision(&deleted), bench.registry.store.revision().to_string());
    assert_eq!(events.word().await, "END");
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_revision_begins_with_what_is_there() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    bench.create(&scope, widget("a", "x")).await.unwrap();
    for options in [from(""), from("0")] {
        let mut events = bench.watch(&scope, options).await;
        assert_eq!(events.word().await, "ADDED a");
        bench.create(&scope, widget("b", "x")).await.unwrap();
        assert_eq!(events.word().await, "ADDED b");
        bench.delete(&scope, "b").await.unwrap();
    }
    let options = WatchOptions { send_initial_events: Some(false), ..streaming(false) };
    let mut events = bench.watch(&scope, options).await;
    bench.create(&scope, widget("c", "x")).await.unwrap();
    assert_eq!(events.word().await, "ADDED c");
}

#[tokio::test(start_paused = true)]
async fn initial_events_end_with_a_bookmark() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    bench.create(&scope, widget("a", "x")).await.unwrap();
    let mut events = bench.watch(&scope, streaming(true)).await;
    assert_eq!((events.word().await, events.word().await), ("ADDED a".into(), "BOOKMARK initial".into()));
    bench.create(&scope, widget("b", "x")).await.unwrap();
    assert_eq!(events.word().await, "ADDED b");
    let mut empty = bench.watch(&Scope { namespace: Some("default".into()), ..scope.clone() }, streaming(true)).await;
    assert_eq!(empty.word().await, "BOOKMARK initial");
    let mut quiet = bench.watch(&scope, streaming(false)).await;
    assert_eq!((quiet.word().await, quiet.word().await), ("ADDED a".into(), "ADDED b".into()));
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute_and_before_the_end() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let options = WatchOptions { bookmarks: true, timeout: Some(Duration::from_secs(90)), ..from("") };
    let mut events = bench.watch(&scope, options).await;
    bench.create(&bench.maps(), json!({"metadata": {"name": "elsewhere"}})).await.unwrap();
    let Some(WatchEvent::Bookmark(seen, false)) = events.next().await else { panic!("no bookmark") };
    assert_eq!(
        seen,
        bench.registry.store.revision(),
        "a bookmark is as new as the store, even when nothing happened here"
    );
    assert_eq!((events.word().await, events.word().await), ("BOOKMARK".into(), "END".into()));
}

#[tokio::test(start_paused = true)]
async fn a_watch_without_limit_ends_by_itself() {
    let bench = Bench::new().await;
    let begun = tokio::time::Instant::now();
    let mut events = bench.watch(&bench.widgets(), WatchOptions::default()).await;
    assert_eq!(events.word().await, "END");
    let minutes = begun.elapsed().as_secs() / 60;
    assert!((30..=60).contains(&minutes), "{minutes}");
}

#[tokio::test(start_paused = true)]
async fn selectors_turn_changes_into_comings_and_goings() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let label = |value: &str| json!({"metadata": {"labels": {"app": value}}});
    let begun = bench.registry.store.revision().to_string();
    let mut events = bench.watch(&scope, WatchOptions { selectors: labels("app=web"), ..from(&begun) }).await;
    bench.create(&scope, widget("a", "x")).await.unwrap();
    bench.merge(&scope, "a", label("web")).await.unwrap();
    bench.merge(&scope, "a", json!({"spec": {"image": "two"}})).await.unwrap();
    let left = bench
        .merge(&scope, "a", json!({"metadata": {"labels": {"app": "db"}}, "spec": {"image": "three"}}))
        .await
        .unwrap()
        .object;
    bench.delete(&scope, "a").await.unwrap();
    assert_eq!((events.word().await, events.word().await), ("ADDED a".into(), "MODIFIED a".into()));
    let (kind, gone) = events.object().await;
    assert_eq!(
        (kind, &gone["spec"]["image"], &gone["metadata"]["labels"]["app"]),
        ("DELETED", &json!("two"), &json!("web"))
    );
    assert_eq!(revision(&gone), revision(&left));
    assert_eq!(events.word().await, "END");
}

#[tokio::test(start_paused = true)]
async fn one_object_can_be_watched_by_name() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let mut events = bench.watch(&scope, WatchOptions { selectors: fields("metadata.name=b"), ..from("") }).await;
    for name in ["a", "b", "bb"] {
        bench.create(&scope, widget(name, "x")).await.unwrap();
    }
    bench.delete(&scope, "b").await.unwrap();
    assert_eq!(
        (events.word().await, events.word().await, events.word().await),
        ("ADDED b".into(), "DELETED b".into(), "END".into())
    );
}

#[tokio::test(start_paused = true)]
async fn many_watchers_share_the_stored_text() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let mut one = bench.watch(&scope, from("")).await;
    let mut two = bench.watch(&scope, WatchOptions { selectors: labels("!x"), ..from("") }).await;
    bench.create(&scope, widget("a", "x")).await.unwrap();
    let mut texts = Vec::new();
    for events in [&mut one, &mut two] {
        let Some(WatchEvent::Object(_, Presented::Stored(stored))) = events.next().await else {
            panic!("no stored text")
        };
        texts.push(stored.text().as_ptr());
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test(start_paused = true)]
async fn parameters_that_make_no_sense_are_refused() {
    let bench = Bench::new().await;
    for (options, code) in [
        (WatchOptions { resource_version_match: Some("NotOlderThan".into()), ..from("1") }, 422),
        (WatchOptions { resource_version_match: None, ..streaming(true) }, 422),
        (WatchOptions { resource_version_match: Some("Exact".into()), ..streaming(true) }, 422),
        (WatchOptions { resource_version_match: Some("Never".into()), ..streaming(true) }, 422),
        (from("word"), 400),
        (from("999999"), 504),
        (WatchOptions { selectors: fields("spec.nothing=1"), ..from("") }, 400),
    ] {
        let outcome = bench.registry.watch(&bench.widgets(), options.clone()).await;
        assert_eq!(outcome.err().map(|error| error.code), Some(code), "{options:?}");
    }
}

#[tokio::test]
async fn a_revision_that_is_gone_is_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let options = essaim_store::Options {
        retention: essaim_store::Retention { events: 2, ..essaim_store::Retention::default() },
        ..essaim_store::Options::default()
    };
    let store = Embedded::open(directory.path().join("store"), options).unwrap();
    let registry = Registry::new(store, Arc::new(|| START.parse().unwrap()), Vec::new());
    registry.open().await.unwrap();
    let maps =
        Scope { resource: registry.catalogue.find("", "v1", "configmaps").unwrap(), namespace: Some("default".into()) };
    for at in 0..5 {
        seen(registry.create(&maps, document(json!({"metadata": {"name": format!("m{at}")}})), &by("tester")).await)
            .unwrap();
    }
    let stream = registry.watch(&maps, from("1")).await.unwrap();
    let mut events = Events { stream, waiting: Vec::new().into_iter() };
    assert_eq!((events.word().await, events.word().await), ("ERROR 410".into(), "END".into()));
}

#[tokio::test]
async fn a_watch_that_begins_after_its_kind_is_gone_ends() {
    let mut bench = Bench::new().await;
    bench.run();
    let (scope, definitions) = (bench.widgets(), bench.definitions());
    bench.delete(&definitions, "widgets.example.dev").await.unwrap();
    bench.gone(&definitions, "widgets.example.dev").await;
    let begun = bench.registry.store.revision().to_string();
    let timeout = Some(Duration::from_mins(1));
    let mut events = bench.watch(&scope, WatchOptions { bookmarks: true, timeout, ..from(&begun) }).await;
    assert_eq!(events.word().await, "END", "and not with the bookmark of its time limit");
}
