//! Waits for a moment in which the machine has nothing else to do.
//!
//! A compiler that runs beside one half of a pair changes its ratio more than anything that is measured here.

use std::cell::Cell;
use std::fs;
use std::thread;
use std::time::Duration;

/// How long the machine is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Idle processes of the site and of desktops take some of it always.
const BUSY: f64 = 0.25;
/// Looks before a start is made all the same.
const PATIENCE: usize = 30;

/// Which starts had their quiet.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    starts: Cell<usize>,
    disturbed: Cell<usize>,
}

impl Quiet {
    /// Returns when the processors were mostly idle for half a second, or patience ends.
    pub(super) fn wait(&self) {
        self.starts.set(self.starts.get() + 1);
        let calm = (0..PATIENCE).any(|_| busy_share() < BUSY);
        if !calm {
            self.disturbed.set(self.disturbed.get() + 1);
        }
    }

    /// For the head of the table.
    pub(super) fn told(&self) -> String {
        format!("{} of {} starts began although others kept the machine busy", self.disturbed.get(), self.starts.get())
    }
}

/// The share of processor time that was not idle while this slept.
fn busy_share() -> f64 {
    let before = ticks();
    thread::sleep(LOOK);
    let after = ticks();
    let (total, idle) = (after.0 - before.0, after.1 - before.1);
    if total > 0.0 { 1.0 - idle / total } else { 0.0 }
}

/// All ticks of all processors since the machine started, and the idle ones among them.
fn ticks() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let fields: Vec<f64> = first.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // idle and iowait: waiting for a disk keeps no processor from others.
    (fields.iter().sum(), fields.iter().skip(3).take(2).sum())
}
