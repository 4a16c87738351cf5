//! A store whose values under chosen prefixes are encrypted before any engine, log, file or backup sees them.
//!
//! ```text
//! API server ── plain bytes ──► Sealed ── sealed bytes ──► Embedded, or any other engine
//! ```
//!
//! AES-256 in Galois/Counter mode with a random nonce for each value. The key of the store is authenticated with the value, so that a sealed
//! value that somebody moves to another place cannot be opened there. Keys themselves stay readable: lists and watches go by them.
//!
//! One key seals; older ones still open what they sealed. [`Sealed::open`] seals anew what is not sealed by the first key, which is how
//! a site that begins to seal, or that changes its key, gets rid of what was there.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::figures::Figures;
use crate::model::{
    Change, Committed, Error, Key, ListRequest, Mutation, Page, Precondition, Record, Revision, Store, Transaction,
    Watch,
};

/// How a sealed value begins. No text does.
const MAGIC: &[u8; 8] = b"\0sealed1";
/// How many bytes name the key.
const ID_LEN: usize = 4;
const HEADER_LEN: usize = MAGIC.len() + ID_LEN;

/// How long a value is without what sealing added: limits are about what callers hand in.
pub(crate) fn plain_len(value: &[u8]) -> usize {
    let added = if value.starts_with(MAGIC) { HEADER_LEN + NONCE_LEN + AES_256_GCM.tag_len() } else { 0 };
    value.len().saturating_sub(added)
}

/// 32 random bytes that seal and open.
#[derive(Clone)]
pub struct SealingKey {
    /// Tells keys apart; says nothing about them.
    id: [u8; ID_LEN],
    key: Arc<LessSafeKey>,
}

impl SealingKey {
    /// Takes 32 bytes of good randomness; they never leave.
    pub fn new(bytes: &[u8; 32]) -> Self {
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..ID_LEN]);
        // Fails for keys of another length only.
        let Ok(key) = UnboundKey::new(&AES_256_GCM, bytes) else { unreachable!("a key of 32 bytes") };
        Self { id, key: Arc::new(LessSafeKey::new(key)) }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the system gives no randomness")]
    Randomness,
    #[error("{} was sealed with key {id:02x?}, which this process does not have", key.as_str())]
    UnknownKey { key: Key, id: [u8; ID_LEN] },
    #[error("{} was changed by somebody who does not have its key, or moved", key.as_str())]
    Forged { key: Key },
}

impl Fault {
    fn error(self, operation: &'static str) -> Error {
        Error::Engine { operation, source: Box::new(self) }
    }
}

/// Who seals and opens; shared with the watches.
#[derive(Debug)]
struct Seal {
    /// The first one seals.
    keys: Vec<SealingKey>,
    prefixes: Vec<String>,
}

/// The store with sealed values.
pub struct Sealed {
    inner: Arc<dyn Store>,
    seal: Arc<Seal>,
}

impl Sealed {
    /// Seals what lies under the prefixes, now and from now on. `first` seals; `older` open what they sealed once.
    ///
    /// Takes one transaction for each value that is not sealed by `first` yet; values that change meanwhile are left to their writers.
    ///
    /// # Errors
    /// A value that none of the keys opens, or the store's own.
    pub async fn open(
        inner: Arc<dyn Store>,
        first: SealingKey,
        older: Vec<SealingKey>,
        prefixes: Vec<String>,
    ) -> Result<Self, Error> {
        let keys = std::iter::once(first).chain(older).collect();
        let sealed = Self { inner, seal: Arc::new(Seal { keys, prefixes }) };
        for prefix in &sealed.seal.prefixes {
            sealed.seal_anew(prefix).await?;
        }
        Ok(sealed)
    }

