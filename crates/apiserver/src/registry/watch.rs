//! What happens from now on, or from a revision on.
//!
//! Invariant: a watch delivers every change that its selectors choose, once and in order, or ends. An object that leaves
//! the selection is DELETED for this watcher, one that enters it is ADDED.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use essaim_store::{Change, ChangeKind, Error, Revision, Store};
use futures::{FutureExt as _, StreamExt as _, stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    ListOptions, Registry, Scope, WatchEvent, WatchOptions, WatchStream,
    codec::{self, Codec},
    commit::store_error,
    conversion,
    list::{forbidden, parse_revision, unsupported_match},
    selection::Selection,
};
use crate::{
    ApiError,
    catalogue::{Resource, Table},
};

const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);
/// Watches without a time limit end by chance between once and twice this, so that they do not come back together.
const SHORTEST: Duration = Duration::from_mins(30);
/// So many initial events go out together.
const INITIAL_BATCH: usize = 256;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// With what is there, at this revision or later.
    State { not_older_than: Revision, bookmark: bool },
    /// With what comes.
    Now,
    /// With what came after this revision.
    After(Revision),
}

struct Watcher {
    store: Arc<dyn Store>,
    codec: Codec,
    scope: Scope,
    selection: Selection,
    changes: essaim_store::Watch,
    table: watch::Receiver<Arc<Table>>,
    initial: VecDeque<Vec<WatchEvent>>,
    /// Everything up to here was delivered or does not concern this watcher.
    seen: Revision,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    /// The resource is not served any more; what happened before is still told.
    gone: bool,
    ended: bool,
}

impl Registry {
    /// A stream of events. An error after this point is an event of the stream, its last one.
    pub(crate) async fn watch(&self, scope: &Scope, options: WatchOptions) -> Result<WatchStream, ApiError> {
        let start = Start::of(&options)?;
        // The resource was looked up before; whether it changed since then is the first thing to find out.
        let mut table = self.catalogue.changes();
        table.mark_changed();
        let selection = Selection::new(options.selectors.clone(), &scope.resource)?;
        let (initial, after) = match start {
            Start::State { not_older_than, bookmark } => {
                self.wait_for(not_older_than).await?;
                self.initial_events(scope, &options, bookmark).await?
            }
            Start::Now => (VecDeque::new(), self.store.revision()),
            Start::After(revision) => {
                self.wait_for(revision).await?;
                (VecDeque::new(), revision)
            }
        };
        let prefix = codec::prefix(&scope.resource, scope.namespace.as_deref());
        let changes = match self.store.watch(&prefix, after) {
            Ok(changes) => changes,
            Err(error) => return Ok(failed(error)),
        };
        let now = Instant::now();
        let watcher = Watcher {
            store: self.store.clone(),
            codec: self.codec.clone(),
            scope: scope.clone(),
            selection,
            changes,
            table,
            initial,
            seen: after,
            bookmarks: options.bookmarks,
            next_bookmark: now + BOOKMARK_INTERVAL,
            deadline: now + options.timeout.unwrap_or_else(random_timeout),
            gone: false,
            ended: false,
        };
        Ok(Box::pin(stream::unfold(watcher, |mut watcher| async move {
            let events = watcher.next().await?;
            Some((events, watcher))
        })))
    }

    async fn initial_events(
        &self,
        scope: &Scope,
        options: &WatchOptions,
        bookmark: bool,
    ) -> Result<(VecDeque<Vec<WatchEvent>>, Revision), ApiError> {
        let list = ListOptions { selectors: options.selectors.clone(), ..ListOptions::default() };
        let list = self.list(scope, list).await?;
        let mut events: Vec<_> = list.items.into_iter().map(|object| WatchEvent::Object("ADDED", object)).collect();
        if bookmark {
            events.push(WatchEvent::Bookmark(list.revision, true));
        }
        Ok((events.chunks(INITIAL_BATCH).map(<[WatchEvent]>::to_vec).collect(), list.revision))
    }
}

/// A watch that cannot begin: the client learns it from the stream, where all clients look.
fn failed(error: Error) -> WatchStream {
    let event = WatchEvent::Error(Arc::new(store_error(error)));
    Box::pin(stream::once(async { vec![event] }))
}

fn random_timeout() -> Duration {
    let mut random = [0; 2];
    // Without randomness all watches end after the shortest time, which is right too.
    let chance = getrandom::fill(&mut random).map_or(0, |()| u16::from_le_bytes(random));
    SHORTEST + SHORTEST * u32::from(chance) / u32::from(u16::MAX)
}

impl Watcher {
    /// The next batch of events; `None` ends the stream.
    ///
    /// The order matters: changes come before the end of their resource, so that the last deletions are still told.
    async fn next(&mut self) -> Option<Vec<WatchEvent>> {
        if self.ended {
            return None;
        }
        if let Some(events) = self.initial.pop_front() {
            return Some(events);
        }
        loop {
            let events = tokio::select! {
                biased;
                () = sleep_until(self.deadline) => {
                    self.ended = true;
                    self.bookmark().await
                }
                batch = self.changes.next() => self.batch(batch).await,
                // The sender goes with the registry; then nothing changes any more.
                Ok(()) = self.table.changed(), if !self.gone => {
                    self.renew();
                    Vec::new()
                }
                () = std::future::ready(()), if self.gone => {
                    self.ended = true;
                    Vec::new()
                }
                () = sleep_until(self.next_bookmark), if self.bookmarks => self.bookmark().await,
            };
            if !events.is_empty() {
                return Some(events);
            }
            if self.ended {
                return None;
            }
        }
    }

