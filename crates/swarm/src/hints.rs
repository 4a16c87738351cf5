//! Hints: whose picture may have changed.
//!
//! A ticker asks for rounds while somebody listens, compares each picture with the one before, and tells the difference. Docker's own
//! events carry nothing about tasks, so they could not replace the ticker, and the ticker sees all that they would say.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use essaim_backend::swarm::{Changed, Observed, Owner};
use futures::{StreamExt, stream::BoxStream};
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};

use crate::{
    picture::{Picture, owner_uid},
    rounds::{Round, Rounds},
};

/// Hints that wait for a slow consumer; one that is slower still is told [`Changed::Everybody`].
const QUEUE: usize = 1024;

/// How often the ticker looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// While nothing moves.
    pub settled: Duration,
    /// While a container of ours is on its way up or down.
    pub unsettled: Duration,
}

/// Tells consumers whose picture may have changed.
pub(crate) struct Hints {
    pace: Pace,
    out: broadcast::Sender<Changed>,
    /// An apply was made: look soon.
    poked: Notify,
    /// Owners that wait for a name which a service of somebody else bears, by that name.
    waiting: Mutex<HashMap<String, HashSet<String>>>,
}

impl Hints {
    pub(crate) fn new(pace: Pace) -> Self {
        Hints { pace, out: broadcast::Sender::new(QUEUE), poked: Notify::new(), waiting: Mutex::default() }
    }

    /// The stream of one consumer.
    pub(crate) fn stream(&self) -> BoxStream<'static, Changed> {
        self.poke();
        let next = |mut hints: broadcast::Receiver<Changed>| async move {
            match hints.recv().await {
                Ok(changed) => Some((changed, hints)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((Changed::Everybody, hints)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        };
        futures::stream::unfold(self.out.subscribe(), next).boxed()
    }

    /// Something was just changed: the next pictures will differ.
    pub(crate) fn poke(&self) {
        self.poked.notify_one();
    }

    /// Remembers which names an owner waits for.
    pub(crate) fn note_foreign(&self, owner: &Owner, observed: &Observed) {
        let foreign = observed.services.iter().filter(|service| owner_uid(&service.spec.labels) != Some(&owner.uid));
        for service in foreign {
            self.waiting().entry(service.spec.name.clone()).or_default().insert(owner.uid.clone());
        }
    }

    /// Looks at the pace that the Swarm's life asks for, and tells what changed. Never ends.
    pub(crate) async fn run(&self, rounds: &Rounds) {
        let mut done = rounds.subscribe();
        let mut last = Last { picture: None, connected: true, moved_at: Instant::now(), next_in: self.pace.unsettled };
        loop {
            tokio::select! {
                changed = done.changed() => if changed.is_err() { return },
                () = self.poked.notified() => {
                    last.moved_at = Instant::now();
                    last.next_in = self.pace.unsettled;
                    continue;
                }
                () = tokio::time::sleep(last.next_in), if self.out.receiver_count() > 0 => {
                    // Its result arrives through `done` like everybody's.
                    rounds.round(None, Duration::ZERO).await;
                    continue;
                }
            }
            let round = done.borrow_and_update().clone();
            if let Some(round) = round {
                for changed in last.take_in(&round, self) {
                    // Without listeners it is lost, and nobody misses it.
                    let _ = self.out.send(changed);
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, HashSet<String>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Owners that wait for a name whose service is another one now.
    fn freed(&self, earlier: &Picture, now: &Picture) -> Vec<Changed> {
        let mut freed = Vec::new();
        self.waiting().retain(|name, uids| {
            let same = earlier.named(name).map(|service| &service.id) == now.named(name).map(|service| &service.id);
            if !same {
                freed.extend(uids.drain().map(Changed::Owner));
            }
            same
        });
        freed
    }
}

/// What the ticker knows of the Swarm.
struct Last {
    picture: Option<Arc<Picture>>,
    connected: bool,
    /// When something was last seen to move.
    moved_at: Instant,
    next_in: Duration,
}

impl Last {
    /// Compares a round with the one before.
    fn take_in(&mut self, round: &Round, hints: &Hints) -> Vec<Changed> {
        let pace = hints.pace;
        let picture = match &round.result {
            Ok(picture) => picture,
            Err(failure) => {
                self.next_in = pace.settled.min(Duration::from_secs(1));
                if !std::mem::replace(&mut self.connected, false) {
                    return Vec::new();
                }
                tracing::warn!(error = failure.chain(), "the Swarm cannot be looked at");
                return vec![Changed::Everybody];
            }
        };
        let restored = !std::mem::replace(&mut self.connected, true);
        let mut changes = match self.picture.replace(Arc::clone(picture)) {
            Some(earlier) => [picture.changed_since(&earlier), hints.freed(&earlier, picture)].concat(),
            None => Vec::new(),
        };
        if restored {
            tracing::info!("the Swarm can be looked at again");
            changes = vec![Changed::Everybody];
        }
        if !changes.is_empty() {
            self.moved_at = Instant::now();
        }
        self.next_in = next_in(pace, picture.is_unsettled(), self.moved_at.elapsed(), round.took);
        changes
    }
}

/// When to look next: soon while things move; the longer a container stays on its way (a large image, no machine that fits), the less often;
/// and never so often that looking takes more than a fifth of the time.
fn next_in(pace: Pace, unsettled: bool, quiet: Duration, took: Duration) -> Duration {
    let just_moved = quiet < pace.unsettled * 5;
    let wished = if unsettled || just_moved { (quiet / 8).max(pace.unsettled).min(pace.settled) } else { pace.settled };
    wished.max(took * 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { settled: Duration::from_secs(2), unsettled: Duration::from_millis(100) };

    fn next_after(unsettled: bool, quiet_ms: u64, took_ms: u64) -> u128 {
        next_in(PACE, unsettled, Duration::from_millis(quiet_ms), Duration::from_millis(took_ms)).as_millis()
    }

    #[test]
    fn a_container_on_its_way_is_watched_closely_and_then_less_and_less() {
        assert_eq!([100, 800, 4000, 60_000].map(|quiet| next_after(true, quiet, 1)), [100, 100, 500, 2000]);
    }

    #[test]
    fn a_settled_swarm_is_looked_at_slowly_once_the_last_change_is_over() {
        assert_eq!([100, 499, 500, 60_000].map(|quiet| next_after(false, quiet, 1)), [100, 100, 2000, 2000]);
    }

    #[test]
    fn looking_never_takes_most_of_the_time() {
        assert_eq!(next_after(true, 100, 300), 1200);
    }
}
