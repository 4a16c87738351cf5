//! The ServiceAccount `default`, which every namespace has.
//!
//! It is made with its namespace, before the answer; a task makes it again where somebody deletes it, as the controller of
//! Kubernetes does. May be repeated at any moment: what is there is left as it is.

use std::sync::Arc;

use essaim_store::Change;
use futures::{FutureExt as _, future::BoxFuture};
use serde_json::json;

use super::{
    Document, Registry, Scope, WriteOptions, codec,
    object::is_deleting,
    tasks::{News, RETRY},
};
use crate::{ApiError, catalogue::Resource};

const NAME: &str = "default";

impl Registry {
    fn accounts_resource(&self) -> Result<Arc<Resource>, ApiError> {
        let found = self.catalogue.find("", "v1", "serviceaccounts");
        found.ok_or_else(|| ApiError::internal("service accounts are not in the catalogue"))
    }

    /// Makes the account of every namespace that has none.
    pub(super) async fn make_default_accounts(&self) -> Result<(), ApiError> {
        let namespaces = self.namespaces_resource()?;
        for record in self.records(&namespaces.storage_prefix).await? {
            let name = record.key.as_str().rsplit('/').next().unwrap_or_default();
            self.make_default_account(name).await?;
        }
        Ok(())
    }

    /// Gives a new namespace its account. Where that fails the namespace is there all the same, and the next start mends it.
    pub(super) async fn furnish(&self, namespace: &str) {
        if let Err(error) = self.make_default_account(namespace).await {
            tracing::warn!(namespace, %error, "cannot make the default service account of a namespace");
        }
    }

    /// Makes the account of a namespace, unless it is there or the namespace is going. Boxed, since a namespace's own
    /// creation comes here and goes on to the creation of the account.
    fn make_default_account<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<(), ApiError>> {
        async move {
            let accounts = self.accounts_resource()?;
            if self.fetch(&codec::key(&accounts, Some(namespace), NAME)).await?.is_some() {
                return Ok(());
            }
            let namespaces = self.namespaces_resource()?;
            let Some(record) = self.fetch(&codec::key(&namespaces, None, namespace)).await? else { return Ok(()) };
            if is_deleting(&self.codec.value(&record, &namespaces)?) {
                return Ok(());
            }
            let scope = Scope { resource: accounts, namespace: Some(namespace.to_owned()) };
            let value = json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": namespace},
            });
            let options = WriteOptions { field_manager: "essaim".into(), ..WriteOptions::default() };
            match self.create(&scope, Document { value, duplicates: Vec::new() }, &options).await {
                // Somebody else was faster, or the namespace went meanwhile.
                Err(error) if matches!(error.code, 403 | 404 | 409) => Ok(()),
                answer => answer.map(drop),
            }
        }
        .boxed()
    }

    /// Makes accounts again that are deleted. Ends with the store.
    pub(super) async fn keep_default_accounts(self: Arc<Self>) {
        let Ok(accounts) = self.accounts_resource() else { return };
        let mut follower = self.follow(&accounts.storage_prefix);
        let mut all = false;
        loop {
            let news = tokio::select! {
                news = follower.next() => news,
                () = tokio::time::sleep(RETRY), if all => Some(News::All(Vec::new())),
            };
            let outcome = match news {
                None => return,
                Some(News::All(_)) => self.make_default_accounts().await,
                Some(News::Changes(changes)) => self.make_deleted_accounts(&accounts, &changes).await,
            };
            // A failure is made good by looking at everything once more.
            all = outcome.is_err();
            if let Err(error) = outcome {
                tracing::warn!(%error, "cannot make the default service account of a namespace");
            }
        }
    }

    async fn make_deleted_accounts(&self, accounts: &Resource, changes: &[Arc<Change>]) -> Result<(), ApiError> {
        for change in changes {
            let place =
                change.key.as_str().strip_prefix(&accounts.storage_prefix).and_then(|rest| rest.split_once('/'));
            let Some((namespace, NAME)) = place else { continue };
            self.make_default_account(namespace).await?;
        }
        Ok(())
    }
}
