//! Turns at an object that many change at once.
//!
//! Changes are decided by the store: whoever looked at the newest state wins, the others look again. Where that
//! would go on for long, the ones who lost queue up for the object, first come, first served, so that each of them wins.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use essaim_store::Key;
use tokio::sync::OwnedMutexGuard;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// The objects that somebody queues for. A std mutex: it is held for a lookup.
#[derive(Default)]
pub(super) struct Turns {
    contended: Mutex<HashMap<Key, Lock>>,
}

/// The right to change an object before the others in the queue; gives it up when dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// A turn, if others queue for the object already.
    pub(super) async fn join(&self, key: &Key) -> Option<Turn<'_>> {
        let lock = self.locked().get(key).cloned()?;
        Some(self.wait(key, lock).await)
    }

    /// A turn, whether or not anybody else wants one.
    pub(super) async fn queue(&self, key: &Key) -> Turn<'_> {
        let lock = self.locked().entry(key.clone()).or_default().clone();
        self.wait(key, lock).await
    }

    async fn wait(&self, key: &Key, lock: Lock) -> Turn<'_> {
        // Made before the wait, so that a request that is given up takes its place with it.
        let mut turn = Turn { turns: self, key: key.clone(), guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Lock>> {
        // A panic elsewhere leaves the map whole.
        self.contended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut contended = self.turns.locked();
        // Nobody else holds it or waits for it: those who come later need no queue.
        if contended.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            contended.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use essaim_store::Key;

    use super::Turns;

    #[tokio::test]
    async fn a_queue_is_there_as_long_as_somebody_wants_a_turn() {
        let (turns, key) = (Turns::default(), Key::new("/registry/x"));
        assert!(turns.join(&key).await.is_none());
        let first = turns.queue(&key).await;
        let mut second = Box::pin(turns.join(&key));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        let second = second.await;
        assert!(second.is_some());
        let given_up = Box::pin(turns.queue(&key));
        drop(given_up);
        drop(second);
        assert!(turns.locked().is_empty());
    }
}
