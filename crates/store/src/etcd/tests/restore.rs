//! Backups of a store in etcd, and restores into one, whose revisions nobody can set.

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt as _;

use super::{Server, commit, key, list, open, put, wait_until, within, write};
use crate::{
    Backup, BackupError, Contents, Embedded, Engine, Error, Etcd, EtcdOptions, Key, ListRequest, Options, Precondition,
    Reader, Record, RestoreError, Retention, Revision, Store as _, check_backup, conformance, revision_after,
};

const NOW: u64 = 1_700_000_000_000;

async fn back_up(store: &dyn Engine) -> Vec<u8> {
    Backup::new(store.moment().await.unwrap(), store.identity(), NOW).flatten().collect()
}

fn contents(backup: &[u8]) -> Contents {
    check_backup(backup, |_| Ok::<_, BackupError>(())).unwrap()
}

async fn restore(backup: &[u8], options: EtcdOptions) -> Result<(), RestoreError> {
    let contents = contents(backup);
    let behind = revision_after(&contents, NOW);
    Etcd::restore(options, Reader::new(backup), &contents, behind, &["/registry/first/".to_owned()]).await
}

fn values(records: &[Record]) -> BTreeMap<Key, bytes::Bytes> {
    records.iter().map(|record| (record.key.clone(), record.value.clone())).collect()
}

