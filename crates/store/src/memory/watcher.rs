//! One watcher: a revision that moves through the log of a topic.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use futures::stream;
use tokio::sync::watch;

use super::{published::Published, topics::Topics};
use crate::model::{Change, Error, Revision, Watch};

/// How many changes a watcher takes at once, unless one revision has more: enough to make waking cheap, few enough that encoding them does not
/// keep a thread from other work.
const BATCH: usize = 256;

/// Every change under a prefix after a revision, as a stream.
pub(crate) fn watch(published: &Arc<Published>, prefix: &str, after: Revision) -> Result<Watch, Error> {
    let topic = Arc::from(Topics::name(prefix));
    let (woken, age) = published.join(&topic, after)?;
    let watcher =
        Watcher { published: Arc::clone(published), topic, age, prefix: prefix.to_owned(), read: after, woken };
    let batches = stream::try_unfold(watcher, |mut watcher| async move {
        let batch = watcher.next().await?;
        Ok(Some((batch, watcher)))
    });
    Ok(Box::pin(batches))
}

struct Watcher {
    published: Arc<Published>,
    topic: Arc<str>,
    age: u64,
    prefix: String,
    /// Everything up to here was delivered or does not concern this watcher.
    read: Revision,
    woken: watch::Receiver<()>,
}

impl Watcher {
    /// Waits for changes. Cancellation: nothing is lost, the revision moves only past what is returned.
    async fn next(&mut self) -> Result<Vec<Arc<Change>>, Error> {
        loop {
            // Before looking: a bell that rings while we look must wake us again.
            self.woken.mark_unchanged();
            let batch = self.look_until_woken().await?;
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// Changes, or none if the bell rang first.
    ///
    /// It looks at every poll, not only after the bell: the bell rings after a publication, and whoever saw that
    /// publication's revision and then finds this watch idle may conclude that it was delivered.
    async fn look_until_woken(&mut self) -> Result<Vec<Arc<Change>>, Error> {
        let Self { published, topic, age, prefix, read, woken } = self;
        let mut rung = pin!(woken.changed());
        poll_fn(|context| {
            let (batch, end) = published.read_topic((topic, *age), prefix, *read, BATCH)?;
            *read = end;
            if !batch.is_empty() {
                return Poll::Ready(Ok(batch));
            }
            rung.as_mut().poll(context).map(|rung| rung.map(|()| batch).map_err(|_| Error::Closed))
        })
        .await
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.published.leave(&self.topic, self.age);
    }
}
