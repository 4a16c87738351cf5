//! Deletions: at once, or marked and left to whoever put finalizers on the object.

use std::{future::ready, sync::Arc};

use essaim_store::{Mutation, Precondition, Record};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{
    DeleteOptions, Deleted, List, ListOptions, Operation, Part, Registry, Scope,
    admission::Act,
    codec::{self, Codec},
    commit::Failure,
    conversion,
    create::forbidden,
    garbage::locate,
    metadata,
    namespaces::is_permanent,
    object::{FOREGROUND, ORPHAN, finalizers, is_deleting, meta, set_finalizers},
    strategy,
    update::is_finished,
};
use crate::{
    ApiError,
    catalogue::{EXTENSIONS_GROUP, Resource},
};

/// Holds a definition until its objects are gone.
pub(super) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";
/// How often a deletion that names no revision looks again when somebody else was faster; as writes do.
const ATTEMPTS: usize = 64;
/// Deletions of a collection under way at once.
const PARALLEL: usize = 16;

impl Registry {
    /// Deletes an object, or marks it as being deleted. Doing it again changes nothing.
    pub(crate) async fn delete(&self, scope: &Scope, name: &str, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        let key = codec::key(&scope.resource, scope.namespace.as_deref(), name);
        let mut scope = scope.clone();
        let mut turn = self.turns.join(&key).await;
        for _ in 0..ATTEMPTS {
            let record = self.fetch(&key).await?.ok_or_else(|| scope.not_found(name))?;
            match self.delete_once(&scope, name, &record, options).await {
                Ok(deleted) => {
                    // What follows may change the object, too.
                    drop(turn);
                    if is_definition(&scope.resource) && !options.dry_run {
                        self.settle_definitions().await?;
                    }
                    return Ok(deleted);
                }
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost(lost)) if lost == key => {
                    if turn.is_none() {
                        turn = Some(self.turns.queue(&key).await);
                    }
                }
                Err(Failure::Lost(lost)) => scope = self.renewed(scope, &lost).await?,
            }
        }
        Err(scope.conflict(name))
    }

    async fn delete_once(
        &self,
        scope: &Scope,
        name: &str,
        record: &Record,
        options: &DeleteOptions,
    ) -> Result<Deleted, Failure> {
        let resource = &scope.resource;
        let live = self.live(record, resource).await?;
        check_preconditions(scope, &live, options)?;
        if is_permanent(resource, name) {
            return Err(forbidden(resource, name, "this namespace may not be deleted").into());
        }
        let user = options.user.as_deref();
        let act = Act { part: Part::Main, operation: Operation::Delete, user, dry_run: options.dry_run };
        let passed = self.admit(scope, act, live.clone(), Some(&live)).await?;
        self.ask_about_deletion(scope, &live, options).await?;

        let mut object = live.clone();
        let now = (self.clock)();
        let wanted = remaining_finalizers(&live, resource, options.propagation_policy.as_deref());
        set_finalizers(&mut object, &wanted);
        metadata::mark_deleted(&mut object, now);
        strategy::mark_deleted(&mut object, resource, &metadata::seconds(now));

        let mut preconditions = vec![Precondition::ModifiedAt(record.key.clone(), record.modified)];
        preconditions.extend(passed.rests_on);
        if is_finished(&object) {
            if !options.dry_run {
                self.commit_one(preconditions, Mutation::Delete(record.key.clone())).await?;
            }
            return Ok(Deleted::Gone(success(&live, resource)));
        }
        if object == live || options.dry_run {
            if let Some(lost) = self.stale(&preconditions).await? {
                return Err(Failure::Lost(lost));
            }
            return Ok(Deleted::Pending(object.into()));
        }
        // What is younger than its definition counts as written under it.
        preconditions.extend(scope.definition_precondition());
        let bytes = conversion::encode_marked(&object, record, resource)?;
        let revision = self.commit_one(preconditions, Mutation::Put(record.key.clone(), bytes.clone())).await?;
        Ok(Deleted::Pending(Codec::written(&bytes, object, revision, resource)))
    }

    /// Deletes what a list finds; what vanished meanwhile counts as deleted. Gives what was found.
    pub(crate) async fn delete_collection(
        &self,
        scope: &Scope,
        list: ListOptions,
        options: &DeleteOptions,
    ) -> Result<List, ApiError> {
        let list = self.list(scope, list).await?;
        let mut targets = Vec::with_capacity(list.items.len());
        for item in &list.items {
            let object = item.value()?;
            targets.push((meta(&object, "namespace").to_owned(), meta(&object, "name").to_owned()));
        }
        self.delete_each(&scope.resource, targets, options).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(list)
    }

    /// Deletes objects by namespace (empty for none) and name, several at once. What vanished meanwhile is left out; one that
    /// cannot be deleted holds up no other.
    pub(super) async fn delete_each(
        &self,
        resource: &Arc<Resource>,
        targets: Vec<(String, String)>,
        options: &DeleteOptions,
    ) -> Vec<Result<Deleted, ApiError>> {
        let deletions = stream::iter(targets).map(|(namespace, name)| async move {
            let scope = Scope { resource: resource.clone(), namespace: Some(namespace).filter(|one| !one.is_empty()) };
            match self.delete(&scope, &name, options).await {
                Err(error) if error.code == 404 => None,
                answer => Some(answer),
            }
        });
        deletions.buffer_unordered(PARALLEL).filter_map(ready).collect().await
    }

    /// Deletes what these records hold, each in the version in which it is stored, so that no webhook is needed.
    pub(super) async fn delete_stored(&self, records: &[Record]) -> Vec<Result<Deleted, ApiError>> {
        let table = self.catalogue.table();
        let mut outcomes = Vec::with_capacity(records.len());
        let mut rest: Vec<_> = records.iter().filter_map(|one| locate(&table, &one.key, &one.value)).collect();
        while let Some((Scope { resource, .. }, _)) = rest.first() {
            let resource = resource.clone();
            let (same, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(scope, _)| Arc::ptr_eq(&scope.resource, &resource));
            rest = others;
            let targets = same.into_iter().map(|(scope, name)| (scope.namespace.unwrap_or_default(), name)).collect();
            outcomes.extend(self.delete_each(&resource, targets, &DeleteOptions::default()).await);
        }
        outcomes
    }
}

