//! How the past is forgotten: by count, bytes and age, in memory first and then in the file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use essaim_store::{Embedded, Error, Options, Retention, Revision, Store as _};

use crate::{list, open, put, wait_until, write};

/// The oldest revision that can still be asked for.
fn oldest(store: &Embedded) -> u64 {
    match store.watch("", Revision(0)) {
        Err(Error::Compacted { oldest, .. }) => oldest.0,
        Err(error) => panic!("the wrong refusal: {error}"),
        Ok(_) => 0,
    }
}

fn keeping(retention: Retention) -> Options {
    Options { retention, ..Options::default() }
}

#[tokio::test]
async fn log_is_bounded_by_count_in_memory_and_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), keeping(Retention { events: 100, ..Retention::default() }));
    for n in 0..40 {
        write(&store, (0..50).map(|key| put(&format!("/a/{key}"), n.to_string())).collect()).await;
    }
    // The newest batch stays whole beside the bound.
    assert!((1_850..=1_900).contains(&oldest(&store)), "{}", oldest(&store));
    let whole = list(&store, "", None).await.unwrap();
    drop(store);

    let store = open(directory.path(), Options::default());
    assert!((1_300..=1_900).contains(&oldest(&store)), "rows follow, some hundred at a time: {}", oldest(&store));
    assert_eq!(list(&store, "", None).await.unwrap(), whole, "objects outlive the log");
}

#[tokio::test]
async fn log_is_bounded_by_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), keeping(Retention { bytes: 1 << 20, ..Retention::default() }));
    for _ in 0..50 {
        write(&store, vec![put("/a/x", vec![b'v'; 100_000])]).await;
    }
    let kept = 50 - oldest(&store);
    assert!((9..=12).contains(&kept), "about 1 MiB of replaced values, not {kept} changes");
}

#[tokio::test]
async fn old_changes_go_while_nothing_is_written_and_leave_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_000_000));
    let clock = Arc::clone(&now);
    let options = Options {
        retention: Retention { age: Duration::from_mins(10), ..Retention::default() },
        clock: Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed))),
        ..Options::default()
    };
    let store = open(directory.path(), options.clone());
    write(&store, vec![put("/a/x", "a secret")]).await;
    now.fetch_add(500, Ordering::Relaxed);
    write(&store, vec![put("/a/x", "harmless")]).await;
    now.fetch_add(101, Ordering::Relaxed);
    wait_until("the first change is forgotten", async || oldest(&store) == 1).await;
    now.fetch_add(500, Ordering::Relaxed);
    wait_until("the second, which held what it replaced, too", async || oldest(&store) == 2).await;
    assert_eq!(store.revision(), Revision(2));
    now.fetch_add(61, Ordering::Relaxed);
    wait_until("the rows are gone", async || {
        // Only a store that is opened again tells what the file holds.
        let copy = directory.path().join("copy.redb");
        std::fs::copy(directory.path().join("store.redb"), &copy).unwrap();
        oldest(&Embedded::open(&copy, options.clone()).unwrap()) == 2
    })
    .await;
    assert_eq!(write(&store, vec![put("/a/y", "next")]).await, Revision(3));
}

#[tokio::test]
async fn paging_ends_when_its_moment_is_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), keeping(Retention { events: 100, ..Retention::default() }));
    let moment = write(&store, (0..50).map(|key| put(&format!("/a/{key}"), "one")).collect()).await;
    for _ in 0..5 {
        write(&store, (0..50).map(|key| put(&format!("/a/{key}"), "two")).collect()).await;
    }
    let refused = list(&store, "/a/", Some(moment)).await;
    assert!(matches!(refused, Err(Error::Compacted { requested, .. }) if requested == moment), "{refused:?}");
}

#[tokio::test]
async fn full_queue_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options { queue_bytes: 2_000, ..Options::default() });
    let writes = (0..20).map(|n| {
        let mutations = vec![put(&format!("/a/{n}"), vec![b'v'; 900])];
        store.commit(essaim_store::Transaction { preconditions: vec![], mutations })
    });
    let outcomes = futures::future::join_all(writes).await;
    let (done, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert!(!done.is_empty() && refused.iter().all(|outcome| matches!(outcome, Err(Error::Busy))), "{refused:?}");
    assert_eq!(list(&store, "/a/", None).await.unwrap().records.len(), done.len());
    write(&store, vec![put("/a/later", vec![b'v'; 1 << 20])]).await;
}