    /// What a batch of changes means here; the end and an error end the stream.
    async fn batch(&mut self, batch: Option<Result<Vec<Arc<Change>>, Error>>) -> Vec<WatchEvent> {
        match batch {
            None | Some(Err(Error::Closed)) => {
                self.ended = true;
                Vec::new()
            }
            Some(Err(error)) => self.fail(store_error(error)),
            Some(Ok(changes)) => self.events(changes).await,
        }
    }

    async fn events(&mut self, mut changes: Vec<Arc<Change>>) -> Vec<WatchEvent> {
        if self.table.has_changed().unwrap_or(false) {
            self.renew();
        }
        if self.scope.resource.conversion.is_some() {
            changes = match self.converted(changes).await {
                Ok(converted) => converted,
                Err(error) => return self.fail(error),
            };
        }
        let mut events = Vec::with_capacity(changes.len());
        for change in &changes {
            self.seen = change.revision;
            match self.event(change) {
                Ok(event) => events.extend(event),
                Err(error) => {
                    events.extend(self.fail(error));
                    return events;
                }
            }
        }
        events
    }

    /// What this watcher may see of the changes, in its version. It waits for no others.
    async fn converted(&mut self, mut changes: Vec<Arc<Change>>) -> Result<Vec<Arc<Change>>, ApiError> {
        changes.retain(|change| !self.is_about_another(change));
        conversion::served_changes(changes, !self.selection.is_everything(), &self.scope.resource).await
    }

    fn is_about_another(&self, change: &Change) -> bool {
        self.selection.only_name().is_some_and(|name| change.key.as_str().rsplit('/').next() != Some(name))
    }

    fn event(&self, change: &Change) -> Result<Option<WatchEvent>, ApiError> {
        if self.is_about_another(change) {
            return Ok(None);
        }
        let resource: &Resource = &self.scope.resource;
        let (was, is) = if self.selection.is_everything() {
            (change.previous.is_some(), change.kind != ChangeKind::Deleted)
        } else {
            self.codec.choose(change, resource, |object| self.selection.matches(object))?
        };
        Ok(match (was, is) {
            (false, true) => Some(WatchEvent::Object("ADDED", self.codec.present_change(change, resource)?)),
            (true, true) => Some(WatchEvent::Object("MODIFIED", self.codec.present_change(change, resource)?)),
            (true, false) => Some(WatchEvent::Object("DELETED", self.codec.present_previous(change, resource)?)),
            (false, false) => None,
        })
    }

    fn fail(&mut self, error: ApiError) -> Vec<WatchEvent> {
        self.ended = true;
        vec![WatchEvent::Error(Arc::new(error))]
    }

    /// A revision up to which everything was delivered, with what had to be delivered first.
    ///
    /// Assumption: a store whose `revision` is R hands out all changes up to R without waiting.
    async fn bookmark(&mut self) -> Vec<WatchEvent> {
        self.next_bookmark = Instant::now() + BOOKMARK_INTERVAL;
        if !self.bookmarks {
            return Vec::new();
        }
        let (newest, mut events) = (self.store.revision(), Vec::new());
        while self.seen < newest {
            // Unconstrained: otherwise a spent budget of the executor would look like a silent store.
            match tokio::task::unconstrained(self.changes.next()).now_or_never() {
                None => self.seen = newest,
                Some(batch @ Some(Ok(_))) => events.extend(self.batch(batch).await),
                Some(end) => {
                    events.extend(self.batch(end).await);
                    return events;
                }
            }
        }
        events.push(WatchEvent::Bookmark(self.seen, false));
        events
    }

    /// Takes the resource as it is served now, or notes that it is not any more.
    fn renew(&mut self) {
        let Resource { group, version, plural, .. } = &*self.scope.resource;
        let renewed = self.table.borrow_and_update().find(group, version, plural).cloned();
        match renewed {
            Some(renewed) => self.scope.resource = renewed,
            None => self.gone = true,
        }
    }
}

impl Start {
    /// What the parameters ask for, as Kubernetes reads them.
    fn of(options: &WatchOptions) -> Result<Self, ApiError> {
        let rule = options.resource_version_match.as_deref().filter(|text| !text.is_empty());
        match (options.send_initial_events, rule) {
            (None, Some("Exact" | "NotOlderThan")) => {
                return Err(forbidden(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            (Some(_), None | Some("Exact")) => {
                return Err(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
            }
            (_, Some(other)) if other != "NotOlderThan" => return Err(unsupported_match(other)),
            _ => {}
        }
        let revision =
            options.resource_version.as_deref().filter(|text| !text.is_empty()).map(parse_revision).transpose()?;
        let revision = revision.unwrap_or_default();
        Ok(match (options.send_initial_events, revision) {
            (Some(true), not_older_than) => Self::State { not_older_than, bookmark: options.bookmarks },
            (Some(false), Revision(0)) => Self::Now,
            (None, Revision(0)) => Self::State { not_older_than: Revision(0), bookmark: false },
            (_, revision) => Self::After(revision),
        })
    }
}