fn is_definition(resource: &Resource) -> bool {
    resource.is(EXTENSIONS_GROUP, "customresourcedefinitions")
}

/// The finalizers after the request: the policy decides about the two of the garbage collector.
fn remaining_finalizers<'a>(live: &'a Value, resource: &Resource, policy: Option<&str>) -> Vec<&'a str> {
    let mut remaining = finalizers(live);
    if let Some(policy) = policy {
        remaining.retain(|one| ![ORPHAN, FOREGROUND].contains(one));
        match policy {
            "Orphan" => remaining.push(ORPHAN),
            "Foreground" => remaining.push(FOREGROUND),
            _ => {}
        }
    }
    if is_definition(resource) && !is_deleting(live) && !remaining.contains(&CLEANUP_FINALIZER) {
        remaining.push(CLEANUP_FINALIZER);
    }
    remaining
}

fn check_preconditions(scope: &Scope, live: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    let name = meta(live, "name");
    if let Some(wanted) = options.uid.as_deref().filter(|uid| *uid != meta(live, "uid")) {
        return Err(scope.other_uid(name, wanted, meta(live, "uid")));
    }
    let found = meta(live, "resourceVersion");
    match options.resource_version.as_deref() {
        Some(wanted) if wanted != found => {
            let detail = format!(
                "Precondition failed: ResourceVersion in precondition: {wanted}, ResourceVersion in object meta: {found}"
            );
            Err(ApiError::conflict(&scope.resource.group, &scope.resource.plural, name, &detail))
        }
        _ => Ok(()),
    }
}

/// The answer when the object is gone; clients tell by the uid whether it was made again.
fn success(live: &Value, resource: &Resource) -> Value {
    let mut details = json!({"name": meta(live, "name"), "kind": resource.plural, "uid": meta(live, "uid")});
    if !resource.group.is_empty() {
        details["group"] = resource.group.as_str().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
