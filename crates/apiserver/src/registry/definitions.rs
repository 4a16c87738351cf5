//! The life of a CustomResourceDefinition.
//!
//! ```text
//! write ─► table swapped ─► conditions NamesAccepted, Established written ─► answered
//! delete ─► marked, nothing new ─► instances deleted ─► finalizer removed ─► table swapped ─► watches end
//! ```
//!
//! Invariant: whoever sees Established=True finds the resource served.

use std::sync::Arc;

use essaim_store::{Key, Mutation, Precondition};
use serde_json::{Value, json};

use super::{
    Registry, Scope, Written, codec,
    commit::{Failure, store_error},
    delete::CLEANUP_FINALIZER,
    metadata,
    object::{as_map, finalizers, is_deleting, map_at, meta, set_finalizers, top},
    tasks::RETRY,
    update::is_finished,
};
use crate::{
    ApiError,
    catalogue::{Custom, EXTENSIONS_GROUP},
};

/// Where the definitions lie.
const PREFIX: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";
/// A condition says no more than this: it is written into an object that may be as large as an object can be.
const LONGEST_MESSAGE: usize = 4_096;
/// How often the conditions are computed again when somebody changes the definitions meanwhile.
const ATTEMPTS: usize = 10;

impl Registry {
    /// Reads all definitions and swaps the table.
    pub(super) async fn refresh_definitions(&self) -> Result<Vec<Custom>, ApiError> {
        // The lock spans the list, so that an older picture never comes after a newer one.
        let mut definitions = self.definitions.lock().await;
        let request = essaim_store::ListRequest { prefix: PREFIX.into(), start: None, limit: 0, at: None };
        let page = self.store.list(request).await.map_err(store_error)?;
        let customs = definitions.read(&page.records, &self.catalogue.snapshot());
        self.catalogue.replace_custom(customs.iter().flat_map(Custom::resources).collect(), page.revision);
        Ok(customs)
    }

    /// Serves what the definitions say, then says in their status that it is served.
    pub(super) async fn settle_definitions(&self) -> Result<(), ApiError> {
        for _ in 0..ATTEMPTS {
            let customs = self.refresh_definitions().await?;
            let mut settled = true;
            for custom in &customs {
                settled &= !self.write_status(custom).await?;
            }
            if settled {
                return Ok(());
            }
        }
        Err(ApiError::too_many_requests())
    }

    /// Brings the status of a definition up to date; true if that took a write, or was overtaken by one.
    async fn write_status(&self, custom: &Custom) -> Result<bool, ApiError> {
        let mut object = custom.object.clone();
        set_status(&mut object, custom, &metadata::seconds((self.clock)()));
        if object == custom.object {
            return Ok(false);
        }
        let precondition = Precondition::ModifiedAt(custom.key.clone(), custom.revision);
        match self
            .commit_one(vec![precondition], Mutation::Put(custom.key.clone(), codec::encode_stored(&object)?))
            .await
        {
            Err(Failure::Refused(error)) => Err(error),
            Ok(_) | Err(Failure::Lost(_)) => Ok(true),
        }
    }

    /// After a write: a definition is answered once it is served.
    pub(super) async fn settled(&self, scope: &Scope, written: Written, dry_run: bool) -> Result<Written, ApiError> {
        if dry_run || !scope.resource.is(EXTENSIONS_GROUP, "customresourcedefinitions") {
            return Ok(written);
        }
        self.settle_definitions().await?;
        let key = codec::key(&scope.resource, None, meta(&*written.object.value()?, "name"));
        match self.fetch(&key).await? {
            Some(record) => Ok(Written { object: self.codec.present(&record, &scope.resource)?, ..written }),
            None => Ok(written),
        }
    }

    /// The scope as it is served now, after something around the object changed.
    pub(super) async fn renewed(&self, scope: Scope, lost: &Key) -> Result<Scope, ApiError> {
        if scope.resource.definition.as_ref().is_none_or(|definition| definition.key != *lost) {
            return Ok(scope);
        }
        self.refresh_definitions().await?;
        let resource = &scope.resource;
        let found = self.catalogue.find(&resource.group, &resource.version, &resource.plural);
        Ok(Scope { resource: found.ok_or_else(ApiError::no_such_path)?, ..scope })
    }

