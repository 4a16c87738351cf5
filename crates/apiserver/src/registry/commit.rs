//! The way into the store: one place that turns its errors into answers.

use essaim_store::{Committed, Error, Key, Mutation, Precondition, Record, Revision, Transaction};

use super::Registry;
use crate::ApiError;

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

impl Registry {
    /// Carries out a transaction, and tells which precondition failed apart from everything else.
    pub(super) async fn commit(&self, transaction: Transaction) -> Result<Committed, Failure> {
        let touched: Vec<Key> = transaction.mutations.iter().map(|mutation| mutated(mutation).clone()).collect();
        let committed = self.store.commit(transaction).await.map_err(|error| match error {
            Error::Conflict { key, current: _ } => Failure::Lost(key),
            other => Failure::Refused(store_error(other)),
        })?;
        for (key, revision) in touched.iter().zip(&committed.revisions) {
            if let Some(revision) = revision {
                self.cached_lists.touched(key.as_str(), *revision);
            }
        }
        Ok(committed)
    }

    /// Carries out one mutation, and gives its revision.
    pub(super) async fn commit_one(
        &self,
        preconditions: Vec<Precondition>,
        mutation: Mutation,
    ) -> Result<Revision, Failure> {
        let committed = self.commit(Transaction { preconditions, mutations: vec![mutation] }).await?;
        Ok(committed.revisions.first().copied().flatten().unwrap_or_else(|| self.store.revision()))
    }

    /// The newest record of a key.
    pub(super) async fn fetch(&self, key: &Key) -> Result<Option<Record>, ApiError> {
        Ok(self.store.get(key).await.map_err(store_error)?.0)
    }
}

fn mutated(mutation: &Mutation) -> &Key {
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
