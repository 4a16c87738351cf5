//! Reads everything under the prefix, as it is at one revision.
//!
//! That revision lies in the past when a store is opened: at the oldest that etcd still knows. The watch then tells what
//! happened since, so that clients of a process that was started again go on where they were.

use std::sync::Arc;

use bytes::Bytes;
use imbl::Vector;
use tonic::Code;

use super::{
    client::Client,
    epoch,
    fault::Fault,
    keyspace::{Keyspace, Place},
    wire::{KeyValue, RangeRequest},
};
use crate::{
    memory::{Objects, Picture},
    model::{Key, Record, Revision},
};

/// So many objects are read at a time, as Kubernetes does.
const PAGE: i64 = 500;

/// What was found.
pub(super) struct Loaded {
    /// Without history: its log is empty.
    pub(super) picture: Picture,
    /// The picture is not the newest before it has arrived here.
    pub(super) newest: Revision,
    pub(super) cluster: u64,
}

/// Reads all objects as they are.
///
/// The revision is made first, by a write of our own: it belongs to this prefix, so that every other process reaches it,
/// also when nothing but something foreign is written to etcd for a long time.
pub(super) async fn newest(client: &Client, keyspace: &Keyspace) -> Result<Loaded, Fault> {
    epoch::check(client, keyspace).await?;
    let newest = keyspace.revision(client.touch(&keyspace.fence).await?);
    at(client, keyspace, newest, newest).await
}

/// Reads all objects as they were when etcd was last compacted, if it says when that was, and else as they are.
pub(super) async fn oldest(client: &Client, keyspace: &Keyspace) -> Result<Loaded, Fault> {
    let key = keyspace.compaction.clone().into_bytes();
    let request = RangeRequest { key, range_end: Vec::new(), limit: 1, revision: 0, keys_only: false };
    let told = client.range(request).await?.kvs.pop().and_then(|kv| String::from_utf8(kv.value).ok()?.parse().ok());
    let Some(oldest) = told.filter(|oldest| *oldest > 0).map(|oldest| keyspace.revision(oldest)) else {
        return self::newest(client, keyspace).await;
    };
    let newest = keyspace.revision(client.touch(&keyspace.fence).await?);
    match at(client, keyspace, oldest, newest).await {
        // Compacted further meanwhile, or it is told of a time before etcd was restored.
        Err(Fault::Refused(status)) if status.code() == Code::OutOfRange => self::newest(client, keyspace).await,
        outcome => outcome,
    }
}

async fn at(client: &Client, keyspace: &Keyspace, then: Revision, newest: Revision) -> Result<Loaded, Fault> {
    let (mut key, range_end) = keyspace.range();
    let (mut objects, mut cluster) = (Objects::default(), 0);
    loop {
        let range_end = range_end.clone();
        let request = RangeRequest { key, range_end, limit: PAGE, revision: keyspace.number(then), keys_only: false };
        let page = client.range(request).await?;
        cluster = page.header.map_or(cluster, |header| header.cluster_id);
        let last = page.kvs.last().map(|kv| kv.key.clone());
        let records = page.kvs.into_iter().filter_map(|kv| match keyspace.place(&kv.key) {
            Place::Object(key) => Some((key.clone(), Arc::new(record(keyspace, key, kv)))),
            Place::Other => None,
        });
        objects.extend(records);
        let Some(last) = last.filter(|_| page.more) else { break };
        key = last;
        key.push(0);
    }
    Ok(Loaded { picture: Picture::restore(objects, Vector::new(), then, then), newest, cluster })
}

/// A record of the store, from one of etcd.
pub(super) fn record(keyspace: &Keyspace, key: Key, kv: KeyValue) -> Record {
    let (created, modified) = (keyspace.revision(kv.create_revision), keyspace.revision(kv.mod_revision));
    Record { key, value: Bytes::from(kv.value), created, modified }
}
