//! Owners and their dependents: what goes with whom.
//!
//! A graph of all owner references is kept from a watch; it says where to look. What is to be done is decided on the
//! object as it stands, and done only if it still stands so: whoever changes it meanwhile causes news, and so another look.
//! An object whose owners are all gone is deleted; one that keeps an owner only loses the references to those that are
//! gone. Foreground deletion waits for dependents that block it; orphaning sets them free first.

mod graph;
mod queue;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use essaim_store::{Key, Mutation, Precondition, Record};
use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, FuturesUnordered},
};
use serde_json::Value;

pub(super) use self::graph::{Graph, Uid};
use self::{
    graph::{Node, OwnerReference},
    queue::Queue,
};
use super::{
    DeleteOptions, Registry, Scope, codec,
    commit::Failure,
    conversion,
    object::{FOREGROUND, ORPHAN, finalizers, meta, remove_owner, set_finalizers, unblock_owners},
    tasks::RETRY,
    update::is_finished,
};
use crate::{ApiError, catalogue::Table};

/// What became of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It is there, or nothing can be said: its kind is not served here, or a namespaced one would own a cluster-scoped one.
    Stands,
    /// It goes after its dependents.
    Waits,
    /// Nothing of that kind, name and uid is where the dependent could be owned from.
    Gone,
}

/// How often a small change looks again when somebody else was faster.
const ATTEMPTS: usize = 5;
/// Objects looked at at once: each may wait for a write to be on disk.
const PARALLEL: usize = 16;

