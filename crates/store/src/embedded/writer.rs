//! The one thread that changes anything: it decides the order of transactions and what shares a disk transaction.
//!
//! While one batch is being synced the queue fills, so batches grow with the load by themselves and nothing waits
//! for a batch to become full.
//!
//! Invariant: nobody is answered before the disk said yes, not even those who were refused: what stood in their way
//! may be an earlier transaction of the same batch. After the disk said no, nothing is written until the file was
//! opened again, because only then is it known what is in it.
//!
//! It also forgets the past: the log is trimmed as a part of the batch, and the rows follow in a later disk
//! transaction, some at a time. Readers therefore learn of a compaction before its rows vanish, and a crash in
//! between leaves more history than promised, never less.

use std::{
    sync::{Arc, mpsc::RecvTimeoutError},
    time::{Duration, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::{
    Failed,
    disk::{Disk, Fault},
    options::Options,
    queue::{Answer, Queue, Request},
    stopped,
};
use crate::{
    figures::Meter,
    memory::{Entry, Picture, Published},
    model::{Change, Error, Revision},
};

/// How often an idle writer looks whether the log can be shortened.
const TICK: Duration = Duration::from_secs(1);
/// Rows are removed when there are so many …
const SWEEP_ROWS: u64 = 512;
/// … or when the oldest has waited so long (milliseconds), so that a quiet store is not written to all the time.
const SWEEP_WAIT: u64 = 60_000;
/// At most so many at once, unless more are being written.
const SWEEP_STEP: u64 = 1_024;
/// A batch takes no more once it holds so many bytes.
const BATCH_BYTES: usize = 8 << 20;

/// The thread's state.
pub(super) struct Writer {
    disk: Disk,
    published: Arc<Published>,
    meter: Arc<Meter>,
    failed: Failed,
    queue: Queue,
    options: Options,
    /// Never goes back, so that the times in the log are in order.
    now: u64,
    last_sweep: u64,
}

impl Writer {
    pub(super) fn new(
        disk: Disk,
        published: Arc<Published>,
        meter: Arc<Meter>,
        failed: Failed,
        queue: Queue,
        options: Options,
    ) -> Self {
        let now = published.picture().log.back().map_or(0, |entry| entry.at);
        Self { disk, published, meter, failed, queue, options, now, last_sweep: now }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.gather() {
            self.read_clock();
            if self.failed.get().is_some() {
                self.refuse(batch);
            } else if batch.is_empty() {
                self.compact();
            } else {
                self.carry_out(batch);
            }
        }
    }

    /// What waits now, or nothing after a while without work; `None` when there will be no more.
    fn gather(&self) -> Option<Vec<Request>> {
        let first = match self.queue.recv_timeout(TICK) {
            Ok(request) => request,
            Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < self.options.batch && bytes < BATCH_BYTES {
            let Ok(request) = self.queue.try_recv() else { break };
            bytes += request.bytes();
            batch.push(request);
        }
        Some(batch)
    }

    fn read_clock(&mut self) {
        let since = (self.options.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = self.now.max(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    }

    fn carry_out(&mut self, batch: Vec<Request>) {
        let mut next = self.published.picture();
        let before = next.revision;
        let (outcomes, answers): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|Request { transaction, answer, .. }| (next.apply(&transaction, self.now), answer))
            .unzip();
        if next.revision > before
            && let Err(fault) = self.write_and_publish(next, before, answers.len())
        {
            return self.stop(fault, answers);
        }
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // A caller who is gone does not want to know.
            let _ = answer.send(outcome);
        }
    }

    fn write_and_publish(&mut self, mut next: Picture, before: Revision, transactions: usize) -> Result<(), Fault> {
        let mut entries: Vec<Entry> = next.newest_first(before).cloned().collect();
        entries.reverse();
        // Decided before trimming: only rows that readers already know to be gone may vanish.
        let sweep = self.sweep(next.compacted, 2 * (next.revision.0 - before.0));
        next.trim(&self.options.retention, self.now, before);
        let begun = Instant::now();
        self.disk.write(&entries, sweep)?;
        self.meter.committed(transactions, begun.elapsed().as_secs_f64());
        let changes: Vec<Arc<Change>> = entries.into_iter().map(|entry| entry.change).collect();
        self.published.publish(next, &changes);
        Ok(())
    }

    /// Forgets what became too old while nothing was written.
    fn compact(&mut self) {
        let mut next = self.published.picture();
        let newest = next.revision;
        if let Some(sweep) = self.sweep(next.compacted, 0)
            && let Err(fault) = self.disk.write(&[], Some(sweep))
        {
            return self.stop(fault, Vec::new());
        }
        if next.trim(&self.options.retention, self.now, newest) {
            self.published.publish(next, &[]);
        }
    }

    /// Up to which event rows are to be removed now, if at all.
    fn sweep(&mut self, compacted: Revision, written: u64) -> Option<Revision> {
        let Revision(swept) = self.disk.swept();
        let rows = compacted.0.saturating_sub(swept);
        if rows == 0 {
            self.last_sweep = self.now;
            return None;
        }
        if rows < SWEEP_ROWS && self.now - self.last_sweep < SWEEP_WAIT {
            return None;
        }
        self.last_sweep = self.now;
        Some(Revision(swept + rows.min(SWEEP_STEP.max(written))))
    }

    /// Gives up writing: reads go on, and opening the file again shows what it holds.
    fn stop(&self, fault: Fault, answers: Vec<Answer>) {
        let fault = Arc::clone(self.failed.get_or_init(|| Arc::new(fault)));
        tracing::error!(error = &*fault as &dyn std::error::Error, "the store's disk failed and writing stops");
        for answer in answers {
            let source = Box::new(Arc::clone(&fault));
            let _ = answer.send(Err(Error::Engine { operation: "write to disk", source }));
        }
    }

    fn refuse(&self, batch: Vec<Request>) {
        for request in batch {
            let error = self.failed.get().map_or(Error::Closed, stopped);
            let _ = request.answer.send(Err(error));
        }
    }
}
