//! Sealing must be invisible to whoever has the key, and total to whoever has not.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::StreamExt as _;

use super::{Sealed, SealingKey};
use crate::{
    Embedded, Error, Key, ListRequest, Mutation, Options, Retention, Revision, Store, Transaction, conformance,
};

const PREFIX: &str = "/registry/core/secrets/";
const PLAIN: &str = "a-word-that-nobody-may-find";

fn key(number: u8) -> SealingKey {
    SealingKey::new(&[number; 32])
}

fn embedded(directory: &Path) -> Arc<Embedded> {
    let retention = Retention { events: conformance::KEPT, ..Retention::default() };
    Embedded::open(directory.join("store.redb"), Options { retention, ..Options::default() }).unwrap()
}

async fn sealed(inner: Arc<Embedded>, first: u8, older: &[u8]) -> Result<Sealed, Error> {
    let older = older.iter().map(|number| key(*number)).collect();
    Sealed::open(inner, key(first), older, vec![PREFIX.to_owned()]).await
}

async fn put(store: &dyn Store, path: &str, value: impl Into<Bytes>) {
    let mutations = vec![Mutation::Put(Key::new(path), value.into())];
    store.commit(Transaction { preconditions: Vec::new(), mutations }).await.unwrap();
}

async fn get(store: &dyn Store, path: &str) -> Result<Bytes, Error> {
    Ok(store.get(&Key::new(path)).await?.0.unwrap().value)
}

fn everything() -> ListRequest {
    ListRequest { prefix: PREFIX.into(), start: None, limit: 0, at: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_store_conforms() {
    let directories = Mutex::new(Vec::new());
    conformance::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let inner = embedded(directory.path());
        directories.lock().unwrap().push(directory);
        let store: Arc<dyn Store> =
            Arc::new(Sealed::open(inner, key(1), Vec::new(), vec![String::new()]).await.unwrap());
        store
    })
    .await;
}

#[tokio::test]
async fn who_has_the_file_finds_nothing_and_who_has_the_key_everything() {
    let directory = tempfile::tempdir().unwrap();
    let inner = embedded(directory.path());
    let store = sealed(inner.clone(), 1, &[]).await.unwrap();
    let (secret, other) = (format!("{PREFIX}ns/a"), "/registry/core/configmaps/ns/a");
    put(&store, &secret, PLAIN).await;
    put(&store, &secret, format!("{PLAIN} again")).await;
    put(&store, other, "in the open").await;
    assert_eq!(get(&store, &secret).await.unwrap(), format!("{PLAIN} again"));
    assert_eq!(get(inner.as_ref(), other).await.unwrap(), "in the open");
    let changes = store.watch(PREFIX, Revision(0)).unwrap().next().await.unwrap().unwrap();
    let values: Vec<_> = changes.iter().map(|change| change.value.clone()).collect();
    assert_eq!(values, [PLAIN.to_owned(), format!("{PLAIN} again")]);
    assert_eq!(changes[1].previous.as_ref().unwrap().value, PLAIN);
    drop(store);
    inner.close();
    let file = std::fs::read(directory.path().join("store.redb")).unwrap();
    let has = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("in the open") && !has(PLAIN));
}

#[tokio::test]
async fn what_was_there_before_is_sealed_and_a_new_key_takes_over() {
    let directory = tempfile::tempdir().unwrap();
    let inner = embedded(directory.path());
    let path = format!("{PREFIX}ns/a");
    put(inner.as_ref(), &path, PLAIN).await;
    for (first, older) in [(1, vec![]), (2, vec![1]), (2, vec![])] {
        let store = sealed(inner.clone(), first, &older).await.unwrap();
        assert_eq!(get(&store, &path).await.unwrap(), PLAIN);
        assert!(store.seal.is_current(&get(inner.as_ref(), &path).await.unwrap()));
    }
    let before = inner.revision();
    sealed(inner.clone(), 2, &[]).await.unwrap();
    assert_eq!(inner.revision(), before, "what is sealed already is left alone");
}

#[tokio::test]
async fn another_key_a_moved_value_and_a_changed_one_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let inner = embedded(directory.path());
    let store = sealed(inner.clone(), 1, &[]).await.unwrap();
    let (path, elsewhere) = (format!("{PREFIX}ns/a"), format!("{PREFIX}ns/b"));
    put(&store, &path, PLAIN).await;
    assert!(sealed(inner.clone(), 2, &[]).await.is_err(), "a start without the key must not go on");
    let bytes = get(inner.as_ref(), &path).await.unwrap();
    put(inner.as_ref(), &elsewhere, bytes.clone()).await;
    assert!(get(&store, &elsewhere).await.is_err());
    assert!(store.list(everything()).await.is_err());
    for at in [10, 20, bytes.len() - 1] {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        put(inner.as_ref(), &elsewhere, changed).await;
        assert!(get(&store, &elsewhere).await.is_err(), "byte {at}");
    }
    put(inner.as_ref(), &elsewhere, bytes.slice(..11)).await;
    assert!(get(&store, &elsewhere).await.is_err());
}
