//! Who owns whom, as the changes tell it. Pure.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use essaim_store::{Change, ChangeKind, Key};
use serde::Deserialize;

use crate::registry::{
    object::{FOREGROUND, ORPHAN},
    tasks::News,
};

/// A uid. The same text stands in several places here, which share it.
pub(in crate::registry) type Uid = Arc<str>;

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Debug)]
pub(super) struct OwnerReference {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: Uid,
    pub(super) blocks_deletion: bool,
}

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) key: Key,
    pub(super) uid: Uid,
    pub(super) owners: Box<[OwnerReference]>,
    pub(super) deleting: bool,
    finalizers: Box<[String]>,
}

impl Node {
    /// What the stored text says; nothing if it is no object.
    pub(super) fn read(key: &Key, bytes: &[u8]) -> Option<Self> {
        let Head { metadata } = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            key: key.clone(),
            uid: metadata.uid.into(),
            owners: metadata.owner_references.into_iter().map(OwnerReference::from).collect(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.into(),
        })
    }

    /// Whether there may be something to do about it.
    fn matters(&self) -> bool {
        !self.owners.is_empty() || self.deleting
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
        self.owners.iter().any(|one| *one.uid == *owner && one.blocks_deletion)
    }
}

/// The objects that have owners or are being deleted, by uid.
///
/// The others, which are most, are left out: that an owner stands, the store says.
#[derive(Default)]
pub(in crate::registry) struct Graph {
    nodes: HashMap<Uid, Node>,
    uids: HashMap<Key, Uid>,
    dependents: HashMap<Uid, BTreeSet<Uid>>,
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
    pub(super) fn all(&self) -> Vec<Uid> {
        self.nodes.keys().cloned().collect()
    }

    /// Whether a dependent holds up the deletion of this owner.
    pub(super) fn is_blocked(&self, uid: &str) -> bool {
        self.dependents(uid).any(|dependent| dependent.blocks(uid))
    }

    /// Takes news in; gives the objects that they may concern.
    pub(super) fn learn(&mut self, news: &News) -> Vec<Uid> {
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
    fn apply(&mut self, change: &Arc<Change>) -> Vec<Uid> {
        match change.kind {
            ChangeKind::Deleted => self.remove(change),
            ChangeKind::Created | ChangeKind::Updated => self.put(&change.key, &change.value),
        }
    }

    /// Takes an object in; gives the objects that it may concern.
    pub(in crate::registry) fn put(&mut self, key: &Key, bytes: &[u8]) -> Vec<Uid> {
        let mut concerned = Vec::new();
        let Some(node) = Node::read(key, bytes) else { return concerned };
        let unchanged_name = self.uids.get(key) == Some(&node.uid);
        let before: Vec<Uid> = if unchanged_name { self.owners_of(&node.uid) } else { Vec::new() };
        let waited = self.nodes.get(&node.uid).is_some_and(Node::waits);
        concerned.extend(self.forget(key, unchanged_name));
        if node.waits() && !waited {
            concerned.extend(self.named_by(&node.uid));
        }
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(node.uid.clone());
        }
        let owners = before.into_iter().chain(node.owners.iter().map(|owner| owner.uid.clone()));
        concerned.extend(owners.filter(|uid| self.nodes.get(uid).is_some_and(|owner| owner.deleting)));
        if node.matters() {
            concerned.push(node.uid.clone());
            self.uids.insert(key.clone(), node.uid.clone());
            self.nodes.insert(node.uid.clone(), node);
        }
        concerned
    }

    fn remove(&mut self, change: &Change) -> Vec<Uid> {
        if self.uids.contains_key(&change.key) {
            return self.forget(&change.key, false);
        }
        let previous = change.previous.as_ref().and_then(|record| Node::read(&record.key, &record.value));
        previous.map_or_else(Vec::new, |node| self.named_by(&node.uid))
    }

    /// Takes an object out; gives its dependents, unless it comes right back, and the owners that may wait for it.
    fn forget(&mut self, key: &Key, comes_back: bool) -> Vec<Uid> {
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
            concerned.extend(self.named_by(&node.uid));
        }
        concerned
    }

    /// Those who name it as their owner.
    fn named_by(&self, uid: &str) -> Vec<Uid> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    fn owners_of(&self, uid: &str) -> Vec<Uid> {
        self.nodes.get(uid).into_iter().flat_map(|node| &*node.owners).map(|owner| owner.uid.clone()).collect()
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
        Self { api_version, kind, name, uid: uid.into(), blocks_deletion: block_owner_deletion.unwrap_or(false) }
    }
}
