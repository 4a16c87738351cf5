//! A backup while writers run, and what is restored from it.

use std::{fs, io::Write as _, path::Path, sync::Arc};

use essaim_store::{
    Backup, BackupError, Contents, Embedded, Engine as _, Error, Key, ListRequest, Options, Page, Precondition, Reader,
    Record, RestoreError, Revision, Store as _, Transaction, check_backup, revision_after,
};
use futures::StreamExt as _;

use crate::{delete, list, open, put, write};

const NOW: u64 = 1_700_000_000_000;

async fn back_up(store: &Arc<Embedded>) -> Vec<u8> {
    Backup::new(store.moment().await.unwrap(), store.identity(), NOW).flatten().collect()
}

fn contents(backup: &[u8]) -> Contents {
    check_backup(backup, |_| Ok::<_, BackupError>(())).unwrap()
}

fn restore(backup: &[u8], path: &Path) -> Result<(), RestoreError> {
    let contents = contents(backup);
    Embedded::restore(path, Reader::new(backup), &contents, revision_after(&contents, NOW))
}

/// Everything but the revisions, in the order of keys.
fn values(records: &[Record]) -> Vec<(Key, bytes::Bytes)> {
    records.iter().map(|record| (record.key.clone(), record.value.clone())).collect()
}

/// The order in which records were created, and that in which they were changed.
fn orders(records: &[Record]) -> [Vec<Key>; 2] {
    let by = |revision: fn(&Record) -> Revision| {
        let mut records = records.to_vec();
        records.sort_by_key(revision);
        records.into_iter().map(|record| record.key).collect()
    };
    [by(|record| record.created), by(|record| record.modified)]
}

