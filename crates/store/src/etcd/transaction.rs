//! A transaction of the store as one of etcd, and etcd's answer as one of the store.

use prost::Message as _;

use super::{
    fault::Fault,
    keyspace::Keyspace,
    load::record,
    wire::{
        Compare, DeleteRequest, Expected, PutRequest, RangeRequest, Request, RequestOp, Response, TxnRequest,
        TxnResponse,
    },
};
use crate::model::{Committed, Error, Key, Mutation, Precondition, Record, Transaction};

/// What etcd takes unless it is started with another `--max-txn-ops`: of preconditions, and of mutations.
const OPERATIONS: usize = 128;
/// One comparison is that of the epoch.
const PRECONDITIONS: usize = OPERATIONS - 1;
/// What etcd takes unless it is started with another `--max-request-bytes`, less what it adds itself.
const REQUEST_BYTES: usize = (3 << 19) - 1_024;

/// What etcd is asked: to compare, the epoch last, then to change, or else to show what stands in the way.
///
/// Errors: [`Error::Invalid`] or [`Error::TooLarge`] if etcd would refuse it, or a key is not this store's.
pub(super) fn request(transaction: &Transaction, keyspace: &Keyspace, epoch: Compare) -> Result<TxnRequest, Error> {
    let Transaction { preconditions, mutations } = transaction;
    if mutations.len() > OPERATIONS || preconditions.len() > PRECONDITIONS {
        let (m, p) = (mutations.len(), preconditions.len());
        return Err(Error::Invalid(format!(
            "{m} mutations and {p} preconditions; etcd takes {OPERATIONS} and {PRECONDITIONS}"
        )));
    }
    for key in preconditions.iter().map(guarded).chain(mutations.iter().map(mutated)) {
        keyspace.check(key)?;
    }
    let request = TxnRequest {
        compare: preconditions.iter().map(|precondition| compare(precondition, keyspace)).chain([epoch]).collect(),
        success: mutations.iter().map(change).collect(),
        failure: preconditions.iter().map(guarded).map(show).collect(),
    };
    match request.encoded_len() {
        bytes if bytes > REQUEST_BYTES => {
            Err(Error::TooLarge(format!("it takes {bytes} bytes; etcd takes {REQUEST_BYTES} in one request")))
        }
        _ => Ok(request),
    }
}

/// What became of it.
pub(super) fn answer(
    transaction: &Transaction,
    response: TxnResponse,
    keyspace: &Keyspace,
) -> Result<Committed, Error> {
    let malformed = |what| Fault::Malformed { what }.of_write();
    if !response.succeeded {
        return Err(conflict(transaction, response, keyspace).unwrap_or_else(|| Fault::AnotherEpoch.of_write()));
    }
    let at = keyspace.revision(response.header.ok_or_else(|| malformed("header"))?.revision);
    if response.responses.len() != transaction.mutations.len() {
        return Err(malformed("steps"));
    }
    let found_nothing =
        |response: &Option<Response>| matches!(response, Some(Response::Delete(gone)) if gone.deleted == 0);
    let revisions = response.responses.iter().map(|step| (!found_nothing(&step.response)).then_some(at)).collect();
    Ok(Committed { revisions })
}

/// The first precondition that does not hold, with what stands there.
fn conflict(transaction: &Transaction, response: TxnResponse, keyspace: &Keyspace) -> Option<Error> {
    transaction.preconditions.iter().zip(response.responses).find_map(|(precondition, step)| {
        let Some(Response::Range(range)) = step.response else { return None };
        let key = guarded(precondition);
        let current: Option<Record> = range.kvs.into_iter().next().map(|kv| record(keyspace, key.clone(), kv));
        let expected = match precondition {
            Precondition::Absent(_) => None,
            Precondition::ModifiedAt(_, revision) => Some(*revision),
        };
        let holds = current.as_ref().map(|record| record.modified) == expected;
        (!holds).then(|| Error::Conflict { key: key.clone(), current: current.map(Box::new) })
    })
}

fn guarded(precondition: &Precondition) -> &Key {
    match precondition {
        Precondition::Absent(key) | Precondition::ModifiedAt(key, _) => key,
    }
}

fn mutated(mutation: &Mutation) -> &Key {
    match mutation {
        Mutation::Put(key, _) | Mutation::Delete(key) => key,
    }
}

fn bytes(key: &Key) -> Vec<u8> {
    key.as_str().as_bytes().to_vec()
}

fn compare(precondition: &Precondition, keyspace: &Keyspace) -> Compare {
    let modified = match precondition {
        Precondition::Absent(_) => 0,
        // Nothing was ever changed at 0, but for etcd that is when absent keys were; nor before this epoch.
        Precondition::ModifiedAt(_, revision) => match keyspace.number(*revision) {
            ..=0 => -1,
            number => number,
        },
    };
    Compare::new(bytes(guarded(precondition)), Expected::ModRevision(modified))
}

fn change(mutation: &Mutation) -> RequestOp {
    let request = match mutation {
        Mutation::Put(key, value) => Request::Put(PutRequest { key: bytes(key), value: value.to_vec() }),
        Mutation::Delete(key) => Request::Delete(DeleteRequest { key: bytes(key), range_end: Vec::new() }),
    };
    RequestOp { request: Some(request) }
}

fn show(key: &Key) -> RequestOp {
    let range = RangeRequest { key: bytes(key), range_end: Vec::new(), limit: 1, revision: 0, keys_only: false };
    RequestOp { request: Some(Request::Range(range)) }
}
