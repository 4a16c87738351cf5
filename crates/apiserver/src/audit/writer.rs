//! The queue before the file, and the thread behind it.
//!
//! A thread and not a task: writing to a file blocks, and the log has to be written to its end also when the runtime stops.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::{event::Entry, file::Rotated};

/// What may wait; a few megabytes.
const WAITING: usize = 4096;

/// Takes entries without ever waiting. Dropping it writes what is left and ends the thread.
pub(super) struct Queue {
    sender: Option<SyncSender<Entry>>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    pub(super) fn open(path: &Path, most_bytes: u64, most_files: usize) -> io::Result<Self> {
        let file = Rotated::open(path, most_bytes, most_files)?;
        let (sender, receiver) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        let thread = thread::Builder::new().name("audit".into()).spawn(move || write(&receiver, file, &counted))?;
        Ok(Self { sender: Some(sender), lost, thread: Some(thread) })
    }

    /// Puts an entry into the queue, or counts it if there is no place.
    pub(super) fn put(&self, entry: Entry) {
        let taken = self.sender.as_ref().is_some_and(|sender| sender.try_send(entry).is_ok());
        if !taken && self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("the audit log cannot keep up, and loses entries");
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to write.
            let _ = thread.join();
        }
    }
}

/// Writes until the queue is closed, and hands over to the system whenever the queue is empty.
fn write(receiver: &Receiver<Entry>, mut file: Rotated, lost: &AtomicU64) {
    let mut failing = false;
    while let Ok(first) = receiver.recv() {
        let batch = std::iter::once(first).chain(std::iter::from_fn(|| receiver.try_recv().ok()));
        let mut outcome = Ok(());
        for entry in batch.take(WAITING) {
            if let Err(error) = file.add(entry.to_event().to_string().as_bytes()) {
                lost.fetch_add(1, Ordering::Relaxed);
                outcome = Err(error);
            }
        }
        let outcome = outcome.and_then(|()| file.flush());
        match &outcome {
            Err(error) if !failing => tracing::error!(%error, "cannot write the audit log"),
            Err(_) => {}
            Ok(()) => {
                let lost = lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(lost, "entries of the audit log were lost");
                }
            }
        }
        failing = outcome.is_err();
    }
}
