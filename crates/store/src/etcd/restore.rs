//! Restores a backup into an etcd that holds nothing under the prefix.
//!
//! ```text
//! nothing there? ─► claim the epoch's key ─► records, a hundred a transaction ─► as many as there should be? ─► the epoch begins
//! ```
//!
//! Each write depends on the claim, so two restores cannot mix. Whoever is interrupted leaves the claim, and with it nobody opens the
//! store; nothing is removed by itself, because only people know whose keys those are.

use std::io::Read;

use super::{
    Etcd, EtcdOptions,
    client::Client,
    epoch::{self, Claim},
    fault::Fault,
    keyspace::{Epoch, Keyspace, Place},
    transaction,
    wire::RangeRequest,
};
use crate::{
    backup::{Contents, Reader, RestoreError},
    limits,
    model::{Error, Mutation, Precondition, Record, Revision, Transaction},
};

/// A transaction takes no more once it holds so many records …
const BATCH: usize = 100;
/// … or so many bytes, unless it is one record.
const BATCH_BYTES: usize = 512 << 10;
/// So many keys are counted at a time.
const PAGE: i64 = 10_000;
const ADVICE: &str = "stop essaim, remove all keys under the prefix (etcdctl del --prefix), and restore again";

/// Writes what belongs to one claim.
struct Restoring<'a> {
    client: &'a Client,
    keyspace: &'a Keyspace,
    claim: Claim,
    batch: Vec<Record>,
    batch_bytes: usize,
    /// In the order of their keys; written last, in that of their creation.
    ordered: Vec<Record>,
}

impl Etcd {
    /// Fills an etcd from a backup that was verified before. All revisions of the store will be greater than `behind`.
    ///
    /// The order in which records were created is kept under the prefixes `ordered` only: etcd gives each transaction one
    /// revision, and one for each record would take long.
    ///
    /// Guarantees: until it is whole, nobody can open the store.
    /// Errors: [`RestoreError::Occupied`] if there are keys under the prefix, also those of a restore that was interrupted.
    pub async fn restore<R: Read + Send>(
        options: EtcdOptions,
        mut backup: Reader<R>,
        verified: &Contents,
        behind: Revision,
        ordered: &[String],
    ) -> Result<(), RestoreError> {
        let (keyspace, client) = (Keyspace::new(&options.prefix)?, Client::new(&options)?);
        client.check_version().await.map_err(failed)?;
        make_sure_it_is_empty(&client, &keyspace).await?;
        let claim = epoch::claim(&client, &keyspace).await.map_err(failed)?;
        let mut restoring = Restoring::new(&client, &keyspace, claim);
        while let Some(records) = backup.records()? {
            for record in records {
                let is_ordered = ordered.iter().any(|prefix| record.key.as_str().starts_with(prefix));
                restoring.add(record, is_ordered).await?;
            }
        }
        restoring.finish().await?;
        backup.finish(verified)?;
        if count(&client, &keyspace).await.map_err(failed)? != verified.objects {
            return Err(failed(Fault::Disturbed));
        }
        claim.complete(&client, &keyspace, behind.0).await.map_err(failed)
    }
}

impl<'a> Restoring<'a> {
    fn new(client: &'a Client, keyspace: &'a Keyspace, claim: Claim) -> Self {
        Self { client, keyspace, claim, batch: Vec::new(), batch_bytes: 0, ordered: Vec::new() }
    }

    async fn add(&mut self, record: Record, is_ordered: bool) -> Result<(), RestoreError> {
        if is_ordered {
            self.ordered.push(record);
            return Ok(());
        }
        let bytes = record.key.as_str().len() + record.value.len();
        if self.batch.len() >= BATCH || self.batch_bytes + bytes > BATCH_BYTES {
            self.flush().await?;
        }
        self.batch_bytes += bytes;
        self.batch.push(record);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), RestoreError> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() { Ok(()) } else { self.write(batch).await }
    }

    async fn finish(mut self) -> Result<(), RestoreError> {
        self.flush().await?;
        let mut ordered = std::mem::take(&mut self.ordered);
        ordered.sort_by_key(|record| record.created);
        for record in ordered {
            self.write(vec![record]).await?;
        }
        Ok(())
    }

    async fn write(&self, records: Vec<Record>) -> Result<(), RestoreError> {
        let preconditions = records.iter().map(|record| Precondition::Absent(record.key.clone())).collect();
        let mutations = records.into_iter().map(|record| Mutation::Put(record.key, record.value)).collect();
        let transaction = Transaction { preconditions, mutations };
        limits::check(&transaction)?;
        let mut request = transaction::request(&transaction, self.keyspace, self.claim.holds(self.keyspace))?;
        request.failure.clear();
        let response = self.client.transact(request).await.map_err(failed)?;
        if response.succeeded { Ok(()) } else { Err(failed(Fault::Disturbed)) }
    }
}

async fn make_sure_it_is_empty(client: &Client, keyspace: &Keyspace) -> Result<(), RestoreError> {
    let occupied = |what: String| RestoreError::Occupied { what, advice: ADVICE };
    match epoch::read(client, keyspace).await {
        Ok(epoch) if epoch == Epoch::default() => {}
        Ok(_) => return Err(occupied("what an earlier restore left".to_owned())),
        Err(Fault::Restoring) => return Err(occupied("a restore that goes on, or was interrupted,".to_owned())),
        Err(fault) => return Err(failed(fault)),
    }
    match count(client, keyspace).await.map_err(failed)? {
        0 => Ok(()),
        some => Err(occupied(format!("something under the prefix ({some} keys)"))),
    }
}

/// How many keys there are under the prefix that are not the engine's own.
async fn count(client: &Client, keyspace: &Keyspace) -> Result<u64, Fault> {
    let (mut key, range_end) = keyspace.range();
    let mut count = 0;
    loop {
        let range_end = range_end.clone();
        let page = client.range(RangeRequest { key, range_end, limit: PAGE, revision: 0, keys_only: true }).await?;
        count += page.kvs.iter().filter(|kv| matches!(keyspace.place(&kv.key), Place::Object(_))).count() as u64;
        let Some(last) = page.kvs.last().filter(|_| page.more) else { return Ok(count) };
        key = [last.key.as_slice(), &[0]].concat();
    }
}

fn failed(source: Fault) -> RestoreError {
    RestoreError::Store(Error::Engine { operation: "restore the store in etcd", source: Box::new(source) })
}
