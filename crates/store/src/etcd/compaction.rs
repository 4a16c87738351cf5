//! Makes etcd forget old revisions, once however many processes try.
//!
//! As Kubernetes does it: all processes race to write one key at the end of each interval. The winner lets etcd forget up
//! to the revision that was the newest one interval ago; the losers learn the key's new version and race again later.

use std::{sync::Arc, time::Duration};

use super::{
    client::Client,
    fault::Fault,
    keyspace::Keyspace,
    wire::{CompactionRequest, Compare, Expected, PutRequest, RangeRequest, Request, RequestOp, Response, TxnRequest},
};

/// What a process knows of the race.
#[derive(Clone, Copy, Default)]
struct Race {
    /// How often the key was written; 0 before it ever was.
    version: i64,
    /// Etcd's newest revision when the last round was over.
    then: Option<i64>,
}

/// Runs until it is dropped.
pub(super) async fn run(client: Arc<Client>, keyspace: Arc<Keyspace>, every: Duration) {
    let mut race = Race::default();
    loop {
        tokio::time::sleep(every).await;
        match round(&client, &keyspace, race).await {
            Ok(next) => race = next,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot compact etcd; trying again later");
            }
        }
    }
}

async fn round(client: &Client, keyspace: &Keyspace, race: Race) -> Result<Race, Fault> {
    let key = keyspace.compaction.clone().into_bytes();
    let value = race.then.unwrap_or_default().to_string().into_bytes();
    let range = RangeRequest { key: key.clone(), range_end: Vec::new(), limit: 0, revision: 0, keys_only: true };
    let response = client
        .transact(TxnRequest {
            compare: vec![Compare::new(key.clone(), Expected::Version(race.version))],
            success: vec![RequestOp { request: Some(Request::Put(PutRequest { key, value })) }],
            failure: vec![RequestOp { request: Some(Request::Range(range)) }],
        })
        .await?;
    let now = response.header.ok_or(Fault::Malformed { what: "header" })?.revision;
    if !response.succeeded {
        let found = response.responses.into_iter().find_map(|step| match step.response {
            Some(Response::Range(range)) => Some(range.kvs.first().map_or(0, |kv| kv.version)),
            _ => None,
        });
        return Ok(Race { version: found.ok_or(Fault::Malformed { what: "range" })?, then: Some(now) });
    }
    if let Some(then) = race.then {
        forget(client, then).await?;
    }
    Ok(Race { version: race.version + 1, then: Some(now) })
}

async fn forget(client: &Client, then: i64) -> Result<(), Fault> {
    match client.compact(CompactionRequest { revision: then }).await {
        Ok(_) => {
            tracing::debug!(revision = then, "compacted etcd");
            Ok(())
        }
        // Somebody else did, with etcd's own means.
        Err(Fault::Refused(status)) if status.code() == tonic::Code::OutOfRange => Ok(()),
        Err(fault) => Err(fault),
    }
}
