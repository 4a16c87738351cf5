//! Remembers answers for a short time, up to a number of them, and asks only once when many want to know at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// An answer and until when it is believed.
struct Answer<V> {
    value: V,
    until: Instant,
}

/// Cells that are still empty are being asked for.
type Cells<K, V> = HashMap<K, Arc<OnceCell<Answer<V>>>>;

/// Invariant: never holds more than `bound` entries. At the bound the answer that expires first is forgotten.
pub(crate) struct Cache<K, V> {
    bound: usize,
    // A std mutex: it is held for a look-up only, never while waiting for an answer.
    cells: Mutex<Cells<K, V>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(bound: usize) -> Self {
        Self { bound: bound.max(1), cells: Mutex::default() }
    }

    /// The remembered answer, or the one that `ask` gives together with its lifetime.
    ///
    /// Errors are not remembered: the next one who wants to know asks again.
    /// Cancellation: whoever waits with us takes over asking.
    pub(crate) async fn get<E>(&self, key: &K, ask: impl AsyncFnOnce() -> Result<(V, Duration), E>) -> Result<V, E> {
        let cell = self.cell(key, Instant::now());
        let answer = cell
            .get_or_try_init(async || {
                let (value, lifetime) = ask().await?;
                Ok(Answer { value, until: Instant::now() + lifetime })
            })
            .await?;
        Ok(answer.value.clone())
    }

    fn cell(&self, key: &K, now: Instant) -> Arc<OnceCell<Answer<V>>> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(key).filter(|cell| cell.get().is_none_or(|answer| now < answer.until)) {
            return Arc::clone(cell);
        }
        if cells.len() >= self.bound {
            cells.retain(|_, cell| cell.get().is_some_and(|answer| now < answer.until));
        }
        if cells.len() >= self.bound {
            let first =
                cells.iter().min_by_key(|(_, cell)| cell.get().map(|answer| answer.until)).map(|(key, _)| key.clone());
            first.and_then(|key| cells.remove(&key));
        }
        let cell = Arc::new(OnceCell::new());
        cells.insert(key.clone(), Arc::clone(&cell));
        cell
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    async fn ask(cache: &Cache<u32, u32>, key: u32, asked: &AtomicUsize) -> u32 {
        ask_for(cache, key, asked, LONG).await
    }

    async fn ask_for(cache: &Cache<u32, u32>, key: u32, asked: &AtomicUsize, lifetime: Duration) -> u32 {
        let answer = cache.get(&key, async || {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok::<_, Infallible>((key * 10, lifetime))
        });
        answer.await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_remembered_for_its_lifetime() {
        let (cache, asked) = (Cache::new(8), AtomicUsize::new(0));
        assert_eq!(ask(&cache, 7, &asked).await, 70);
        assert_eq!(ask(&cache, 7, &asked).await, 70);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        for _ in 0..2 {
            ask_for(&cache, 8, &asked, Duration::ZERO).await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn many_who_want_to_know_at_once_ask_once() {
        let (cache, asked) = (Cache::new(8), AtomicUsize::new(0));
        let answers = futures::future::join_all((0..50).map(|_| ask(&cache, 3, &asked))).await;
        assert_eq!((answers, asked.into_inner()), (vec![30; 50], 1));
    }

    #[tokio::test]
    async fn an_error_is_not_remembered() {
        let cache = Cache::<u32, u32>::new(8);
        assert_eq!(cache.get(&1, async || Err("away")).await, Err("away"));
        assert_eq!(cache.get(&1, async || Ok::<_, &str>((2, LONG))).await, Ok(2));
    }

    #[tokio::test]
    async fn the_bound_holds() {
        let (cache, asked) = (Cache::new(16), AtomicUsize::new(0));
        for key in 0..1_000 {
            ask(&cache, key, &asked).await;
        }
        assert_eq!(cache.cells.lock().unwrap().len(), 16);
    }
}
