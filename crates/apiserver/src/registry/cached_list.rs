//! Whole small collections, for those who read them at every request: roles and their bindings.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use essaim_store::Revision;
use serde_json::Value;

use super::{ListOptions, Presented, Registry, Scope, codec, tasks::News};
use crate::{ApiError, catalogue::Resource};

/// When each resource last changed, and lists made since. A std mutex: it is held for a lookup.
#[derive(Default)]
pub(super) struct CachedLists {
    state: Mutex<State>,
}

/// All objects of a resource.
type Objects = Arc<Vec<Arc<Value>>>;

#[derive(Default)]
struct State {
    /// By storage prefix; those of single namespaces only where somebody asked for their list.
    changed: HashMap<String, Revision>,
    /// By identity of the resource and the prefix that was listed.
    lists: HashMap<(u64, String), (Revision, Objects)>,
    /// Lists from before this revision may lack what nobody noted.
    noted_since: Revision,
}

impl CachedLists {
    /// Notes a change; it counts for the next reader.
    pub(super) fn touched(&self, key: &str, revision: Revision) {
        let Some(prefix) = storage_prefix(key) else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.changed.get_mut(prefix) {
            Some(changed) => *changed = revision.max(*changed),
            None => drop(state.changed.insert(prefix.to_owned(), revision)),
        }
        if let Some(changed) = key.rfind('/').and_then(|end| state.changed.get_mut(&key[..=end])) {
            *changed = revision.max(*changed);
        }
    }

    /// Some changes went by unnoted, deletions among them: whatever was listed before this revision is void.
    pub(super) fn missed(&self, revision: Revision) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.noted_since = revision.max(state.noted_since);
    }

    fn current(&self, resource: &Resource, prefix: &str) -> Option<Objects> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(changed) = state.changed.get(prefix).copied() else {
            // From here on changes under the prefix are noted, before it is listed for the first time.
            state.changed.insert(prefix.to_owned(), Revision::default());
            return None;
        };
        let changed = changed.max(state.noted_since);
        let kept = state.lists.get(&(resource.identity, prefix.to_owned()));
        kept.filter(|(revision, _)| *revision >= changed).map(|(_, list)| list.clone())
    }

    fn keep(&self, resource: &Resource, prefix: String, revision: Revision, list: &Objects) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = state.lists.entry((resource.identity, prefix)).or_default();
        if newest.0 <= revision {
            *newest = (revision, list.clone());
        }
    }
}

/// `/registry/<group>/<plural>/` of a key.
fn storage_prefix(key: &str) -> Option<&str> {
    let (end, _) = key.match_indices('/').nth(3)?;
    Some(&key[..=end])
}

impl Registry {
    /// All objects of a resource in all namespaces, parsed. Sees every write that this process has answered, and those of
    /// other processes as soon as their watch events arrive.
    pub(crate) async fn cached_list(&self, resource: &Arc<Resource>) -> Result<Objects, ApiError> {
        self.cached_objects(resource, None).await
    }

    /// The same for one namespace: writes in other namespaces do not make it read again. For namespaces that the server
    /// itself chooses, since what is kept for them is kept for good.
    pub(crate) async fn cached_list_in(&self, resource: &Arc<Resource>, namespace: &str) -> Result<Objects, ApiError> {
        self.cached_objects(resource, Some(namespace)).await
    }

    async fn cached_objects(&self, resource: &Arc<Resource>, namespace: Option<&str>) -> Result<Objects, ApiError> {
        let prefix = codec::prefix(resource, namespace);
        if let Some(list) = self.cached_lists.current(resource, &prefix) {
            return Ok(list);
        }
        let scope = Scope { resource: resource.clone(), namespace: namespace.map(str::to_owned) };
        let list = self.list(&scope, ListOptions::default()).await?;
        let objects = Arc::new(list.items.iter().map(Presented::value).collect::<Result<Vec<_>, _>>()?);
        self.cached_lists.keep(resource, prefix, list.revision, &objects);
        Ok(objects)
    }

    /// Notes the changes that other processes make. Ends with the store.
    pub(super) async fn note_changes(self: Arc<Self>) {
        let mut follower = self.follow("/registry/");
        while let Some(news) = follower.next().await {
            match news {
                News::All(_) => self.cached_lists.missed(self.store.revision()),
                News::Changes(changes) => {
                    for change in changes {
                        self.cached_lists.touched(change.key.as_str(), change.revision);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use essaim_store::Revision;

    use super::CachedLists;
    use crate::catalogue::Catalogue;

    #[test]
    fn a_list_counts_until_a_change_is_noted_or_may_have_been_missed() {
        let (lists, roles) = (CachedLists::default(), Catalogue::new().find("", "v1", "configmaps").unwrap());
        let (prefix, empty) = (roles.storage_prefix.clone(), Arc::default());
        let has = || lists.current(&roles, &prefix).is_some();
        assert!(!has());
        lists.keep(&roles, prefix.clone(), Revision(5), &empty);
        assert!(has());
        lists.touched(&format!("{prefix}ns/a"), Revision(6));
        assert!(!has());
        lists.keep(&roles, prefix.clone(), Revision(7), &empty);
        lists.missed(Revision(8));
        assert!(!has());
        lists.keep(&roles, prefix.clone(), Revision(8), &empty);
        assert!(has());
    }
}
