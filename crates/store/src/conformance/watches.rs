//! Checks of watches.

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, future::join_all};

use super::{all, delete, get, key, list, put, replay, revisions, take, write};
use crate::{ChangeKind, Error, ListRequest, Revision, Store};

pub(super) async fn watch_after_a_list_misses_and_repeats_nothing(store: Arc<dyn Store>) {
    let writer = async {
        for n in 0..100 {
            write(&store, vec![put(&format!("/a/{n:03}"), "one")]).await;
        }
    };
    let reader = async {
        let page = loop {
            let page = list(&store, "/a/").await;
            if page.records.len() >= 30 {
                break page;
            }
            store.reached(Revision(page.revision.0 + 1)).await;
        };
        let mut watch = store.watch("/a/", page.revision).expect("the revision is known");
        let mut keys: Vec<_> = page.records.iter().map(|record| record.key.clone()).collect();
        let heard = take(&mut watch, 100 - keys.len()).await;
        keys.extend(heard.iter().map(|change| change.key.clone()));
        keys
    };
    let ((), keys) = futures::join!(writer, reader);
    let expected: Vec<_> = (0..100).map(|n| key(&format!("/a/{n:03}"))).collect();
    assert_eq!(keys, expected);
}

pub(super) async fn watch_tells_kind_value_and_previous(store: Arc<dyn Store>) {
    let start = store.revision();
    let mut watch = store.watch("/a/", start).expect("the revision is known");
    write(&store, vec![put("/a/x", "one")]).await;
    write(&store, vec![put("/a/x", "two")]).await;
    write(&store, vec![delete("/a/x")]).await;
    let changes = take(&mut watch, 3).await;
    let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Created, ChangeKind::Updated, ChangeKind::Deleted]);
    let values: Vec<_> = changes.iter().map(|change| &change.value[..]).collect();
    assert_eq!(values, [&b"one"[..], b"two", b""]);
    let previous: Vec<_> =
        changes.iter().map(|change| change.previous.as_ref().map(|record| &record.value[..])).collect();
    assert_eq!(previous, [None, Some(&b"one"[..]), Some(b"two")]);
    let last = changes[2].previous.as_ref().expect("a delete carries what it removed");
    assert_eq!((last.created, last.modified), (changes[0].revision, changes[1].revision));
    assert!(changes[0].revision > start && revisions(&changes).is_sorted_by(|one, next| one < next));
}

pub(super) async fn watch_hears_only_its_prefix(store: Arc<dyn Store>) {
    let start = store.revision();
    let prefixes = [("/a/", 3), ("/a/b/", 1), ("", 5), ("/a/b/x", 1), ("/a", 4)];
    let mut watches: Vec<_> =
        prefixes.iter().map(|(prefix, _)| store.watch(prefix, start).expect("the revision is known")).collect();
    let scattered = ["/a/x", "/ab/x", "/a/b/x", "/b/x", "/a/z"];
    write(&store, scattered.iter().map(|path| put(path, "one")).collect()).await;
    for ((prefix, count), watch) in prefixes.iter().zip(&mut watches) {
        let changes = take(watch, *count).await;
        assert!(changes.iter().all(|change| change.key.as_str().starts_with(prefix)), "{prefix}: {changes:?}");
        assert!(watch.next().now_or_never().is_none(), "{prefix} hears no more than {count}");
    }
}

pub(super) async fn watch_resumes_at_any_revision(store: Arc<dyn Store>) {
    let start = store.revision();
    let mut written = Vec::new();
    for n in 0..50 {
        let path = if n % 2 == 0 { "/a/x" } else { "/b/x" };
        let revision = write(&store, vec![put(path, &n.to_string())]).await;
        if n % 2 == 0 {
            written.push(revision.0);
        }
    }
    for after in start.0..=store.revision().0 {
        let mut watch = store.watch("/a/", Revision(after)).expect("the revision is in the log");
        let expected: Vec<u64> = written.iter().copied().filter(|revision| *revision > after).collect();
        let changes = take(&mut watch, expected.len()).await;
        assert_eq!(revisions(&changes), expected, "after {after}");
        assert!(watch.next().now_or_never().is_none());
    }
}

pub(super) async fn changes_of_one_revision_come_together(store: Arc<dyn Store>) {
    let mut watch = store.watch("/a/", store.revision()).expect("the revision is known");
    // More than a watcher takes at once, if each transaction has one revision.
    let writer = async {
        for round in 0..9 {
            write(&store, (0..100).map(|n| put(&format!("/a/{n:02}"), &round.to_string())).collect()).await;
        }
    };
    let reader = async {
        let (mut heard, mut delivered) = (0, Revision(0));
        while heard < 900 {
            let batch = watch.next().await.expect("the watch goes on").expect("the watch does not fail");
            assert!(batch[0].revision > delivered, "a revision is told in one batch");
            delivered = batch.last().expect("a batch is never empty").revision;
            heard += batch.len();
        }
    };
    futures::join!(writer, reader);
}

