//! The way into the store: one place that charges for what is written, and turns the store's errors into answers.
//!
//! Invariant: every write of an object passes here, the server's own included. So nobody can forget to charge for one, or to
//! give back.

use std::{collections::BTreeSet, time::Duration};

use essaim_store::{Committed, Error, Key, Mutation, Precondition, Record, Revision, Transaction};

use super::{
    Part, Registry,
    admission::ClientWrite,
    collections::{OWN_PREFIX, guarded},
    quota::{Entry, Plan},
    turns::Turn,
};
use crate::ApiError;

/// How often a write looks at the accounts again because another one was faster. Those who lost once take turns, so that only
/// newcomers and other processes can be faster again.
const ATTEMPTS: usize = 256;
/// How long a write queues for its accounts.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a write was not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client's answer.
    Refused(ApiError),
    /// A precondition on this key does not hold any more: look again.
    Lost(Key),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// What became of a client's write.
pub(super) struct Outcome {
    /// Of the object; the newest one if nothing was to be stored.
    pub(super) revision: Revision,
    /// What quotas have to say.
    pub(super) warnings: Vec<String>,
}

impl Registry {
    /// Carries out a transaction, and tells which precondition failed apart from everything else.
    pub(super) async fn commit(&self, transaction: Transaction) -> Result<Committed, Failure> {
        self.carry_out(transaction, None).await.map(|(committed, _)| committed)
    }

    /// Carries out one mutation, and gives its revision.
    pub(super) async fn commit_one(
        &self,
        preconditions: Vec<Precondition>,
        mutation: Mutation,
    ) -> Result<Revision, Failure> {
        let committed = self.commit(Transaction { preconditions, mutations: vec![mutation] }).await?;
        Ok(self.revision_of(&committed))
    }

    /// Carries out a client's write if the quotas let it; a dry run only asks them.
    pub(super) async fn commit_write(
        &self,
        preconditions: Vec<Precondition>,
        mutation: Mutation,
        write: &ClientWrite<'_>,
    ) -> Result<Outcome, Failure> {
        let transaction = Transaction { preconditions, mutations: vec![mutation] };
        let (committed, warnings) = self.carry_out(transaction, Some(write)).await?;
        Ok(Outcome { revision: self.revision_of(&committed), warnings })
    }

    fn revision_of(&self, committed: &Committed) -> Revision {
        committed.revisions.first().copied().flatten().unwrap_or_else(|| self.store.revision())
    }

    /// Adds to a transaction what rules keep, and commits both as one. A client's write is judged.
    async fn carry_out(
        &self,
        mut transaction: Transaction,
        write: Option<&ClientWrite<'_>>,
    ) -> Result<(Committed, Vec<String>), Failure> {
        if write.is_none_or(|write| write.act.part != Part::Status) {
            self.stamp(&mut transaction.mutations);
        }
        let postings = self.postings(&mut transaction).await?;
        let dry_run = write.is_some_and(|write| write.act.dry_run);
        if postings.is_empty() {
            return Ok((self.send(transaction, dry_run).await?, Vec::new()));
        }
        // What the server does by itself is charged and not judged.
        let judged = write.filter(|write| write.act.user.is_some());
        let (mut contended, mut line) = (BTreeSet::new(), None);
        for _ in 0..ATTEMPTS {
            let lost = match Box::pin(self.plans(&postings, judged)).await {
                Ok(plans) => {
                    let keys: BTreeSet<Key> = plans.iter().flat_map(Plan::keys).collect();
                    if line.as_ref().is_none_or(|(wanted, _)| *wanted != keys) {
                        // The old places first: nobody may wait for one place while holding another that sorts behind it.
                        drop(line.take());
                        let places = self.line_up(&keys, &contended).await?;
                        line = Some((keys, places));
                    }
                    self.attempt(&transaction, &plans, judged, dry_run).await
                }
                Err(failure) => Err(failure),
            };
            let lost = match lost {
                // What the caller made a condition is the caller's to look at again.
                Err(Failure::Lost(key))
                    if is_own(&key) && !transaction.preconditions.iter().any(|one| *guarded(one) == key) =>
                {
                    key
                }
                // Nor is it refused for what somebody else has done to the object meanwhile.
                Err(Failure::Refused(error)) => {
                    let lost = self.stale(&transaction.preconditions).await?;
                    return Err(lost.map_or(Failure::Refused(error), Failure::Lost));
                }
                outcome => return outcome,
            };
            self.forget(&lost);
            if line.as_ref().is_some_and(|(wanted, _)| wanted.contains(&lost)) && contended.insert(lost) {
                line = None;
            }
        }
        Err(ApiError::too_many_requests().into())
    }