impl Registry {
    /// Follows owner references. Ends with the store.
    pub(super) async fn collect_garbage(self: Arc<Self>) {
        let mut follower = self.follow("/registry/");
        let mut table = self.catalogue.changes();
        let graph = Mutex::new(Graph::default());
        let mut queue = Queue::default();
        let mut under_way = FuturesUnordered::new();
        let mut failed: HashSet<Uid> = HashSet::new();
        // An interval, not a sleep begun anew with each piece of news: a busy store would never let that end.
        let mut retry = tokio::time::interval(RETRY);
        retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while under_way.len() < PARALLEL
                && let Some(uid) = queue.take()
            {
                let look = self.tend(&graph, uid.clone());
                under_way.push(async move { (uid, look.await) });
            }
            tokio::select! {
                news = follower.next() => match news {
                    None => return,
                    Some(news) => queue.extend(lock(&graph).learn(&news)),
                },
                Some((uid, outcome)) = under_way.next(), if !under_way.is_empty() => {
                    queue.done(&uid);
                    if let Err(error) = outcome {
                        tracing::warn!(%uid, %error, "cannot collect an object, trying again");
                        failed.insert(uid);
                    }
                }
                // An owner's kind may be known from now on.
                Ok(()) = table.changed() => queue.extend(lock(&graph).all()),
                _ = retry.tick(), if !failed.is_empty() => queue.extend(failed.drain()),
            }
        }
    }

    /// Does what has to be done about one object. Doing it again does nothing.
    pub(super) async fn tend(&self, graph: &Mutex<Graph>, uid: Uid) -> Result<(), ApiError> {
        let Some(known) = lock(graph).node(&uid).cloned() else { return Ok(()) };
        let Some(record) = self.fetch(&known.key).await? else { return Ok(()) };
        let node = Node::read(&record.key, &record.value).filter(|node| node.uid == uid);
        let Some(node) = node else { return Ok(()) };
        // The graph knows all dependents of before the deletion only once it knows of the deletion.
        if node.orphans() {
            return if known.orphans() { self.set_free(graph, &node).await } else { Ok(()) };
        }
        if node.waits() {
            let goes = known.waits() && !lock(graph).is_blocked(&uid);
            return if goes { self.remove_finalizer(&node.key, &uid, FOREGROUND).await } else { Ok(()) };
        }
        if node.deleting || node.owners.is_empty() {
            return Ok(());
        }
        let (mut going, mut stands, mut waits) = (Vec::new(), false, false);
        for owner in &node.owners {
            match self.owner(graph, &node.key, owner).await? {
                Owner::Stands => stands = true,
                Owner::Waits => {
                    waits = true;
                    going.push(&*owner.uid);
                }
                Owner::Gone => going.push(&*owner.uid),
            }
        }
        if !stands {
            return self.delete_dependent(graph, &node, &record, waits).await;
        }
        let revision = record.modified.to_string();
        let drop_owners = |object: &mut Value| {
            if meta(object, "resourceVersion") == revision {
                for uid in &going {
                    remove_owner(object, uid);
                }
            }
        };
        if going.is_empty() { Ok(()) } else { self.amend(&node.key, drop_owners).await }
    }

    /// Takes the owner out of its dependents, then lets it go.
    async fn set_free(&self, graph: &Mutex<Graph>, owner: &Node) -> Result<(), ApiError> {
        let dependents: Vec<Key> = lock(graph).dependents(&owner.uid).map(|node| node.key.clone()).collect();
        let changes = stream::iter(dependents)
            .map(|key| async move { self.amend(&key, |object| remove_owner(object, &owner.uid)).await });
        changes.buffer_unordered(PARALLEL).try_for_each(async |()| Ok(())).await?;
        self.remove_finalizer(&owner.key, &owner.uid, ORPHAN).await
    }

    /// Deletes an object that has no owner any more, if it stands as it was looked at.
    ///
    /// Its own finalizers say what becomes of its dependents; without any, an owner that waits makes it wait for them.
    async fn delete_dependent(
        &self,
        graph: &Mutex<Graph>,
        node: &Node,
        record: &Record,
        owner_waits: bool,
    ) -> Result<(), ApiError> {
        let Some((scope, name)) = locate(&self.catalogue.table(), &node.key, &record.value) else { return Ok(()) };
        let (has_dependents, in_a_ring) = {
            let graph = lock(graph);
            let mut dependents = graph.dependents(&node.uid).peekable();
            (dependents.peek().is_some(), dependents.any(Node::waits))
        };
        if owner_waits && in_a_ring {
            // Both would wait for each other for ever. The change is news, and brings another look.
            let blocks = node.owners.iter().any(|owner| owner.blocks_deletion);
            if blocks {
                return self.amend(&node.key, unblock_owners).await;
            }
        }
        let policy = if node.has_finalizer(ORPHAN) {
            "Orphan"
        } else if node.has_finalizer(FOREGROUND) || owner_waits && has_dependents {
            "Foreground"
        } else {
            "Background"
        };
        let options = DeleteOptions {
            propagation_policy: Some(policy.to_owned()),
            uid: Some(node.uid.to_string()),
            resource_version: Some(record.modified.to_string()),
            ..DeleteOptions::default()
        };
        match self.delete(&scope, &name, &options).await {
            // Gone already.
            Err(error) if error.code == 404 => Ok(()),
            // Changed since it was looked at, and so there will be news of it; else the look is to be repeated.
            Err(error) if error.code == 409 => {
                let standing = self.fetch(&node.key).await?.map(|now| now.modified);
                if standing == Some(record.modified) { Err(error) } else { Ok(()) }
            }
            answer => answer.map(drop),
        }
    }

    /// What became of an owner. It is looked for where the reference says, not by its uid alone.
    async fn owner(&self, graph: &Mutex<Graph>, dependent: &Key, owner: &OwnerReference) -> Result<Owner, ApiError> {
        let key = {
            let table = self.catalogue.table();
            let Some(resource) = table.find_kind(&owner.api_version, &owner.kind) else { return Ok(Owner::Stands) };
            let Some((scope, _)) = locate(&table, dependent, &[]) else { return Ok(Owner::Stands) };
            if resource.namespaced && scope.namespace.is_none() {
                return Ok(Owner::Stands);
            }
            codec::key(resource, scope.namespace.as_deref(), &owner.name)
        };
        let of = |node: &Node| if node.waits() { Owner::Waits } else { Owner::Stands };
        if let Some(known) = lock(graph).node(&owner.uid).filter(|node| node.key == key) {
            return Ok(of(known));
        }
        let found = self.fetch(&key).await?.and_then(|record| Node::read(&key, &record.value));
        Ok(found.filter(|found| found.uid == owner.uid).map_or(Owner::Gone, |found| of(&found)))
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

    /// Changes an object; removes it if nothing holds it any more.
    ///
    /// It is written as any other write of it would be, completed by the present schema: what is younger than its
    /// definition counts as such. An object that is not served keeps the fields that it has.
    pub(super) async fn amend(&self, key: &Key, change: impl Fn(&mut Value) + Send + Sync) -> Result<(), ApiError> {
        let mut scope = locate(&self.catalogue.table(), key, &[]).map(|(scope, _)| scope);
        for _ in 0..ATTEMPTS {
            let Some(record) = self.fetch(key).await? else { return Ok(()) };
            let standing = match &scope {
                Some(scope) => self.codec.marks(&record, &scope.resource)?,
                None => codec::decode_stored(&record)?,
            };
            let mut object = standing.clone();
            change(&mut object);
            if object == standing {
                return Ok(());
            }
            let mut preconditions = vec![Precondition::ModifiedAt(key.clone(), record.modified)];
            let mutation = if is_finished(&object) {
                Mutation::Delete(key.clone())
            } else {
                preconditions.extend(scope.as_ref().and_then(Scope::definition_precondition));
                let bytes = match &scope {
                    Some(scope) => conversion::encode_marked(&object, &record, &scope.resource)?,
                    None => codec::encode_stored(&object)?,
                };
                Mutation::Put(key.clone(), bytes)
            };
            match self.commit_one(preconditions, mutation).await {
                Ok(_) => return Ok(()),
                Err(Failure::Lost(lost)) if lost == *key => {}
                Err(Failure::Lost(_)) => {
                    self.refresh_definitions().await?;
                    scope = locate(&self.catalogue.table(), key, &[]).map(|(scope, _)| scope);
                }
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
        Err(ApiError::too_many_requests())
    }
}

fn lock(graph: &Mutex<Graph>) -> MutexGuard<'_, Graph> {
    graph.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The resource and name of a stored object; nothing if it is not served. The text, if it is known, tells in which version to look at it.
pub(super) fn locate(table: &Table, key: &Key, text: &[u8]) -> Option<(Scope, String)> {
    let resource = table.storing(key, text)?;
    let rest = key.as_str().strip_prefix(&resource.storage_prefix)?;
    let (namespace, name) = match rest.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, rest),
    };
    Some((Scope { resource: resource.clone(), namespace }, name.to_owned()))
}
