//! The registry's own work: opening, and the tasks that run as long as the server does.

use std::{sync::Arc, time::Duration};

use essaim_store::{Change, Error, ListRequest, Record, Store, Watch};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Registry;
use crate::ApiError;

/// How long to wait before looking again after a failure.
pub(super) const RETRY: Duration = Duration::from_secs(1);

impl Registry {
    /// Reads the CustomResourceDefinitions, opens the books of the quotas and makes the first namespaces. Nothing is served before.
    pub(crate) async fn open(&self) -> Result<(), ApiError> {
        self.settle_definitions().await?;
        self.open_books().await?;
        self.make_first_namespaces().await?;
        self.make_default_accounts().await
    }

    /// Starts the tasks; they live until `stop`, or as long as the set, and may be ended at any moment.
    pub(crate) fn spawn_tasks(self: &Arc<Self>, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
        let mut start = |task: BoxFuture<'static, ()>| {
            let stop = stop.clone();
            tasks.spawn(async move { stop.run_until_cancelled(task).await.unwrap_or_default() });
        };
        start(self.clone().note_changes().boxed());
        start(self.clone().keep_definitions().boxed());
        start(self.clone().keep_namespaces().boxed());
        start(self.clone().keep_default_accounts().boxed());
        start(self.clone().collect_garbage().boxed());
        start(self.clone().expire_events().boxed());
        if !self.quotas.is_empty() {
            start(self.clone().keep_books().boxed());
        }
    }

    /// Everything under a prefix, then every change.
    pub(super) fn follow(&self, prefix: &str) -> Follower {
        Follower { store: self.store.clone(), prefix: prefix.to_owned(), watch: None }
    }
}

/// What a follower sees.
pub(super) enum News {
    /// All there is; what was known before is void.
    All(Vec<Record>),
    /// What happened since.
    Changes(Vec<Arc<Change>>),
}

/// Sees everything under a prefix: first all of it, then the changes, and all of it again when it fell behind.
pub(super) struct Follower {
    store: Arc<dyn Store>,
    prefix: String,
    watch: Option<Watch>,
}

impl Follower {
    /// Waits for news; `None` when the store is closed. Cancellation: nothing is lost.
    pub(super) async fn next(&mut self) -> Option<News> {
        loop {
            let outcome = match &mut self.watch {
                None => self.restart().await.map(News::All),
                Some(watch) => match watch.next().await {
                    Some(changes) => changes.map(News::Changes),
                    None => Err(Error::Closed),
                },
            };
            match outcome {
                Ok(news) => return Some(news),
                Err(Error::Closed) => return None,
                Err(error @ (Error::Lagged | Error::Compacted { .. })) => {
                    tracing::warn!(prefix = %self.prefix, %error, "a task fell behind and reads everything again");
                }
                Err(error) => {
                    tracing::error!(prefix = %self.prefix, %error, "cannot follow the store");
                    tokio::time::sleep(RETRY).await;
                }
            }
            self.watch = None;
        }
    }

    async fn restart(&mut self) -> Result<Vec<Record>, Error> {
        let request = ListRequest { prefix: self.prefix.clone(), start: None, limit: 0, at: None };
        let page = self.store.list(request).await?;
        self.watch = Some(self.store.watch(&self.prefix, page.revision)?);
        Ok(page.records)
    }
}