    /// Looks at the accounts once, and commits if they allow it and stay so.
    async fn attempt(
        &self,
        transaction: &Transaction,
        plans: &[Plan<'_>],
        judged: Option<&ClientWrite<'_>>,
        dry_run: bool,
    ) -> Result<(Committed, Vec<String>), Failure> {
        let Entry { preconditions, mutations, warnings } = Box::pin(self.enter(plans, judged)).await?;
        if dry_run && let Some(key) = self.stale(&preconditions).await? {
            return Err(Failure::Lost(key));
        }
        // The object's own first: what stands in its way is what a client wants to know.
        let mut whole = transaction.clone();
        whole.preconditions.extend(preconditions);
        whole.mutations.extend(mutations);
        Ok((self.send(whole, dry_run).await?, warnings))
    }

    /// Queues for those of the keys that this write lost already, or that others queue for. In the order of the keys, so that no two
    /// wait for each other.
    async fn line_up(&self, keys: &BTreeSet<Key>, contended: &BTreeSet<Key>) -> Result<Vec<Turn<'_>>, Failure> {
        let places = async {
            let mut places = Vec::new();
            for key in keys {
                if contended.contains(key) {
                    places.push(self.turns.queue(key).await);
                } else {
                    places.extend(self.turns.join(key).await);
                }
            }
            places
        };
        tokio::time::timeout(PATIENCE, places).await.map_err(|_| ApiError::too_many_requests().into())
    }

    /// Into the store.
    async fn send(&self, transaction: Transaction, dry_run: bool) -> Result<Committed, Failure> {
        if dry_run {
            return Ok(Committed { revisions: Vec::new() });
        }
        let touched: Vec<Key> = transaction.mutations.iter().map(|mutation| mutated(mutation).clone()).collect();
        let committed = self.store.commit(transaction).await.map_err(|error| match error {
            Error::Conflict { key, current: _ } => {
                self.forget(&key);
                Failure::Lost(key)
            }
            other => Failure::Refused(store_error(other)),
        })?;
        for (key, revision) in touched.iter().zip(&committed.revisions) {
            if is_own(key) {
                self.forget(key);
            } else if let Some(revision) = revision {
                self.cached_lists.touched(key.as_str(), *revision);
            }
        }
        Ok(committed)
    }

    /// What is known of one of the rules' keys is not so any more.
    pub(super) fn forget(&self, key: &Key) {
        if is_own(key) {
            self.looked.forget(key);
            self.quotas.iter().for_each(|kept| kept.forget(key));
        }
    }

    /// The newest record of a key.
    pub(super) async fn fetch(&self, key: &Key) -> Result<Option<Record>, ApiError> {
        Ok(self.store.get(key).await.map_err(store_error)?.0)
    }
}

fn is_own(key: &Key) -> bool {
    key.as_str().starts_with(OWN_PREFIX)
}

/// The key that a mutation changes.
pub(super) fn mutated(mutation: &Mutation) -> &Key {
    match mutation {
        Mutation::Put(key, _) | Mutation::Delete(key) => key,
    }
}

/// What a client learns of an error of the store.
pub(super) fn store_error(error: Error) -> ApiError {
    match error {
        Error::Compacted { requested, oldest } => {
            ApiError::expired(format!("too old resource version: {requested} ({oldest})"))
        }
        Error::Future { requested, newest } => too_large_revision(requested, newest),
        Error::Lagged => ApiError::expired("the watch fell behind; list again"),
        Error::Busy => ApiError::too_many_requests(),
        Error::TooLarge(why) => {
            ApiError::new(413, "RequestEntityTooLarge", format!("the object is too large for the store: {why}"))
        }
        Error::Closed => {
            let mut error = ApiError::new(503, "ServiceUnavailable", "the server is shutting down");
            error.retry_after_seconds = Some(1);
            error
        }
        other @ (Error::Conflict { .. } | Error::Invalid(_) | Error::Engine { .. }) => ApiError::internal(other),
    }
}

/// The revision asked for did not come in time.
pub(super) fn too_large_revision(requested: Revision, newest: Revision) -> ApiError {
    let message = format!("Timeout: Too large resource version: {requested}, current: {newest}");
    let mut error = ApiError::new(504, "Timeout", message);
    error.retry_after_seconds = Some(1);
    error.causes.push(crate::error::Cause {
        reason: "ResourceVersionTooLarge".into(),
        message: "Too large resource version".into(),
        field: String::new(),
    });
    error
}
