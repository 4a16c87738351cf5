//! The table of routes, kept equal to the NotebookServers by a watch.
//!
//! While the API is away the table stays as it was, and it is replaced in one step by the next complete list: a
//! restart of the API never makes a server vanish.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};

use essaim_api::NotebookServer;
use futures::StreamExt as _;
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};

use crate::error::chain;
use crate::options::Reach;
use crate::route::{self, Key, Route};

type Table = BTreeMap<Key, Arc<Route>>;

/// All routes. Reading takes a short std lock: nothing waits while holding it.
pub(crate) struct Routes {
    reach: Reach,
    /// `None` until the first complete list: "not known yet" is not "does not exist".
    table: RwLock<Option<Table>>,
}

/// What the table knows about a server.
pub(crate) enum Lookup {
    NotLoaded,
    Absent,
    Found(Arc<Route>),
}

impl Routes {
    pub(crate) fn new(reach: Reach) -> Self {
        Self { reach, table: RwLock::new(None) }
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.read(Option::is_some)
    }

    pub(crate) fn find(&self, key: &Key) -> Lookup {
        self.read(|table| match table.as_ref().map(|table| table.get(key)) {
            None => Lookup::NotLoaded,
            Some(None) => Lookup::Absent,
            Some(Some(route)) => Lookup::Found(Arc::clone(route)),
        })
    }

    /// The servers of one namespace by name; `None` until the first complete list.
    pub(crate) fn of_namespace(&self, namespace: &str) -> Option<Vec<(String, Arc<Route>)>> {
        let first = Key { namespace: namespace.to_owned(), name: String::new() };
        self.read(|table| {
            let from_first = table.as_ref()?.range(first..);
            let own = from_first.take_while(|(key, _)| key.namespace == namespace);
            Some(own.map(|(key, route)| (key.name.clone(), Arc::clone(route))).collect())
        })
    }

    /// Follows the NotebookServers for ever. Cancellation: may be dropped at any moment.
    pub(crate) async fn follow(&self, client: Client) {
        // Objects are read loosely: one that a newer version wrote must not stop the whole list.
        let kind = ApiResource::erase::<NotebookServer>(&());
        let servers = Api::<DynamicObject>::all_with(client, &kind);
        let mut events = pin!(watcher::watcher(servers, watcher::Config::default()).default_backoff());
        let mut listed = Table::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.take_in(event, &mut listed),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "cannot follow the notebook servers, will try again");
                }
            }
        }
    }

    fn take_in(&self, event: Event<DynamicObject>, listed: &mut Table) {
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                listed.extend(self.entry(object));
            }
            Event::InitDone => {
                let complete = std::mem::take(listed);
                tracing::info!(servers = complete.len(), "the routes are loaded");
                *self.table.write().unwrap_or_else(PoisonError::into_inner) = Some(complete);
            }
            Event::Apply(object) => {
                let entry = self.entry(object);
                self.change(|table| table.extend(entry));
            }
            Event::Delete(object) => {
                let key = object.namespace().map(|namespace| Key { namespace, name: object.name_any() });
                self.change(|table| {
                    key.and_then(|key| table.remove(&key));
                });
            }
        }
    }

    fn entry(&self, object: DynamicObject) -> Option<(Key, Arc<Route>)> {
        route::from_object(object, self.reach).map(|(key, route)| (key, Arc::new(route)))
    }

    fn change(&self, change: impl FnOnce(&mut Table)) {
        if let Some(table) = self.table.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            change(table);
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Option<Table>) -> T) -> T {
        read(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}