pub(super) async fn watch_resumes_after_any_revision_of_large_transactions(store: Arc<dyn Store>) {
    let start = store.revision();
    for round in 0..6 {
        let mutations = (0..100).map(|n| match n {
            n if n == round => delete(&format!("/a/{n:02}")),
            n if n % 3 == 0 => put(&format!("/b/{n:02}"), &round.to_string()),
            n => put(&format!("/a/{n:02}"), &round.to_string()),
        });
        write(&store, mutations.collect()).await;
    }
    let now = list(&store, "/a/").await;
    for after in start.0..=now.revision.0 {
        let at = ListRequest { at: Some(Revision(after)), ..all("/a/") };
        let then = store.list(at).await.expect("the revision is in the log");
        let mut watch = store.watch("/a/", Revision(after)).expect("the revision is in the log");
        let mut heard = Vec::new();
        while let Some(batch) = watch.next().now_or_never() {
            heard.extend(batch.expect("the watch goes on").expect("the watch does not fail"));
        }
        assert!(heard.iter().all(|change| change.revision.0 > after));
        assert_eq!(replay(then.records, &heard), now.records, "after {after}");
    }
}

pub(super) async fn watch_in_the_future_is_refused(store: Arc<dyn Store>) {
    let newest = write(&store, vec![put("/a/x", "one")]).await;
    let error = match store.watch("/a/", Revision(newest.0 + 1)) {
        Err(error) => Some(error),
        Ok(mut watch) => watch.next().await.and_then(Result::err),
    };
    assert!(matches!(error, Some(Error::Future { .. })), "{error:?}");
}

pub(super) async fn reached_waits_for_the_revision(store: Arc<dyn Store>) {
    let newest = write(&store, vec![put("/a/x", "one")]).await;
    store.reached(newest).await;
    let awaited = Revision(newest.0 + 2);
    let mut waiting = store.reached(awaited);
    while store.revision() < awaited {
        assert!((&mut waiting).now_or_never().is_none());
        write(&store, vec![put("/a/x", "two")]).await;
    }
    waiting.await;
}

pub(super) async fn change_seen_by_a_watcher_is_seen_by_readers(store: Arc<dyn Store>) {
    let mut watch = store.watch("/a/", store.revision()).expect("the revision is known");
    let writer = async {
        for n in 0..100 {
            write(&store, vec![put("/a/x", &n.to_string())]).await;
        }
    };
    let reader = async {
        let mut heard = 0;
        while heard < 100 {
            let batch = watch.next().await.expect("the watch goes on").expect("the watch does not fail");
            heard += batch.len();
            let newest = batch.last().expect("a batch is never empty").revision;
            assert!(get(&store, "/a/x").await.expect("it exists").modified >= newest);
            assert!(store.revision() >= newest);
        }
    };
    futures::join!(writer, reader);
}

/// Bookmarks rest on this: a server reads the revision, finds the watch idle, and tells its client that revision.
pub(super) async fn revision_read_before_an_idle_watch_is_delivered(store: Arc<dyn Store>) {
    let mut watch = store.watch("/a/", store.revision()).expect("the revision is known");
    let writer = async {
        for n in 0..200 {
            write(&store, vec![put(&format!("/a/{n}"), "one")]).await;
        }
    };
    let reader = async {
        let mut delivered = Revision(0);
        let mut heard = 0;
        while heard < 200 {
            let revision = store.revision();
            match watch.next().now_or_never() {
                Some(batch) => {
                    let batch = batch.expect("the watch goes on").expect("the watch does not fail");
                    heard += batch.len();
                    delivered = batch.last().expect("a batch is never empty").revision;
                }
                None if heard > 0 => assert!(delivered >= revision, "{revision} was visible, {delivered} delivered"),
                None => {}
            }
            tokio::task::yield_now().await;
        }
    };
    futures::join!(writer, reader);
}

pub(super) async fn many_watchers_hear_the_same(store: Arc<dyn Store>) {
    let start = store.revision();
    let mut watches: Vec<_> = (0..100).map(|_| store.watch("/a/", start).expect("the revision is known")).collect();
    let writer = async {
        for n in 0..50 {
            write(&store, vec![put(&format!("/a/{n}"), "one")]).await;
        }
    };
    let readers = join_all(watches.iter_mut().map(|watch| take(watch, 50)));
    let ((), heard) = futures::join!(writer, readers);
    for changes in &heard {
        assert_eq!(changes, &heard[0]);
    }
}
