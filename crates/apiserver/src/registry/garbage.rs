//! Owners and their dependents: what goes with whom.
//!
//! A graph of all owner references is kept from a watch. An object whose owners are all gone is deleted; one that keeps an
//! owner only loses the references to those that are gone. Before anything is taken for gone it is looked up, by uid.
//! Foreground deletion waits for dependents that block it; orphaning sets them free first.

mod graph;

use std::{collections::HashSet, sync::Arc};

use essaim_store::{Key, Mutation, Precondition};
use serde_json::Value;

use self::graph::Graph;
use super::{
    DeleteOptions, Registry, Scope, codec,
    commit::Failure,
    object::{FOREGROUND, ORPHAN, OwnerReference, finalizers, meta, remove_owner, set_finalizers},
    tasks::{News, RETRY},
    update::is_finished,
};
use crate::{ApiError, catalogue::Table};

/// What became of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Stands,
    Gone,
    /// Its kind is not served here, or the reference crosses namespaces: nothing can be said.
    Unknown,
}

/// How often a small change looks again when somebody else was faster.
const ATTEMPTS: usize = 5;

impl Registry {
    /// Follows owner references. Ends with the store.
    pub(super) async fn collect_garbage(self: Arc<Self>) {
        let mut follower = self.follow("/registry/");
        let mut table = self.catalogue.changes();
        let mut graph = Graph::default();
        let mut failed: HashSet<String> = HashSet::new();
        // An interval, not a sleep begun anew with each piece of news: a busy store would never let that end.
        let mut retry = tokio::time::interval(RETRY);
        retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut queue: Vec<String> = Vec::new();
            tokio::select! {
                news = follower.next() => match news {
                    None => return,
                    Some(News::All(records)) => {
                        graph = Graph::default();
                        for record in &records {
                            graph.put(&record.key, &record.value);
                        }
                        queue.extend(graph.all());
                    }
                    Some(News::Changes(changes)) => queue.extend(changes.iter().flat_map(|change| graph.apply(change))),
                },
                // An owner's kind may be known from now on.
                Ok(()) = table.changed() => queue.extend(graph.all()),
                _ = retry.tick(), if !failed.is_empty() => queue.extend(failed.drain()),
            }
            queue.dedup();
            for uid in queue {
                if let Err(error) = self.tend(&graph, &uid).await {
                    tracing::warn!(%uid, %error, "cannot collect an object, trying again");
                    failed.insert(uid);
                }
            }
        }
    }

    /// Does what the graph says about one object. Doing it again does nothing.
    async fn tend(&self, graph: &Graph, uid: &str) -> Result<(), ApiError> {
        let Some(node) = graph.node(uid) else { return Ok(()) };
        if node.orphans() {
            for dependent in graph.dependents(uid) {
                self.amend(&dependent.key, |object| remove_owner(object, uid)).await?;
            }
            return self.remove_finalizer(&node.key, uid, ORPHAN).await;
        }
        if node.waits() {
            return self.delete_dependents(graph, uid, &node.key).await;
        }
        if node.owners.is_empty() || node.deleting {
            return Ok(());
        }
        let mut gone = Vec::new();
        let mut keeps = false;
        for owner in &node.owners {
            match self.owner(graph, &node.key, owner).await? {
                Owner::Gone => gone.push(owner.uid.clone()),
                Owner::Stands | Owner::Unknown => keeps = true,
            }
        }
        if !keeps {
            return self.delete_by_key(&node.key, uid, "Background").await;
        }
        if gone.is_empty() {
            return Ok(());
        }
        self.amend(&node.key, |object| gone.iter().for_each(|uid| remove_owner(object, uid))).await
    }

    /// Foreground: the dependents first, then, when none blocks any more, the owner.
    async fn delete_dependents(&self, graph: &Graph, uid: &str, key: &Key) -> Result<(), ApiError> {
        let mut blocked = false;
        for dependent in graph.dependents(uid) {
            blocked |= dependent.owners.iter().any(|owner| owner.uid == uid && owner.blocks_deletion);
            let kept = dependent
                .owners
                .iter()
                .any(|owner| owner.uid != uid && graph.node(&owner.uid).is_some_and(|one| !one.deleting));
            if kept {
                self.amend(&dependent.key, |object| remove_owner(object, uid)).await?;
            } else if !dependent.deleting {
                self.delete_by_key(&dependent.key, &dependent.uid, "Foreground").await?;
            }
        }
        if blocked { Ok(()) } else { self.remove_finalizer(key, uid, FOREGROUND).await }
    }

    /// Whether an owner is there; what the graph does not know is looked up.
    async fn owner(&self, graph: &Graph, dependent: &Key, owner: &OwnerReference) -> Result<Owner, ApiError> {
        if graph.node(&owner.uid).is_some() {
            return Ok(Owner::Stands);
        }
        let table = self.catalogue.table();
        let Some(resource) = table.find_kind(&owner.api_version, &owner.kind) else { return Ok(Owner::Unknown) };
        let Some((scope, _)) = locate(&table, dependent) else { return Ok(Owner::Unknown) };
        if resource.namespaced && scope.namespace.is_none() {
            return Ok(Owner::Unknown);
        }
        let key = codec::key(resource, scope.namespace.as_deref(), &owner.name);
        let found = self.fetch(&key).await?.map(|record| codec::decode_stored(&record)).transpose()?;
        Ok(if found.is_some_and(|found| meta(&found, "uid") == owner.uid) { Owner::Stands } else { Owner::Gone })
    }

    async fn delete_by_key(&self, key: &Key, uid: &str, policy: &str) -> Result<(), ApiError> {
        let Some((scope, name)) = locate(&self.catalogue.table(), key) else { return Ok(()) };
        let options = DeleteOptions {
            propagation_policy: Some(policy.to_owned()),
            uid: Some(uid.to_owned()),
            ..DeleteOptions::default()
        };
        match self.delete(&scope, &name, &options).await {
            // Gone already, or another one of that name.
            Err(error) if matches!(error.code, 404 | 409) => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn remove_finalizer(&self, key: &Key, uid: &str, finalizer: &str) -> Result<(), ApiError> {
        self.amend(key, |object| {
            if meta(object, "uid") == uid {
                let kept: Vec<String> =
                    finalizers(object).into_iter().filter(|one| *one != finalizer).map(str::to_owned).collect();
                set_finalizers(object, &kept.iter().map(String::as_str).collect::<Vec<_>>());
            }
        })
        .await
    }

    /// Changes an object as it is stored; removes it if nothing holds it any more.
    pub(super) async fn amend(&self, key: &Key, change: impl Fn(&mut Value) + Send + Sync) -> Result<(), ApiError> {
        for _ in 0..ATTEMPTS {
            let Some(record) = self.fetch(key).await? else { return Ok(()) };
            let standing = codec::decode_stored(&record)?;
            let mut object = standing.clone();
            change(&mut object);
            if object == standing {
                return Ok(());
            }
            let mutation = if is_finished(&object) {
                Mutation::Delete(key.clone())
            } else {
                Mutation::Put(key.clone(), codec::encode_stored(&object)?)
            };
            match self.commit_one(vec![Precondition::ModifiedAt(key.clone(), record.modified)], mutation).await {
                Ok(_) => return Ok(()),
                Err(Failure::Lost(_)) => {}
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
        Err(ApiError::too_many_requests())
    }
}

/// The resource and name of a stored object; nothing if its resource is not served.
fn locate(table: &Table, key: &Key) -> Option<(Scope, String)> {
    let (resource, rest) =
        table.storages().find_map(|one| Some((one, key.as_str().strip_prefix(&one.storage_prefix)?)))?;
    let (namespace, name) = match rest.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, rest),
    };
    Some((Scope { resource: resource.clone(), namespace }, name.to_owned()))
}
