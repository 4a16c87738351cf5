//! `cargo xtask bench spawn`: the parts one after the other, and the table.

use std::fs;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::arena::{Arena, MANY};
use super::bare::Bare;
use super::figures::{Finding, Samples, print};
use super::hub::{self, Hub};
use super::memory;
use super::quiet::Quiet;
use crate::error::Error;
use crate::leftovers;
use crate::progress::say;

/// Pairs of ten servers at once: each takes half a minute.
const PAIRS_OF_MANY: usize = 3;

/// What to measure, and how often.
#[derive(Debug, Args)]
pub struct Options {
    /// Pairs against the bare Docker API; half as many against JupyterHub, and three of ten servers at once.
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Measure only this.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Use a development build: for work on the bench, not for figures.
    #[arg(long)]
    debug: bool,
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// Against the bare Docker API.
    Docker,
    /// Against JupyterHub with SwarmSpawner.
    Hub,
    /// Memory of the process.
    Memory,
}

/// Measures what is asked for and prints the table.
pub(super) fn run(options: &Options) -> Result<(), Error> {
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let before = load();
    let arena = Arena::enter(options.debug)?;
    let quiet = Quiet::default();
    arena.prepare_plain()?;
    let mut findings = Vec::new();
    if wanted(Part::Memory) {
        findings.push(memory::idle(&arena, "after a start")?);
    }
    if wanted(Part::Docker) {
        findings.push(against_docker(&arena, &quiet, options.runs)?);
    }
    if wanted(Part::Hub) {
        findings.extend(against_hub(&arena, &quiet, options.runs.div_ceil(2))?);
    }
    if wanted(Part::Memory) {
        findings.push(memory::idle(&arena, "after the servers above")?);
        findings.push(memory::with_objects(&arena)?);
    }
    print(&findings, &circumstances(options, &before, &quiet));
    // Others may be at work on the site: only the bench's own logins count.
    let left: Vec<String> = leftovers::find(&arena.site)?.into_iter().filter(|line| line.contains("jns-u")).collect();
    if left.is_empty() { Ok(()) } else { Err(Error::Claim(format!("left behind on the Swarm: {left:?}"))) }
}

/// (a) One server, against the same service made by hand.
fn against_docker(arena: &Arena, quiet: &Quiet, runs: usize) -> Result<Finding, Error> {
    say("against the bare Docker API: one warm-up each");
    arena.start("plain", 1)?;
    let bare = Bare::like(arena, "u01")?;
    arena.stop()?;
    bare.start(arena)?;
    bare.stop(arena)?;
    let (ours, peer) = pairs(
        runs,
        || timed_start(quiet, || arena.start("plain", 1), || arena.stop()),
        || timed_start(quiet, || bare.start(arena), || bare.stop(arena)),
    )?;
    Ok(Finding::ratio("`kubectl apply` to Ready / bare Docker API", &ours, &peer, 1.10))
}

/// (b) One server and ten at once, against JupyterHub with SwarmSpawner.
fn against_hub(arena: &Arena, quiet: &Quiet, runs: usize) -> Result<[Finding; 2], Error> {
    hub::install(arena)?;
    arena.prepare("hub", hub::IMAGE)?;
    let hub = Hub::start(arena)?;
    let mut measured = Vec::new();
    for (count, runs) in [(1, runs), (MANY, PAIRS_OF_MANY)] {
        say(&format!("against JupyterHub, {count} at once: one warm-up each"));
        let ours = || timed_start(quiet, || arena.start("hub", count), || arena.stop());
        let peers = || timed_start(quiet, || hub.spawn(arena, count), || hub.stop(arena, count));
        ours()?;
        peers()?;
        measured.push(pairs(runs, ours, peers)?);
    }
    let finding = |what: &str, (ours, peer): &(Samples, Samples)| Finding::ratio(what, ours, peer, 1.0);
    Ok([
        finding("1 server / JupyterHub + SwarmSpawner", &measured[0]),
        finding("10 servers at once / JupyterHub + SwarmSpawner", &measured[1]),
    ])
}

/// Ours, theirs, ours, theirs, …
fn pairs(
    runs: usize,
    ours: impl Fn() -> Result<Duration, Error>,
    peers: impl Fn() -> Result<Duration, Error>,
) -> Result<(Samples, Samples), Error> {
    let mut samples = (Samples::default(), Samples::default());
    for run in 1..=runs {
        let (our, peer) = (ours()?, peers()?);
        let ratio = our.as_secs_f64() / peer.as_secs_f64();
        say(&format!("pair {run}/{runs}: essaim {our:.2?}, peer {peer:.2?}, ratio {ratio:.3}"));
        samples.0.push(our);
        samples.1.push(peer);
    }
    Ok(samples)
}

/// A start and its end; only the start counts.
fn timed_start(
    quiet: &Quiet,
    start: impl Fn() -> Result<Duration, Error>,
    stop: impl Fn() -> Result<(), Error>,
) -> Result<Duration, Error> {
    quiet.wait();
    let time = start()?;
    stop()?;
    Ok(time)
}

fn circumstances(options: &Options, before: &str, quiet: &Quiet) -> String {
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let build = if options.debug { "development" } else { "release" };
    let (after, quiet) = (load(), quiet.told());
    format!("{cores} cores; load {before} before, {after} after (own work included); {quiet}; {build} build of essaim.")
}

/// Mean number of runnable processes over the last minute, as the kernel tells it.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