/// A store in which keys were created, changed and deleted without pattern.
async fn eventful(directory: &Path) -> Arc<Embedded> {
    let store = open(directory, Options::default());
    let mut state = 12_345_u64;
    for _ in 0..800 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let path = format!("/{}/{:02}", if state >> 40 & 1 == 0 { "a" } else { "b" }, (state >> 33) % 60);
        let change = if (state >> 50).is_multiple_of(4) {
            delete(&path)
        } else {
            put(&path, vec![b'v'; (state >> 20) as usize % 3_000])
        };
        store.commit(Transaction { preconditions: vec![], mutations: vec![change] }).await.unwrap();
    }
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_store_is_the_moment_of_the_backup() {
    let directory = tempfile::tempdir().unwrap();
    let store = eventful(directory.path()).await;
    let before = list(&store, "", None).await.unwrap();
    let moment = store.moment().await.unwrap();
    // Half of it is taken before everything changes.
    let mut backup = Backup::new(moment, store.identity(), NOW);
    let mut file = backup.next().unwrap().to_vec();
    for n in 0..60 {
        write(&store, vec![put(&format!("/a/{n:02}"), "later"), delete(&format!("/b/{n:02}")), put("/c/new", "later")])
            .await;
    }
    backup.for_each(|block| file.extend_from_slice(&block));
    assert_eq!(contents(&file).store, store.id());

    let target = directory.path().join("restored/store.redb");
    fs::create_dir(target.parent().unwrap()).unwrap();
    restore(&file, &target).unwrap();
    assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    let restored = Embedded::open(&target, Options::default()).unwrap();
    let after = list(&restored, "", None).await.unwrap();
    assert!(!after.records.is_empty());
    assert_eq!(values(&after.records), values(&before.records));
    assert_eq!(orders(&after.records), orders(&before.records), "what was first is still first");
    assert_ne!(restored.id(), store.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_while_writers_run_are_each_of_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options::default());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (store, stop) = (store.clone(), stop.clone());
        writers.spawn(async move {
            for n in 0_u64.. {
                // Both halves change together, so a picture that tears them apart shows.
                let value = format!("{n:>2000}");
                let halves = vec![put(&format!("/a/{writer}"), value.clone()), put(&format!("/z/{writer}"), value)];
                write(&store, halves).await;
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
        });
    }
    for _ in 0..40 {
        let file = back_up(&store).await;
        let mut records = Vec::new();
        let contents = check_backup(&file[..], |record| {
            records.push(record.clone());
            Ok::<_, BackupError>(())
        });
        let revision = contents.unwrap().revision;
        let page = store.list(ListRequest { prefix: String::new(), start: None, limit: 0, at: Some(revision) }).await;
        assert_eq!(page.unwrap().records, records, "as a list of that revision");
        let halves: Vec<_> = records.iter().map(|record| &record.value).collect();
        let (left, right) = halves.split_at(halves.len() / 2);
        assert_eq!(left, right);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writers.join_all().await;
}

#[tokio::test]
async fn no_revision_from_before_means_anything_after() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options::default());
    let first = write(&store, vec![put("/a/x", "one")]).await;
    let file = back_up(&store).await;
    // Clients remember these as well, although the backup does not know them.
    let lost = write(&store, vec![put("/a/x", "two"), put("/a/y", "three")]).await;
    let target = directory.path().join("restored.redb");
    restore(&file, &target).unwrap();
    let restored = Embedded::open(&target, Options::default()).unwrap();

    for old in [Revision(0), first, lost] {
        let watch = restored.watch("/a/", old);
        let refused = match watch {
            Ok(mut watch) => watch.next().await.unwrap().err(),
            Err(error) => Some(error),
        };
        assert!(matches!(refused, Some(Error::Compacted { .. })), "a watch after {old}: {refused:?}");
        let page = list(&restored, "/a/", Some(old)).await;
        assert!(matches!(page, Err(Error::Compacted { .. })), "a list at {old}: {page:?}");
        let preconditions = vec![Precondition::ModifiedAt(Key::new("/a/x"), old)];
        let update = restored.commit(Transaction { preconditions, mutations: vec![put("/a/x", "late")] }).await;
        assert!(matches!(update, Err(Error::Conflict { .. })), "an update of what was read at {old}: {update:?}");
    }
    let Page { records, revision, .. } = list(&restored, "/a/", None).await.unwrap();
    assert_eq!(&records[0].value[..], b"one");
    assert!(records[0].created > lost && records[0].modified <= revision);
    let mut watch = restored.watch("/a/", revision).unwrap();
    let next = write(&restored, vec![put("/a/x", "four")]).await;
    assert_eq!(next, Revision(revision.0 + 1));
    let heard = watch.next().await.unwrap().unwrap();
    assert_eq!((heard[0].revision, &heard[0].previous), (next, &Some(records[0].clone())));
    // And so it is after the next start.
    drop(watch);
    drop(restored);
    let restored = Embedded::open(&target, Options::default()).unwrap();
    assert!(matches!(list(&restored, "/a/", Some(lost)).await, Err(Error::Compacted { .. })));
    assert_eq!(restored.revision(), next);
}

#[tokio::test]
async fn what_is_there_is_not_replaced_and_what_is_broken_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options::default());
    write(&store, vec![put("/a/x", "one")]).await;
    let file = back_up(&store).await;
    drop(store);
    let path = directory.path().join("store.redb");
    let before = fs::read(&path).unwrap();
    let refused = restore(&file, &path).unwrap_err();
    assert!(matches!(refused, RestoreError::Occupied { .. }), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let target = directory.path().join("restored.redb");
    let contents = contents(&file);
    for length in 0..file.len() {
        let newest = revision_after(&contents, NOW);
        let refused = Embedded::restore(&target, Reader::new(&file[..length]), &contents, newest);
        assert!(matches!(refused, Err(RestoreError::Backup(BackupError::Cut { .. }))), "{length}: {refused:?}");
        assert!(!target.exists(), "cut at {length}");
        let left = directory.path().join("restored.redb.restoring");
        assert!(Embedded::open(&left, Options::default()).is_err(), "what is left is no store");
    }
    // What the attempts left goes, and a file without bytes is nothing.
    fs::File::create(&target).unwrap().flush().unwrap();
    restore(&file, &target).unwrap();
    assert!(!directory.path().join("restored.redb.restoring").exists());
    assert_eq!(list(&open_at(&target), "", None).await.unwrap().records.len(), 1);
}

fn open_at(path: &Path) -> Arc<Embedded> {
    Embedded::open(path, Options::default()).unwrap()
}
