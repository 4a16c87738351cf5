//! One object.

use std::time::Duration;

use essaim_store::Revision;

use super::{Part, Presented, Registry, Scope, codec, commit::too_large_revision, scale};
use crate::ApiError;

/// How long a read "not older than" waits for the store to get there.
const FRESHNESS_WAIT: Duration = Duration::from_secs(3);

impl Registry {
    /// The object, or its scale.
    pub(crate) async fn get(&self, scope: &Scope, name: &str, part: Part) -> Result<Presented, ApiError> {
        scope.check_part(part)?;
        let key = codec::key(&scope.resource, scope.namespace.as_deref(), name);
        let record = self.fetch(&key).await?.ok_or_else(|| scope.not_found(name))?;
        let object = self.presented(&record, &scope.resource).await?;
        match part {
            Part::Main | Part::Status => Ok(object),
            Part::Scale => Ok(scale::of(&*object.value()?, &scope.resource)?.into()),
        }
    }

    /// Waits until the store has reached a revision, but not for long.
    pub(super) async fn wait_for(&self, revision: Revision) -> Result<(), ApiError> {
        if self.store.revision() >= revision {
            return Ok(());
        }
        let reached = tokio::time::timeout(FRESHNESS_WAIT, self.store.reached(revision)).await;
        reached.map_err(|_| too_large_revision(revision, self.store.revision()))
    }
}

impl Scope {
    /// 404 for a subresource that the resource does not have.
    pub(super) fn check_part(&self, part: Part) -> Result<(), ApiError> {
        match part {
            Part::Status if !self.resource.has_status => Err(ApiError::no_such_path()),
            Part::Scale if self.resource.scale.is_none() => Err(ApiError::no_such_path()),
            Part::Main | Part::Status | Part::Scale => Ok(()),
        }
    }

    /// 404 for an object of this resource.
    pub(super) fn not_found(&self, name: &str) -> ApiError {
        ApiError::not_found(&self.resource.group, &self.resource.plural, name)
    }

    /// 409 for an object that changed meanwhile.
    pub(super) fn conflict(&self, name: &str) -> ApiError {
        let detail = "the object has been modified; please apply your changes to the latest version and try again";
        ApiError::conflict(&self.resource.group, &self.resource.plural, name, detail)
    }
}
