//! Which epoch etcd's revisions are of: one key, which only a restore writes.
//!
//! Invariant: nobody serves from an etcd into which a restore goes on, or was interrupted, nor writes into one that was restored since
//! it was opened: every transaction compares the key.

use super::{
    client::Client,
    fault::Fault,
    keyspace::{Epoch, Keyspace},
    wire::{Compare, Expected, PutRequest, RangeRequest, Request, RequestOp, TxnRequest},
};

/// The key's value until all is there.
const RESTORING: &str = "restoring";

/// What the key says.
///
/// Errors: [`Fault::Restoring`] while that is going on.
pub(super) async fn read(client: &Client, keyspace: &Keyspace) -> Result<Epoch, Fault> {
    let key = keyspace.epoch_key.clone().into_bytes();
    let request = RangeRequest { key, range_end: Vec::new(), limit: 1, revision: 0, keys_only: false };
    let Some(kv) = client.range(request).await?.kvs.pop() else { return Ok(Epoch::default()) };
    if kv.value == RESTORING.as_bytes() {
        return Err(Fault::Restoring);
    }
    let number = String::from_utf8(kv.value).ok().and_then(|text| text.parse().ok());
    Ok(Epoch { number: number.ok_or(Fault::Malformed { what: "epoch" })?, written: kv.mod_revision })
}

/// Makes sure that revisions mean what this process thinks.
pub(super) async fn check(client: &Client, keyspace: &Keyspace) -> Result<(), Fault> {
    match read(client, keyspace).await? {
        epoch if epoch == keyspace.epoch() => Ok(()),
        _ => Err(Fault::AnotherEpoch),
    }
}

/// What every write depends on.
pub(super) fn holds(keyspace: &Keyspace) -> Compare {
    Compare::new(keyspace.epoch_key.clone().into_bytes(), Expected::ModRevision(keyspace.epoch().written))
}

/// A restore that began: the revision at which it wrote the key.
#[derive(Clone, Copy)]
pub(super) struct Claim(i64);

/// Begins a restore where there was none and no other began meanwhile.
pub(super) async fn claim(client: &Client, keyspace: &Keyspace) -> Result<Claim, Fault> {
    let request = TxnRequest {
        compare: vec![Compare::new(keyspace.epoch_key.clone().into_bytes(), Expected::Version(0))],
        success: vec![write(keyspace, RESTORING)],
        failure: Vec::new(),
    };
    let response = client.transact(request).await?;
    if !response.succeeded {
        return Err(Fault::Disturbed);
    }
    Ok(Claim(response.header.ok_or(Fault::Malformed { what: "header" })?.revision))
}

impl Claim {
    /// What a write of this restore depends on.
    pub(super) fn holds(self, keyspace: &Keyspace) -> Compare {
        Compare::new(keyspace.epoch_key.clone().into_bytes(), Expected::ModRevision(self.0))
    }

    /// Ends the restore: the epoch begins.
    pub(super) async fn complete(self, client: &Client, keyspace: &Keyspace, epoch: u64) -> Result<(), Fault> {
        let success = vec![write(keyspace, &epoch.to_string())];
        let request = TxnRequest { compare: vec![self.holds(keyspace)], success, failure: Vec::new() };
        if client.transact(request).await?.succeeded { Ok(()) } else { Err(Fault::Disturbed) }
    }
}

fn write(keyspace: &Keyspace, value: &str) -> RequestOp {
    let (key, value) = (keyspace.epoch_key.clone().into_bytes(), value.into());
    RequestOp { request: Some(Request::Put(PutRequest { key, value })) }
}
