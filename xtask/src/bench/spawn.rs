//! `cargo xtask bench spawn`: the parts one after the other, and the table.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::arena::{Arena, MANY};
use super::bare::Bare;
use super::figures::{Finding, Pairs, Sample, now, print};
use super::hub::{self, Hub};
use super::memory;
use super::quiet;
use crate::error::Error;
use crate::leftovers;
use crate::progress::say;

/// Pairs of ten servers at once: each takes half a minute.
const PAIRS_OF_MANY: usize = 3;
/// No further pair begins after so long, so that all of it takes less than a quarter of an hour.
const LIMIT: Duration = Duration::from_mins(4);

/// What to measure, and how often.
#[derive(Debug, Args)]
pub struct Options {
    /// Pairs against the bare Docker API; half as many against JupyterHub, and three of ten servers at once.
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Measure only this.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Measure this `essaim` instead of the release build of the working copy.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
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
    let arena = Arena::enter(options.binary.as_deref())?;
    arena.prepare_plain()?;
    let mut findings = Vec::new();
    if wanted(Part::Memory) {
        findings.push(memory::idle(&arena, "after a start")?);
    }
    if wanted(Part::Docker) {
        findings.push(against_docker(&arena, options.runs)?);
    }
    if wanted(Part::Hub) {
        findings.extend(against_hub(&arena, options.runs.div_ceil(2))?);
    }
    if wanted(Part::Memory) {
        findings.push(memory::idle(&arena, "after the servers above")?);
        findings.push(memory::with_objects(&arena)?);
    }
    print(&findings, &circumstances(options, &before));
    // Others may be at work on the site: only the bench's own logins count.
    let left: Vec<String> =
        leftovers::find(&arena.site, leftovers::OWNER_UID)?.into_iter().filter(|line| line.contains("jns-u")).collect();
    if left.is_empty() { Ok(()) } else { Err(Error::Claim(format!("left behind on the Swarm: {left:?}"))) }
}

/// (a) One server, against the same service made by hand.
fn against_docker(arena: &Arena, runs: usize) -> Result<Finding, Error> {
    say("against the bare Docker API: one warm-up each");
    arena.start("plain", 1)?;
    let bare = Bare::like(arena, "u01")?;
    arena.stop()?;
    bare.start(arena)?;
    bare.stop(arena)?;
    let ours = || sample(|| arena.start("plain", 1), || arena.stop());
    let peers = || sample(|| bare.start(arena), || bare.stop(arena));
    Ok(pairs(runs, ours, peers)?.finding("`kubectl apply` to Ready / bare Docker API", 1.10))
}

/// (b) One server and ten at once, against JupyterHub with SwarmSpawner.
fn against_hub(arena: &Arena, runs: usize) -> Result<Vec<Finding>, Error> {
    hub::install(arena)?;
    arena.prepare("hub", hub::IMAGE)?;
    let hub = Hub::start(arena)?;
    let mut findings = Vec::new();
    for (count, runs) in [(1, runs), (MANY, PAIRS_OF_MANY)] {
        say(&format!("against JupyterHub, {count} at once: one warm-up each"));
        let ours = || sample(|| arena.start("hub", count), || arena.stop());
        let peers = || sample(|| hub.spawn(arena, count), || hub.stop(arena, count));
        ours()?;
        peers()?;
        let what = format!("servers at once: {count} / JupyterHub + SwarmSpawner");
        findings.push(pairs(runs, ours, peers)?.finding(&what, 1.0));
    }
    Ok(findings)
}

/// Ours, theirs, ours, theirs, … until there are as many quiet pairs as wanted, or three times as many pairs, or no time.
fn pairs(
    runs: usize,
    ours: impl Fn() -> Result<Sample, Error>,
    peers: impl Fn() -> Result<Sample, Error>,
) -> Result<Pairs, Error> {
    let (mut pairs, began) = (Pairs::default(), now());
    for run in 1..=3 * runs {
        let (our, peer) = (ours()?, peers()?);
        pairs.push(our, peer);
        let ratio = our.time.as_secs_f64() / peer.time.as_secs_f64();
        let told = |sample: &Sample| format!("{:.2?} ({:.1} processor seconds)", sample.time, sample.processor);
        let quiet = pairs.quiet();
        say(&format!("pair {run}: essaim {}, peer {}, ratio {ratio:.3}; quiet: {quiet}", told(&our), told(&peer)));
        if quiet >= runs || now() - began > LIMIT {
            break;
        }
    }
    Ok(pairs)
}

/// A start and its end; only the start counts.
fn sample(start: impl Fn() -> Result<Duration, Error>, stop: impl Fn() -> Result<(), Error>) -> Result<Sample, Error> {
    quiet::wait();
    let (time, processor) = quiet::processor_seconds(start);
    let time = time?;
    stop()?;
    Ok(Sample { time, processor })
}

fn circumstances(options: &Options, before: &str) -> String {
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let build = options.binary.as_ref().map_or_else(|| "release build".into(), |path| path.display().to_string());
    let after = load();
    format!("{cores} cores; load {before} before, {after} after (own work included); essaim: {build}.")
}

/// Mean number of runnable processes over the last minute, as the kernel tells it.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
