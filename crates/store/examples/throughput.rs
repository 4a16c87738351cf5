//! Measures the embedded store: `cargo run --release -p essaim-store --example throughput [DIRECTORY]`.
//!
//! The figures in `docs/design/store.md` come from here. The directory decides which disk is measured.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "figures for people, and bytes that only have to differ"
)]

use std::{
    env, fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use essaim_store::{Embedded, Key, ListRequest, Mutation, Options, Precondition, Store as _, Transaction};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinSet;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What a notebook server with its managed fields takes.
const VALUE: usize = 1_300;
const OBJECTS: usize = 27_000;
const WATCHERS: usize = 1_000;
const CHANGES_PER_SECOND: u64 = 50;
const PERIOD: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Outcome {
    let place = env::args().nth(1);
    let directory = match &place {
        Some(place) => tempfile::tempdir_in(place)?,
        None => tempfile::tempdir()?,
    };
    let path = directory.path();
    // First, while the process has no freed memory that new objects could fill.
    measure_memory(&path.join("memory")).await?;
    println!("what             writers  writes/s  p50 ms  p99 ms");
    for writers in [1, 8, 64, 256] {
        measure_writes(&path.join(format!("creates-{writers}")), writers, Kind::Create).await?;
    }
    for writers in [1, 64] {
        measure_writes(&path.join(format!("updates-{writers}")), writers, Kind::Update).await?;
    }
    measure_watchers(&path.join("one-prefix"), |_| "/watched/".to_owned()).await?;
    measure_watchers(&path.join("many-prefixes"), |watcher| format!("/watched/{watcher}/")).await
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Create,
    Update,
}

#[expect(clippy::disallowed_methods, reason = "measuring time is what a benchmark does")]
fn now() -> Instant {
    Instant::now()
}

/// Distinct bytes, as documents are.
fn value(seed: usize) -> Bytes {
    (0..VALUE).map(|n| ((seed * 31 + n * 7) % 251) as u8).collect()
}

fn create(path: &str, seed: usize) -> Transaction {
    let key = Key::new(path);
    Transaction {
        preconditions: vec![Precondition::Absent(key.clone())],
        mutations: vec![Mutation::Put(key, value(seed))],
    }
}

fn update(path: &str, seed: usize) -> Transaction {
    Transaction { preconditions: vec![], mutations: vec![Mutation::Put(Key::new(path), value(seed))] }
}

async fn measure_writes(path: &Path, writers: usize, kind: Kind) -> Outcome {
    let store = Embedded::open(path, Options::default())?;
    let mut tasks = JoinSet::new();
    let start = now();
    for writer in 0..writers {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            for n in 0.. {
                let before = now();
                if before - start > PERIOD {
                    break;
                }
                let transaction = match kind {
                    Kind::Create => create(&format!("/registry/group/kind/user-{writer}/object-{n:07}"), n),
                    Kind::Update => update(&format!("/registry/group/kind/user-{writer}/object-{}", n % 100), n),
                };
                store.commit(transaction).await?;
                latencies.push(before.elapsed());
            }
            Ok::<_, essaim_store::Error>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let elapsed = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let rate = latencies.len() as f64 / elapsed;
    println!("{kind:<16?} {writers:>7}  {rate:>8.0}  {:>6.2}  {:>6.2}", percentile(50), percentile(99));
    Ok(())
}

async fn measure_memory(path: &Path) -> Outcome {
    let before = resident()?;
    let store = Embedded::open(path, Options::default())?;
    for chunk in 0..OBJECTS / 100 {
        let object = |n: usize| Mutation::Put(Key::new(object_path(chunk * 100 + n)), value(chunk * 100 + n));
        store.commit(Transaction { preconditions: vec![], mutations: (0..100).map(object).collect() }).await?;
    }
    println!("memory of {OBJECTS} objects just created: {} MiB", resident()?.saturating_sub(before) >> 20);
    let updates = stream::iter(0..OBJECTS * 4).map(|n| store.commit(update(&object_path(n % OBJECTS), n)));
    updates.buffer_unordered(256).try_for_each(|_| async { Ok(()) }).await?;
    println!("  with a full log of changes: {} MiB", resident()?.saturating_sub(before) >> 20);
    let start = now();
    let page = store.list(ListRequest { prefix: "/registry/".to_owned(), start: None, limit: 0, at: None }).await?;
    println!("  list of all {}: {:.1} ms", page.records.len(), start.elapsed().as_secs_f64() * 1e3);
    let start = now();
    let limited = ListRequest { prefix: "/registry/".to_owned(), start: None, limit: 500, at: None };
    store.list(limited).await?;
    println!("  first page of 500: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    drop((page, store));
    println!("  file: {} MiB", fs::metadata(path)?.len() >> 20);
    let start = now();
    let store = Embedded::open(path, Options::default())?;
    println!("  opened again in {:.2} s, revision {}", start.elapsed().as_secs_f64(), store.revision());
    Ok(())
}

fn object_path(n: usize) -> String {
    format!("/registry/group/kind/user-{}/object-{n}", n % 3_000)
}

/// Fifty changes a second, and what hearing of them costs.
async fn measure_watchers(path: &Path, prefix: impl Fn(usize) -> String) -> Outcome {
    let store = Embedded::open(path, Options::default())?;
    let heard = Arc::new(AtomicU64::new(0));
    let mut watchers = JoinSet::new();
    for watcher in 0..WATCHERS {
        let mut watch = store.watch(&prefix(watcher), store.revision())?;
        let heard = Arc::clone(&heard);
        watchers.spawn(async move {
            while let Some(Ok(batch)) = watch.next().await {
                heard.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        });
    }
    let (before, start) = (processor_time()?, now());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / CHANGES_PER_SECOND as u32);
    for n in 0..CHANGES_PER_SECOND * PERIOD.as_secs() {
        ticks.tick().await;
        let n = n as usize;
        store.commit(update(&format!("/watched/{}/object", n % WATCHERS), n)).await?;
    }
    let (used, elapsed) = (processor_time()? - before, start.elapsed().as_secs_f64());
    let heard = heard.load(Ordering::Relaxed) as f64 / elapsed;
    let name = path.file_name().unwrap_or_default().display();
    println!("{WATCHERS} watchers, {name}: {heard:.0} deliveries/s, {:.1} % of a core", 100.0 * used / elapsed);
    watchers.shutdown().await;
    Ok(())
}

/// Resident memory in bytes.
fn resident() -> Outcome<usize> {
    let pages: usize = fs::read_to_string("/proc/self/statm")?.split(' ').nth(1).unwrap_or("0").parse()?;
    Ok(pages * 4_096)
}

/// Seconds of processor time used so far, assuming the kernel's usual 100 ticks a second.
fn processor_time() -> Outcome<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}
