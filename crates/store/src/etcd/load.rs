//! Reads everything under the prefix, as it is at one revision.

use std::sync::Arc;

use bytes::Bytes;
use imbl::Vector;

use super::{
    client::{Client, number, revision},
    fault::Fault,
    keyspace::{Keyspace, Place},
    wire::{KeyValue, RangeRequest},
};
use crate::{
    memory::{Objects, Picture},
    model::{Key, Record},
};

/// So many objects are read at a time, as Kubernetes does.
const PAGE: i64 = 500;

/// What was found.
pub(super) struct Loaded {
    /// Without history: its log is empty.
    pub(super) picture: Picture,
    pub(super) cluster: u64,
}

/// Reads all objects.
///
/// The revision is made first, by a write of our own: it belongs to this prefix, so that every other process reaches it,
/// also when nothing but something foreign is written to etcd for a long time.
pub(super) async fn load(client: &Client, keyspace: &Keyspace) -> Result<Loaded, Fault> {
    let at = client.touch(&keyspace.fence).await?;
    let (mut key, range_end) = keyspace.range();
    let (mut objects, mut cluster) = (Objects::default(), 0);
    loop {
        let range_end = range_end.clone();
        let request = RangeRequest { key, range_end, limit: PAGE, revision: number(at), keys_only: false };
        let page = client.range(request).await?;
        cluster = page.header.map_or(cluster, |header| header.cluster_id);
        let last = page.kvs.last().map(|kv| kv.key.clone());
        let records = page.kvs.into_iter().filter_map(|kv| match keyspace.place(&kv.key) {
            Place::Object(key) => Some((key.clone(), Arc::new(record(key, kv)))),
            Place::Other => None,
        });
        objects.extend(records);
        let Some(last) = last.filter(|_| page.more) else { break };
        key = last;
        key.push(0);
    }
    Ok(Loaded { picture: Picture::restore(objects, Vector::new(), at, at), cluster })
}

/// A record of the store, from one of etcd.
pub(super) fn record(key: Key, kv: KeyValue) -> Record {
    let (created, modified) = (revision(kv.create_revision), revision(kv.mod_revision));
    Record { key, value: Bytes::from(kv.value), created, modified }
}
