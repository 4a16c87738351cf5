//! What the server counts of its own work, under the names of Kubernetes, for `/metrics`.
//!
//! A request costs two look-ups of its labels. Everything that can be read off when somebody asks (places, objects, the
//! store, the process) is not counted at all, but read then: see [`exposition`].
//!
//! Invariant: the number of series is bounded, whatever clients send. What they can choose freely (paths, subresources,
//! methods) is one of a few words or `other`; resources are those that exist, and beyond [`MOST`] series the rest is `other`.

mod exposition;
mod labels;
mod process;

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric},
    metrics::{TypedMetric, counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

pub(super) use labels::Labels;

use crate::{catalogue::ResourceName, registry::WatchEvent};
use labels::{Answered, Followed, Watched};

/// Of each family, save for the few that stand for the rest.
const MOST: usize = 10_000;
/// Seconds, those of Kubernetes.
const DURATIONS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];

/// The counters.
pub(super) struct Metrics {
    registry: Registry,
    requests: Bounded<Answered, Counter>,
    durations: Bounded<Labels, Histogram>,
    watching: Bounded<Watched, Gauge>,
    watch_events: Bounded<Followed, Counter>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        let requests = "Requests, by what they asked for and how they were answered";
        let durations = "Time until the answer began, of all requests but watches";
        Self {
            requests: Bounded::register(&mut registry, "apiserver_request", requests, Counter::default),
            durations: Bounded::register(&mut registry, "apiserver_request_duration_seconds", durations, || {
                Histogram::new(DURATIONS)
            }),
            watching: Bounded::register(
                &mut registry,
                "apiserver_longrunning_requests",
                "Watches that are open",
                Gauge::default,
            ),
            watch_events: Bounded::register(
                &mut registry,
                "apiserver_watch_events",
                "Events that were handed to watches",
                Counter::default,
            ),
            registry,
        }
    }

    /// Counts a request that was answered.
    pub(super) fn answered(&self, labels: &Labels, code: u16, elapsed: Duration) {
        self.requests.with(&Answered { labels: labels.clone(), code }, Counter::inc);
        if !labels.is_watch() {
            self.durations.with(labels, |histogram| histogram.observe(elapsed.as_secs_f64()));
        }
    }

    /// Counts a watch as long as it lasts, and its events.
    pub(super) fn follow<S>(
        &self,
        resource: &Arc<ResourceName>,
        labels: &Labels,
        events: S,
    ) -> impl Stream<Item = Vec<WatchEvent>> + Send + use<S>
    where
        S: Stream<Item = Vec<WatchEvent>> + Send,
    {
        let open = Open::begin(self.watching.with(&Watched(labels.clone()), Gauge::clone));
        let counter = self.watch_events.with(&Followed(resource.clone()), Counter::clone);
        events.inspect(move |batch| {
            let _ = &open;
            counter.inc_by(batch.len() as u64);
        })
    }
}

/// Labels that can stand for all those for which there is no room.
trait Lumped: Clone + Hash + Eq {
    fn other(&self) -> Self;
}

/// A family that has an end.
struct Bounded<L, M> {
    family: Family<L, M, fn() -> M>,
    /// At least as many as there are.
    series: AtomicUsize,
}

impl<L, M> Bounded<L, M>
where
    L: Lumped + EncodeLabelSet + Debug + Send + Sync + 'static,
    M: EncodeMetric + TypedMetric + Debug + Send + Sync + 'static,
{
    fn register(registry: &mut Registry, name: &str, help: &str, make: fn() -> M) -> Self {
        let family = Family::new_with_constructor(make);
        registry.register(name, help, family.clone());
        Self { family, series: AtomicUsize::new(0) }
    }

    fn with<R>(&self, labels: &L, use_it: impl FnOnce(&M) -> R) -> R {
        if let Some(metric) = self.family.get(labels) {
            return use_it(&metric);
        }
        let has_room = self.series.fetch_add(1, Ordering::Relaxed) < MOST;
        let metric =
            if has_room { self.family.get_or_create(labels) } else { self.family.get_or_create(&labels.other()) };
        use_it(&metric)
    }
}

/// Counted while it lives.
struct Open(Gauge);

impl Open {
    fn begin(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
