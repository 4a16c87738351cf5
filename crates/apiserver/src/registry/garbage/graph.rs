//! Who owns whom, as the changes tell it. Pure.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use essaim_store::{Change, ChangeKind, Key};
use serde::Deserialize;

use crate::registry::{
    object::{FOREGROUND, ORPHAN, OwnerReference},
    tasks::News,
};

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) deleting: bool,
    finalizers: Vec<String>,
}

impl Node {
    /// What the stored text says; nothing if it is no object.
    pub(super) fn read(key: &Key, bytes: &[u8]) -> Option<Self> {
        let Head { metadata } = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            key: key.clone(),
            uid: metadata.uid,
            owners: metadata.owner_references.into_iter().map(OwnerReference::from).collect(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers,
        })
    }

    /// Whether its deletion waits for dependents to go.
    pub(super) fn waits(&self) -> bool {
        self.deleting && self.has_finalizer(FOREGROUND)
    }

    /// Whether its deletion waits for dependents to be set free.
    pub(super) fn orphans(&self) -> bool {
        self.deleting && self.has_finalizer(ORPHAN)
    }

    pub(super) fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers.iter().any(|one| one == finalizer)
    }

    /// Whether the deletion of an owner waits for this object.
    pub(super) fn blocks(&self, owner: &str) -> bool {
        self.owners.iter().any(|one| one.uid == owner && one.blocks_deletion)
    }
}

/// All objects, by uid.
#[derive(Default)]
pub(in crate::registry) struct Graph {
    nodes: HashMap<String, Node>,
    uids: HashMap<Key, String>,
    dependents: HashMap<String, BTreeSet<String>>,
}

impl Graph {
    pub(super) fn node(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// The objects that name this owner.
    pub(super) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Node> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|uid| self.nodes.get(uid))
    }

    /// Everything about which there may be something to do.
    pub(super) fn all(&self) -> Vec<String> {
        let interesting = self.nodes.values().filter(|node| !node.owners.is_empty() || node.deleting);
        interesting.map(|node| node.uid.clone()).collect()
    }

    /// Whether a dependent holds up the deletion of this owner.
    pub(super) fn is_blocked(&self, uid: &str) -> bool {
        self.dependents(uid).any(|dependent| dependent.blocks(uid))
    }

    /// Takes news in; gives the objects that they may concern.
    pub(super) fn learn(&mut self, news: &News) -> Vec<String> {
        match news {
            News::All(records) => {
                *self = Self::default();
                for record in records {
                    self.put(&record.key, &record.value);
                }
                self.all()
            }
            News::Changes(changes) => changes.iter().flat_map(|change| self.apply(change)).collect(),
        }
    }

    /// Takes a change in; gives the objects that it may concern.
    fn apply(&mut self, change: &Arc<Change>) -> Vec<String> {
        match change.kind {
            ChangeKind::Deleted => self.remove(&change.key),
            ChangeKind::Created | ChangeKind::Updated => self.put(&change.key, &change.value),
        }
    }

    /// Takes an object in; gives the objects that it may concern.
    pub(in crate::registry) fn put(&mut self, key: &Key, bytes: &[u8]) -> Vec<String> {
        let mut concerned = Vec::new();
        let Some(node) = Node::read(key, bytes) else { return concerned };
        let unchanged_name = self.uids.get(key) == Some(&node.uid);
        let before: Vec<String> = if unchanged_name { self.owners_of(&node.uid) } else { Vec::new() };
        let waited = self.nodes.get(&node.uid).is_some_and(Node::waits);
        concerned.extend(self.forget(key, unchanged_name));
        if node.waits() && !waited {
            concerned.extend(self.dependents.get(&node.uid).into_iter().flatten().cloned());
        }
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(node.uid.clone());
        }
        let owners = before.into_iter().chain(node.owners.iter().map(|owner| owner.uid.clone()));
        concerned.extend(owners.filter(|uid| self.nodes.get(uid).is_some_and(|owner| owner.deleting)));
        if !node.owners.is_empty() || node.deleting {
            concerned.push(node.uid.clone());
        }
        self.uids.insert(key.clone(), node.uid.clone());
        self.nodes.insert(node.uid.clone(), node);
        concerned
    }

    fn remove(&mut self, key: &Key) -> Vec<String> {
        self.forget(key, false)
    }

    /// Takes an object out; gives its dependents, unless it comes right back, and the owners that may wait for it.
    fn forget(&mut self, key: &Key, comes_back: bool) -> Vec<String> {
        let Some(node) = self.uids.remove(key).and_then(|uid| self.nodes.remove(&uid)) else { return Vec::new() };
        let mut concerned = Vec::new();
        for owner in &node.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(&node.uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
            if !comes_back {
                concerned.push(owner.uid.clone());
            }
        }
        if !comes_back {
            concerned.extend(self.dependents.get(&node.uid).into_iter().flatten().cloned());
        }
        concerned
    }

    fn owners_of(&self, uid: &str) -> Vec<String> {
        self.nodes.get(uid).into_iter().flat_map(|node| &node.owners).map(|owner| owner.uid.clone()).collect()
    }
}

/// The few fields that matter here; the rest of the object is skipped, not built.
#[derive(Deserialize)]
struct Head {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    #[serde(default)]
    owner_references: Vec<Reference>,
    #[serde(default)]
    finalizers: Vec<String>,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Reference {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    block_owner_deletion: Option<bool>,
}

impl From<Reference> for OwnerReference {
    fn from(reference: Reference) -> Self {
        let Reference { api_version, kind, name, uid, block_owner_deletion } = reference;
        Self { api_version, kind, name, uid, blocks_deletion: block_owner_deletion.unwrap_or(false) }
    }
}