    /// Follows the definitions: those of other processes, and the end of those that are being deleted.
    pub(super) async fn keep_definitions(self: Arc<Self>) {
        let mut follower = self.follow(PREFIX);
        let mut waiting = false;
        loop {
            tokio::select! {
                news = follower.next() => if news.is_none() { return },
                () = tokio::time::sleep(RETRY), if waiting => {}
            }
            waiting = self.keep_definitions_once().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot bring the custom resources up to date");
                true
            });
        }
    }

    /// True if something has to be looked at again.
    async fn keep_definitions_once(&self) -> Result<bool, ApiError> {
        self.settle_definitions().await?;
        let customs = self.refresh_definitions().await?;
        let mut waiting = false;
        for custom in &customs {
            if is_deleting(&custom.object) && finalizers(&custom.object).contains(&CLEANUP_FINALIZER) {
                waiting |= !self.clean_up(custom).await?;
            }
        }
        Ok(waiting)
    }

    /// Deletes the instances of a definition, and lets it go when none is left; false if some are.
    async fn clean_up(&self, custom: &Custom) -> Result<bool, ApiError> {
        if !self.delete_instances(custom).await? {
            return Ok(false);
        }
        let mut object = custom.object.clone();
        let others: Vec<_> = finalizers(&custom.object).into_iter().filter(|one| *one != CLEANUP_FINALIZER).collect();
        set_finalizers(&mut object, &others);
        let mutation = if is_finished(&object) {
            Mutation::Delete(custom.key.clone())
        } else {
            Mutation::Put(custom.key.clone(), codec::encode_stored(&object)?)
        };
        let precondition = Precondition::ModifiedAt(custom.key.clone(), custom.revision);
        match self.commit_one(vec![precondition], mutation).await {
            Ok(_) => {
                tracing::info!(definition = %custom.name, "removed a custom resource with its objects");
                self.refresh_definitions().await.map(|_| true)
            }
            Err(Failure::Lost(_)) => Ok(false),
            Err(Failure::Refused(error)) => Err(error),
        }
    }
}

impl Registry {
    /// Deletes what a definition defines; false if finalizers hold some of it.
    async fn delete_instances(&self, custom: &Custom) -> Result<bool, ApiError> {
        if let Some(resource) = custom.resources().into_iter().next() {
            let standing = self.records(&resource.storage_prefix).await?;
            self.delete_stored(&standing).await.into_iter().collect::<Result<Vec<_>, _>>()?;
            return Ok(self.records(&resource.storage_prefix).await?.is_empty());
        }
        // A definition that is not served has no objects, unless it was served once. Nobody can reach those any more.
        let text = |path: &str| custom.object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let prefix = format!("/registry/{}/{}/", text("/spec/group"), text("/spec/names/plural"));
        if self.catalogue.snapshot().iter().all(|resource| resource.storage_prefix != prefix) {
            for record in self.records(&prefix).await? {
                self.amend(&record.key, |object| {
                    set_finalizers(object, &[]);
                    metadata::mark_deleted(object, (self.clock)());
                })
                .await?;
            }
        }
        Ok(true)
    }
}

/// What the status of a definition says.
fn set_status(object: &mut Value, custom: &Custom, now: &str) {
    let status = map_at(object, "status");
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let compiled = match (&custom.definition, &custom.conflict) {
        (Err(errors), _) => {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            let message: String = errors.join(", ").chars().take(LONGEST_MESSAGE).collect();
            set_condition(conditions, "NonStructuralSchema", true, "Violations", &message, now);
            return;
        }
        (Ok(_), Some((reason, message))) => {
            set_condition(conditions, "NamesAccepted", false, reason, message, now);
            set_condition(conditions, "Established", false, "NotAccepted", "not all names are accepted", now);
            return;
        }
        (Ok(compiled), None) => compiled,
    };
    set_condition(conditions, "NamesAccepted", true, "NoConflicts", "no conflicts found", now);
    set_condition(conditions, "Established", true, "InitialNamesAccepted", "the initial names have been accepted", now);
    let names = &compiled.definition.names;
    let mut accepted = json!({
        "plural": names.plural, "singular": names.singular, "kind": names.kind, "listKind": names.list_kind,
    });
    for (field, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        if !list.is_empty() {
            accepted[field] = json!(list);
        }
    }
    status.insert("acceptedNames".into(), accepted);
    let storage = compiled.definition.storage_version().map(|version| version.name.as_str());
    let stored = status.entry("storedVersions").or_insert_with(|| json!([])).as_array_mut();
    if let (Some(storage), Some(stored)) = (storage, stored)
        && !stored.iter().any(|one| one == storage)
    {
        stored.push(storage.into());
    }
}

/// Sets a condition; its time moves only when its status does.
pub(super) fn set_condition(conditions: &mut Value, kind: &str, status: bool, reason: &str, message: &str, now: &str) {
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Value::Array(list) = conditions else { return };
    let status = if status { "True" } else { "False" };
    let mut condition = json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
    });
    let Some(standing) = list.iter_mut().find(|one| top(one, "type") == kind) else {
        list.push(condition);
        return;
    };
    if top(standing, "status") == status {
        as_map(&mut condition)
            .insert("lastTransitionTime".into(), standing.get("lastTransitionTime").cloned().unwrap_or_default());
    }
    *standing = condition;
}
