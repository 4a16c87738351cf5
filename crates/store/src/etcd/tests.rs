//! The engine against the suite that all engines share, and against what only etcd, or its loss, can do to it.

mod limits;
mod outages;
mod proxy;
mod restore;
mod server;
mod several;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;

use self::server::Server;
use super::{Etcd, EtcdOptions};
use crate::{
    Change, Error, Key, ListRequest, Mutation, Page, Precondition, Retention, Revision, Store, Transaction, Watch,
    conformance,
};

/// Nothing in here takes long; what never comes must still end.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn etcd_store_conforms() {
    let server = Server::start();
    conformance::run(async || {
        server.empty().await;
        let retention = Retention { events: conformance::KEPT, ..Retention::default() };
        let store: Arc<dyn Store> = open(EtcdOptions { prefix: String::new(), retention, ..server.options() }).await;
        store
    })
    .await;
}

/// Opens a store as soon as its etcd answers.
async fn open(options: EtcdOptions) -> Arc<Etcd> {
    within("etcd answers", async {
        loop {
            match Etcd::open(options.clone()).await {
                Ok(store) => return store,
                Err(Error::Engine { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("cannot open the store: {error}"),
            }
        }
    })
    .await
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// A revision as etcd numbers it, where nothing was ever restored.
fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap()
}

fn key(path: &str) -> Key {
    Key::new(format!("/registry/{path}"))
}

fn put(path: &str, value: &str) -> Mutation {
    Mutation::Put(key(path), Bytes::copy_from_slice(value.as_bytes()))
}

async fn commit(store: &Etcd, preconditions: Vec<Precondition>, mutations: Vec<Mutation>) -> Result<Revision, Error> {
    let committed = store.commit(Transaction { preconditions, mutations }).await?;
    Ok(committed.revisions.into_iter().flatten().last().expect("it changes something"))
}

async fn write(store: &Etcd, mutations: Vec<Mutation>) -> Revision {
    commit(store, vec![], mutations).await.unwrap()
}

async fn get(store: &Etcd, path: &str) -> Option<String> {
    let record = store.get(&key(path)).await.unwrap().0;
    record.map(|record| String::from_utf8(record.value.to_vec()).unwrap())
}

async fn list(store: &Etcd) -> Page {
    store.list(ListRequest { prefix: "/registry/".to_owned(), start: None, limit: 0, at: None }).await.unwrap()
}

/// What a watch tells, up to the first change of a key.
async fn hear_until(watch: &mut Watch, last: &Key) -> Vec<Arc<Change>> {
    within("the last change is heard", async {
        let mut heard: Vec<Arc<Change>> = Vec::new();
        while heard.last().is_none_or(|change| change.key != *last) {
            heard.extend(watch.next().await.expect("the watch goes on").expect("the watch does not fail"));
        }
        heard
    })
    .await
}
