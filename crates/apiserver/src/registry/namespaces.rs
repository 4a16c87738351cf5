//! Namespaces: the ones that are always there, and the end of the others.
//!
//! A namespace that is being deleted accepts nothing new; this task deletes what is in it, waits for finalizers, and then
//! lets it go.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use essaim_store::{ListRequest, Mutation, Precondition, Record};
use serde_json::{Value, json};

use super::{
    Deleted, Document, Registry, Scope, WriteOptions, codec,
    commit::{Failure, store_error},
    definitions::set_condition,
    metadata,
    object::{finalizers, is_deleting, map_at, meta, spec_finalizers},
    strategy::NAMESPACE_FINALIZER,
    update::is_finished,
};
use crate::{ApiError, catalogue::Resource};

/// Made at the first start, and never deleted.
const FIRST: [&str; 3] = ["default", "kube-system", "essaim-system"];
/// How often a namespace is looked at again while finalizers hold its contents.
const RETRY: Duration = Duration::from_millis(500);

/// So many reasons are shown in the status.
const SHOWN: usize = 10;

/// What is left in a namespace.
#[derive(Default)]
struct Remains {
    objects: usize,
    finalizers: BTreeSet<String>,
    /// Why some could not be deleted.
    failures: BTreeSet<String>,
}

/// Whether this is one of the namespaces that always exist.
pub(super) fn is_permanent(resource: &Resource, name: &str) -> bool {
    resource.built_in && resource.is("", "namespaces") && FIRST.contains(&name)
}

impl Registry {
    /// The resource of namespaces themselves.
    pub(super) fn namespaces_resource(&self) -> Result<Arc<Resource>, ApiError> {
        self.catalogue
            .find("", "v1", "namespaces")
            .ok_or_else(|| ApiError::internal("namespaces are not in the catalogue"))
    }

    pub(super) async fn make_first_namespaces(&self) -> Result<(), ApiError> {
        let scope = Scope { resource: self.namespaces_resource()?, namespace: None };
        let options = WriteOptions { field_manager: "essaim".into(), ..WriteOptions::default() };
        for name in FIRST {
            let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            match self.create(&scope, Document { value, duplicates: Vec::new() }, &options).await {
                Err(error) if error.reason != "AlreadyExists" => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Empties namespaces that are being deleted. Ends with the store.
    pub(super) async fn keep_namespaces(self: Arc<Self>) {
        let Ok(resource) = self.namespaces_resource() else { return };
        let mut follower = self.follow(&resource.storage_prefix);
        let mut waiting = false;
        loop {
            tokio::select! {
                news = follower.next() => if news.is_none() { return },
                () = tokio::time::sleep(RETRY), if waiting => {}
            }
            waiting = self.empty_namespaces(&resource).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot empty the namespaces that are being deleted");
                true
            });
        }
    }

    /// Goes once through all namespaces; true if one has to be looked at again. One that fails holds up no other.
    async fn empty_namespaces(&self, resource: &Arc<Resource>) -> Result<bool, ApiError> {
        let mut waiting = false;
        for record in self.records(&resource.storage_prefix).await? {
            waiting |= self.end_namespace(&record, resource).await.unwrap_or_else(|error| {
                tracing::warn!(key = record.key.as_str(), %error, "cannot empty a namespace that is being deleted");
                true
            });
        }
        Ok(waiting)
    }

    /// Empties a namespace if it is being deleted, and lets it go; true if it has to be looked at again.
    async fn end_namespace(&self, record: &Record, resource: &Arc<Resource>) -> Result<bool, ApiError> {
        let namespace = self.codec.value(record, resource)?;
        if !is_deleting(&namespace) || spec_finalizers(&namespace).is_empty() {
            return Ok(false);
        }
        let remains = self.empty(meta(&namespace, "name")).await?;
        match self.report(record, resource, &namespace, &remains).await {
            Err(Failure::Lost(_)) => Ok(true),
            Err(Failure::Refused(error)) => Err(error),
            Ok(()) => Ok(remains.objects > 0),
        }
    }

    /// Deletes everything in a namespace, once.
    async fn empty(&self, namespace: &str) -> Result<Remains, ApiError> {
        let mut remains = Remains::default();
        let table = self.catalogue.table();
        for resource in table.storages().filter(|resource| resource.namespaced) {
            let records = self.records(&codec::prefix(resource, Some(namespace))).await?;
            for deleted in self.delete_stored(&records).await {
                match deleted {
                    Ok(Deleted::Gone(_)) => continue,
                    Ok(Deleted::Pending(object)) => {
                        remains.finalizers.extend(finalizers(&*object.value()?).into_iter().map(str::to_owned));
                    }
                    Err(error) => {
                        tracing::warn!(namespace, resource = %resource.plural, %error, "cannot delete an object of a namespace");
                        remains.failures.insert(error.to_string());
                    }
                }
                remains.objects += 1;
            }
        }
        Ok(remains)
    }

    /// Lets an empty namespace go, or says what holds it.
    async fn report(
        &self,
        record: &Record,
        resource: &Arc<Resource>,
        live: &Value,
        remains: &Remains,
    ) -> Result<(), Failure> {
        let mut namespace = live.clone();
        if remains.objects == 0 {
            let others: Vec<_> = spec_finalizers(live).into_iter().filter(|one| *one != NAMESPACE_FINALIZER).collect();
            map_at(&mut namespace, "spec").insert("finalizers".into(), others.into());
        } else {
            let held: Vec<_> = remains.finalizers.iter().map(String::as_str).collect();
            let message = format!("{} objects remain; finalizers that hold them: {}", remains.objects, held.join(", "));
            let conditions = map_at(&mut namespace, "status").entry("conditions").or_insert_with(|| json!([]));
            let now = metadata::seconds((self.clock)());
            set_condition(conditions, "NamespaceContentRemaining", true, "SomeResourcesRemain", &message, &now);
            let failed = !remains.failures.is_empty();
            let (reason, message) = if failed {
                (
                    "ContentDeletionFailed",
                    remains.failures.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; "),
                )
            } else {
                ("ContentDeleted", "all content could be deleted, and may be waiting for finalizers".to_owned())
            };
            set_condition(conditions, "NamespaceDeletionContentFailure", failed, reason, &message, &now);
        }
        if namespace == *live {
            return Ok(());
        }
        let mutation = if is_finished(&namespace) {
            Mutation::Delete(record.key.clone())
        } else {
            Mutation::Put(record.key.clone(), codec::encode(&namespace, resource)?)
        };
        self.commit_one(vec![Precondition::ModifiedAt(record.key.clone(), record.modified)], mutation).await.map(drop)
    }

    /// All records under a prefix.
    pub(super) async fn records(&self, prefix: &str) -> Result<Vec<Record>, ApiError> {
        let request = ListRequest { prefix: prefix.to_owned(), start: None, limit: 0, at: None };
        Ok(self.store.list(request).await.map_err(store_error)?.records)
    }
}
