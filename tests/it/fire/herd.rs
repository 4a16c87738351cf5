//! All clients of one test, from the first list to the judgement.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::{self, Runtime},
    sync::watch,
    task::JoinSet,
};

use super::{
    check::check,
    client::{Client, Door},
    history::{Heard, History, Recorder, Revision, Sight, Stamp},
    watcher::Watcher,
    writer::Writer,
};
use crate::fixture::wait_until;

const WATCHERS: usize = 4;

/// Clients at work.
pub(super) struct Herd {
    runtime: Runtime,
    recorder: Recorder,
    door: Arc<Door>,
    clients: AtomicUsize,
    writing: (watch::Sender<bool>, JoinSet<()>),
    watching: (watch::Sender<bool>, JoinSet<()>),
}

impl Herd {
    /// Watchers first; writers once each of them has listed, so that the whole history is heard.
    pub(super) fn start(door: Door, writers: usize) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (door, recorder) = (Arc::new(door), Recorder::new());
        let (mut watch_tasks, mut write_tasks) = (JoinSet::new(), JoinSet::new());
        let (watching, writing) = (watch::Sender::new(false), watch::Sender::new(false));
        for number in 0..WATCHERS {
            let watcher = Watcher::new(number, Client::new(&door, number), recorder.clone());
            watch_tasks.spawn_on(watcher.run(watching.subscribe()), runtime.handle());
        }
        wait_until("every watcher to have listed", || {
            recorder.history().watchers.iter().all(|heard| !heard.is_empty()).then_some(())
        });
        for number in 0..writers {
            let writer = Writer::new(number, Client::new(&door, number), recorder.clone());
            write_tasks.spawn_on(writer.run(writing.subscribe()), runtime.handle());
        }
        let (writing, watching) = ((writing, write_tasks), (watching, watch_tasks));
        Self { runtime, recorder, door, clients: writers.into(), writing, watching }
    }

    /// One more watcher, which sleeps through so many writes between two watches.
    pub(super) fn add_dozer(&mut self, writes: u64) {
        let dozer = Watcher::new(WATCHERS, self.client(), self.recorder.clone()).dozing(writes);
        self.watching.1.spawn_on(dozer.run(self.watching.0.subscribe()), self.runtime.handle());
    }

    /// One more client, for the test itself.
    pub(super) fn client(&self) -> Client {
        Client::new(&self.door, 0)
    }

    /// One more writer, for the test itself.
    pub(super) fn writer(&self) -> Writer {
        Writer::new(self.clients.fetch_add(1, Ordering::Relaxed), self.client(), self.recorder.clone())
    }

    /// Does a client's work for the test.
    pub(super) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Now, as the history counts.
    pub(super) fn stamp(&self) -> Stamp {
        self.recorder.stamp()
    }

    /// The testimony so far.
    pub(super) fn history(&self) -> History {
        self.recorder.history()
    }

    /// Waits until so many more writes were acknowledged: that is how the moment of the next blow is drawn.
    pub(super) fn wait_for_writes(&self, count: u64) {
        let goal = self.recorder.acknowledged() + count;
        let work = async {
            while self.recorder.acknowledged() < goal {
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
        };
        let limit = crate::fixture::LIMIT;
        let came = self.runtime.block_on(async { tokio::time::timeout(limit, work).await });
        assert!(came.is_ok(), "waited {limit:?} in vain for {count} more writes to be acknowledged");
    }

    /// Ends the writers, lets every watcher hear the last write, and judges the history.
    pub(super) fn judge(mut self) -> History {
        self.writing.0.send_replace(true);
        self.recorder.close();
        self.runtime.block_on(join(std::mem::take(&mut self.writing.1)));
        let mut last = self.writer();
        let revision = wait_until("the last write", || self.run(last.create("last")).ok().flatten());
        wait_until("every watcher to hear the last write", || {
            self.recorder.history().watchers.iter().all(|heard| position(heard) >= Some(revision)).then_some(())
        });
        self.run(last.list(0)).unwrap();
        self.watching.0.send_replace(true);
        self.runtime.block_on(join(std::mem::take(&mut self.watching.1)));
        let history = self.recorder.history();
        let findings = check(&history);
        assert!(findings.is_empty(), "{findings}");
        history
    }
}

async fn join(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a client saw what no server may send");
    }
}

/// Where a watcher is.
fn position(heard: &[(Stamp, Heard)]) -> Option<Revision> {
    heard.iter().rev().find_map(|(_, heard)| match heard {
        Heard::Listed(revision, _) | Heard::Event(_, Sight { revision, .. }) | Heard::Bookmark(revision) => {
            Some(*revision)
        }
        Heard::Resumed(_) | Heard::Expired => None,
    })
}