/// A backup of nothing, so that a store begins in an epoch of its own.
async fn nothing() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path().join("store.redb"), Options::default()).unwrap();
    back_up(&*store).await
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_etcd_store_conforms() {
    let server = Server::start();
    let backup = nothing().await;
    conformance::run(async || {
        server.empty().await;
        let retention = Retention { events: conformance::KEPT, ..Retention::default() };
        let options = EtcdOptions { prefix: String::new(), retention, ..server.options() };
        restore(&backup, options.clone()).await.unwrap();
        let store = open(options).await;
        assert!(store.revision() > revision_after(&contents(&backup), NOW));
        store as Arc<dyn crate::Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_moves_from_one_engine_to_the_other_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.empty().await;
    let embedded = Embedded::open(directory.path().join("store.redb"), Options::default()).unwrap();
    for n in (0..300).rev() {
        let (shared, ordered) = (format!("a/{n:03}"), format!("first/{n:03}"));
        let mutations = vec![put(&shared, &"v".repeat(n * 20)), put(&ordered, &n.to_string())];
        embedded.commit(crate::Transaction { preconditions: vec![], mutations }).await.unwrap();
    }
    let request = ListRequest { prefix: "/registry/".to_owned(), start: None, limit: 0, at: None };
    let before = embedded.list(request.clone()).await.unwrap();
    restore(&back_up(&*embedded).await, server.options()).await.unwrap();
    let store = open(server.options()).await;
    let there = list(&store).await;
    assert_eq!(values(&there.records), values(&before.records));
    let mut ordered: Vec<_> = there.records.iter().filter(|record| record.key.as_str().contains("first")).collect();
    ordered.sort_by_key(|record| record.created);
    let texts: Vec<_> = ordered.iter().map(|record| record.key.as_str().to_owned()).collect();
    assert!(texts.is_sorted_by(|one, next| one > next), "the order of creation is kept");

    write(&store, vec![put("a/later", "x")]).await;
    let path = directory.path().join("back.redb");
    let backup = back_up(&*store).await;
    let contents = contents(&backup);
    assert_eq!(contents.store, store.id());
    Embedded::restore(&path, Reader::new(&backup[..]), &contents, revision_after(&contents, NOW)).unwrap();
    let back = Embedded::open(&path, Options::default()).unwrap();
    assert!(back.revision() > store.revision());
    let newest = list(&store).await;
    assert_eq!(newest.records.len(), 601);
    assert_eq!(values(&back.list(request).await.unwrap().records), values(&newest.records));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_revision_from_before_means_anything_after() {
    let (server, other) = (Server::start(), Server::start());
    other.empty().await;
    let store = open(server.options()).await;
    let first = write(&store, vec![put("a/x", "one")]).await;
    let backup = back_up(&*store).await;
    // The etcd that is restored into is young: its own revisions were all told by the one before.
    let mut told = vec![first];
    for n in 0..20 {
        told.push(write(&store, vec![put("a/x", &n.to_string())]).await);
    }
    restore(&backup, other.options()).await.unwrap();
    let store = open(other.options()).await;
    for old in told {
        assert!(matches!(store.watch("/registry/", old), Err(Error::Compacted { .. })), "a watch after {old}");
        let request = ListRequest { prefix: "/registry/".to_owned(), start: None, limit: 0, at: Some(old) };
        assert!(matches!(store.list(request).await, Err(Error::Compacted { .. })), "a list at {old}");
        let update = commit(&store, vec![Precondition::ModifiedAt(key("a/x"), old)], vec![put("a/x", "late")]).await;
        assert!(matches!(update, Err(Error::Conflict { .. })), "an update of what was read at {old}: {update:?}");
    }
    let page = list(&store).await;
    let next =
        commit(&store, vec![Precondition::ModifiedAt(key("a/x"), page.records[0].modified)], vec![put("a/x", "two")]);
    let next = next.await.unwrap();
    drop(store);
    let store = open(other.options()).await;
    assert_eq!(list(&store).await.records[0].modified, next, "the epoch outlives the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_restore_is_never_served() {
    let server = Server::start();
    server.empty().await;
    let directory = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(directory.path().join("store.redb"), Options::default()).unwrap();
    for n in 0..400 {
        let mutations = vec![put(&format!("a/{n}"), &"v".repeat(2_000))];
        embedded.commit(crate::Transaction { preconditions: vec![], mutations }).await.unwrap();
    }
    let backup = back_up(&*embedded).await;
    let contents = contents(&backup);
    let behind = revision_after(&contents, NOW);
    let cut = Reader::new(&backup[..backup.len() / 2]);
    let refused = Etcd::restore(server.options(), cut, &contents, behind, &[]).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Backup(BackupError::Cut { .. })), "{refused:?}");

    let Err(refused) = Etcd::open(server.options()).await else { panic!("half a store was opened") };
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("did not end: remove all keys"), "{why}");
    let again = restore(&backup, server.options()).await.unwrap_err();
    assert!(matches!(&again, RestoreError::Occupied { what, .. } if what.contains("interrupted")), "{again:?}");

    server.empty().await;
    restore(&backup, server.options()).await.unwrap();
    assert_eq!(list(&*open(server.options()).await).await.records.len(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_not_touched() {
    let server = Server::start();
    let store = open(server.options()).await;
    write(&store, vec![put("a/x", "one")]).await;
    let before = list(&store).await;
    let refused = restore(&nothing().await, server.options()).await.unwrap_err();
    assert!(matches!(&refused, RestoreError::Occupied { what, .. } if what.contains("1 keys")), "{refused:?}");
    assert_eq!(list(&*open(server.options()).await).await.records, before.records);
    // A second restore would give revisions that the first may have told.
    server.empty().await;
    restore(&nothing().await, server.options()).await.unwrap();
    let refused = restore(&nothing().await, server.options()).await.unwrap_err();
    assert!(matches!(&refused, RestoreError::Occupied { what, .. } if what.contains("earlier restore")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn process_that_was_not_stopped_does_not_serve_another_epoch() {
    let server = Server::start();
    let store = open(server.options()).await;
    let mut watch = store.watch("a/", store.revision()).unwrap();
    restore(&nothing().await, server.options()).await.unwrap();
    wait_until("the restore is noticed", async || store.health().is_err()).await;
    let read = within("a read is answered", store.get(&key("a/x"))).await;
    assert!(matches!(read, Err(Error::Engine { .. })), "{read:?}");
    // It neither writes what would suit any state, nor keeps anybody waiting, nor tells of the past.
    let written = commit(&store, vec![Precondition::Absent(key("a/new"))], vec![put("a/new", "")]).await;
    assert!(written.is_err(), "{written:?}");
    assert!(matches!(within("the watch ends", watch.next()).await, None | Some(Err(_))));
    let old = ListRequest { prefix: "a/".into(), start: None, limit: 0, at: Some(store.revision()) };
    assert!(store.list(old).await.is_err());
    assert!(open(server.options()).await.revision() > Revision(NOW * 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_while_writers_run_are_each_of_one_moment() {
    let server = Server::start();
    let (store, other) = (open(server.options()).await, open(server.options()).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..2 {
        let store = other.clone();
        writers.spawn(async move {
            for n in 0_u64.. {
                let (left, right) = (format!("a/{writer}"), format!("z/{writer}"));
                write(&store, vec![put(&left, &n.to_string()), put(&right, &n.to_string())]).await;
            }
        });
    }
    wait_until("writers write", async || list(&store).await.records.len() == 4).await;
    for _ in 0..50 {
        let mut halves = Vec::new();
        let looked = check_backup(&back_up(&*store).await[..], |record| {
            halves.push(record.value.clone());
            Ok::<_, BackupError>(())
        });
        assert_eq!((looked.unwrap().objects, &halves[..2]), (4, &halves[2..]));
    }
}
