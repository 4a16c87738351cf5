//! The embedded store as a program uses it: closed, opened, killed, limited, compared with a map.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this whole crate is tests; the lints know only functions marked as such"
)]

mod backup;
mod compaction;
mod crash;
mod files;
mod property;
mod restart;

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use essaim_store::{Embedded, Error, Key, ListRequest, Mutation, Options, Page, Revision, Store as _, Transaction};

fn open(directory: &Path, options: Options) -> Arc<Embedded> {
    Embedded::open(directory.join("store.redb"), options).unwrap()
}

fn put(path: &str, value: impl Into<Bytes>) -> Mutation {
    Mutation::Put(Key::new(path), value.into())
}

fn delete(path: &str) -> Mutation {
    Mutation::Delete(Key::new(path))
}

async fn write(store: &Embedded, mutations: Vec<Mutation>) -> Revision {
    let committed = store.commit(Transaction { preconditions: vec![], mutations }).await.unwrap();
    committed.revisions.into_iter().flatten().last().unwrap()
}

async fn list(store: &Embedded, prefix: &str, at: Option<Revision>) -> Result<Page, Error> {
    store.list(ListRequest { prefix: prefix.to_owned(), start: None, limit: 0, at }).await
}

/// Waits for a condition, with a limit.
async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited in vain: {what}");
}