    async fn seal_anew(&self, prefix: &str) -> Result<(), Error> {
        let request = ListRequest { prefix: prefix.to_owned(), start: None, limit: 0, at: None };
        for record in self.inner.list(request).await?.records {
            if self.seal.is_current(&record.value) {
                continue;
            }
            let value = self.seal.unseal(&record.key, &record.value)?;
            let preconditions = vec![Precondition::ModifiedAt(record.key.clone(), record.modified)];
            let mutations = vec![Mutation::Put(record.key, value)];
            match self.commit(Transaction { preconditions, mutations }).await {
                Ok(_) | Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Seal {
    fn covers(&self, key: &Key) -> bool {
        self.prefixes.iter().any(|prefix| key.as_str().starts_with(prefix.as_str()))
    }

    fn is_current(&self, value: &[u8]) -> bool {
        let first = self.keys.first().map(|key| key.id);
        value.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk()) == first.as_ref()
    }

    fn seal(&self, key: &Key, value: &Bytes) -> Result<Bytes, Error> {
        let Some(sealing) = self.keys.first().filter(|_| self.covers(key)) else { return Ok(value.clone()) };
        let mut nonce = [0; NONCE_LEN];
        let sealed = SystemRandom::new().fill(&mut nonce).and_then(|()| {
            let mut sealed = Vec::with_capacity(HEADER_LEN + NONCE_LEN + value.len() + AES_256_GCM.tag_len());
            sealed.extend_from_slice(MAGIC);
            sealed.extend_from_slice(&sealing.id);
            sealed.extend_from_slice(&nonce);
            let mut text = value.to_vec();
            let place = Aad::from(key.as_str().as_bytes());
            sealing.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place, &mut text)?;
            sealed.extend_from_slice(&text);
            Ok(Bytes::from(sealed))
        });
        sealed.map_err(|_| Fault::Randomness.error("seal a value"))
    }

    /// The plain value; one that was never sealed is as it is.
    fn unseal(&self, key: &Key, value: &Bytes) -> Result<Bytes, Error> {
        let Some(rest) = value.strip_prefix(MAGIC).filter(|_| self.covers(key)) else { return Ok(value.clone()) };
        let failed = |fault: Fault| fault.error("open a sealed value");
        let forged = || failed(Fault::Forged { key: key.clone() });
        let (id, rest) = rest.split_first_chunk::<ID_LEN>().ok_or_else(forged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(forged)?;
        let opening = self.keys.iter().find(|key| key.id == *id);
        let opening = opening.ok_or_else(|| failed(Fault::UnknownKey { key: key.clone(), id: *id }))?;
        let mut text = text.to_vec();
        let place = Aad::from(key.as_str().as_bytes());
        let opened = opening.key.open_in_place(Nonce::assume_unique_for_key(*nonce), place, &mut text);
        let length = opened.map_err(|_| forged())?.len();
        text.truncate(length);
        Ok(text.into())
    }

    fn record(&self, record: Record) -> Result<Record, Error> {
        Ok(Record { value: self.unseal(&record.key, &record.value)?, ..record })
    }

    fn change(&self, change: Arc<Change>) -> Result<Arc<Change>, Error> {
        if !self.covers(&change.key) {
            return Ok(change);
        }
        let Change { revision, kind, ref key, ref value, ref previous } = *change;
        let previous = previous.clone().map(|record| self.record(record)).transpose()?;
        Ok(Arc::new(Change { revision, kind, key: key.clone(), value: self.unseal(key, value)?, previous }))
    }

    fn mutation(&self, mutation: Mutation) -> Result<Mutation, Error> {
        Ok(match mutation {
            Mutation::Put(key, value) => {
                let value = self.seal(&key, &value)?;
                Mutation::Put(key, value)
            }
            delete @ Mutation::Delete(_) => delete,
        })
    }

    /// What a refusal shows is opened too.
    fn error(&self, error: Error) -> Error {
        match error {
            Error::Conflict { key, current: Some(current) } => match self.record(*current) {
                Ok(current) => Error::Conflict { key, current: Some(Box::new(current)) },
                Err(error) => error,
            },
            other => other,
        }
    }
}

/// Whether the values of a backup can be opened, before anything is made of it.
#[derive(Debug)]
pub struct SealCheck(Seal);

impl SealCheck {
    /// With these keys, for what lies under the prefixes.
    pub fn new(keys: Vec<SealingKey>, prefixes: Vec<String>) -> Self {
        Self(Seal { keys, prefixes })
    }

    /// Opens the value, if it is sealed.
    ///
    /// # Errors
    /// None of the keys opens it.
    pub fn check(&self, record: &Record) -> Result<(), Error> {
        self.0.unseal(&record.key, &record.value).map(drop)
    }
}

impl Store for Sealed {
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, Error>> {
        async move {
            let Transaction { preconditions, mutations } = transaction;
            let mutations =
                mutations.into_iter().map(|mutation| self.seal.mutation(mutation)).collect::<Result<_, _>>()?;
            let committed = self.inner.commit(Transaction { preconditions, mutations }).await;
            committed.map_err(|error| self.seal.error(error))
        }
        .boxed()
    }

    fn get(&self, key: &Key) -> BoxFuture<'_, Result<(Option<Record>, Revision), Error>> {
        let found = self.inner.get(key);
        async move {
            let (record, revision) = found.await?;
            Ok((record.map(|record| self.seal.record(record)).transpose()?, revision))
        }
        .boxed()
    }

    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Page, Error>> {
        async move {
            let page = self.inner.list(request).await?;
            let records = page.records.into_iter().map(|record| self.seal.record(record)).collect::<Result<_, _>>()?;
            Ok(Page { records, ..page })
        }
        .boxed()
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        let seal = self.seal.clone();
        let batches = self.inner.watch(prefix, after)?;
        let opened = batches.map(move |batch| batch?.into_iter().map(|change| seal.change(change)).collect());
        Ok(opened.boxed())
    }

    fn health(&self) -> Result<(), Error> {
        self.inner.health()
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn figures(&self) -> Figures {
        self.inner.figures()
    }

    fn count(&self, prefix: &str) -> Option<usize> {
        self.inner.count(prefix)
    }

    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()> {
        self.inner.reached(revision)
    }
}

#[cfg(test)]
mod tests;
