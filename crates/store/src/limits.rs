//! What a transaction may look like, decided before an engine sees it.

use std::collections::HashSet;

use bytes::Bytes;

use crate::{
    model::{Error, Key, Mutation, Precondition, Transaction},
    sealed::plain_len,
};

const KEY_BYTES: usize = 1 << 10;
/// What etcd accepts in one request.
const VALUE_BYTES: usize = 3 << 19;
const MUTATIONS: usize = 1_000;
/// Of one transaction, so that a single caller cannot fill the queue's memory.
const TRANSACTION_BYTES: usize = 32 << 20;

/// Refuses what no engine state could make acceptable, and says what to change.
pub(crate) fn check(transaction: &Transaction) -> Result<(), Error> {
    let Transaction { preconditions, mutations } = transaction;
    if mutations.len() > MUTATIONS || preconditions.len() > MUTATIONS {
        let (m, p) = (mutations.len(), preconditions.len());
        return Err(invalid(format!("{m} mutations and {p} preconditions, of each at most {MUTATIONS}")));
    }
    for precondition in preconditions {
        match precondition {
            Precondition::Absent(key) | Precondition::ModifiedAt(key, _) => check_key(key)?,
        }
    }
    let mut seen = HashSet::with_capacity(mutations.len());
    for mutation in mutations {
        let key = check_mutation(mutation)?;
        if !seen.insert(key) {
            return Err(invalid(format!("two mutations of the key {}", key.as_str())));
        }
    }
    match size(transaction) {
        bytes if bytes > TRANSACTION_BYTES => {
            Err(Error::TooLarge(format!("it takes {bytes} bytes, at most {TRANSACTION_BYTES}")))
        }
        _ => Ok(()),
    }
}

fn check_mutation(mutation: &Mutation) -> Result<&Key, Error> {
    match mutation {
        Mutation::Put(key, value) if plain_len(value) > VALUE_BYTES => {
            let (key, len) = (key.as_str(), plain_len(value));
            Err(Error::TooLarge(format!("the value of {key} has {len} bytes, at most {VALUE_BYTES}")))
        }
        Mutation::Put(key, _) | Mutation::Delete(key) => check_key(key).map(|()| key),
    }
}

fn check_key(key: &Key) -> Result<(), Error> {
    match key.as_str().len() {
        0 => Err(invalid("an empty key".to_owned())),
        len if len > KEY_BYTES => Err(invalid(format!("a key of {len} bytes, at most {KEY_BYTES}"))),
        _ => Ok(()),
    }
}

fn invalid(what: String) -> Error {
    Error::Invalid(what)
}

/// Copies the values into buffers of their own.
///
/// A caller's value may be a slice of a request's body or of a larger document; the store keeps it for as long as
/// the object lives and must not keep the rest of that buffer with it.
pub(crate) fn own(mut transaction: Transaction) -> Transaction {
    for mutation in &mut transaction.mutations {
        if let Mutation::Put(_, value) = mutation {
            *value = Bytes::copy_from_slice(value);
        }
    }
    transaction
}

/// How much memory a waiting transaction takes, roughly.
pub(crate) fn size(transaction: &Transaction) -> usize {
    let values = transaction.mutations.iter().map(|mutation| match mutation {
        Mutation::Put(_, value) => value.len() + 128,
        Mutation::Delete(_) => 128,
    });
    values.sum::<usize>() + 128 * transaction.preconditions.len()
}
