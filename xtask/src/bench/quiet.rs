//! Tells whether the machine had anything else to do: a compiler beside one half of a pair changes its ratio more than all that is measured.

use std::fs;
use std::thread;
use std::time::Duration;

/// How long the machine is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Idle processes of the site and of desktops take some of it always.
const BUSY: f64 = 0.25;
/// Looks before a start is made all the same.
const PATIENCE: usize = 40;

/// Returns when the processors were mostly idle for half a second, or patience ends.
pub(super) fn wait() {
    for _ in 0..PATIENCE {
        let before = Ticks::now();
        thread::sleep(LOOK);
        let after = Ticks::now();
        let (busy, idle) = (after.busy - before.busy, after.idle - before.idle);
        if busy <= BUSY * (busy + idle) {
            return;
        }
    }
}

/// Processor seconds that the whole machine spent, ours and everybody's, while `act` ran.
pub(super) fn processor_seconds<T>(act: impl FnOnce() -> T) -> (T, f64) {
    const TICKS_A_SECOND: f64 = 100.0; // USER_HZ, which is 100 wherever Linux tells ticks to programs
    let before = Ticks::now();
    let result = act();
    (result, (Ticks::now().busy - before.busy) / TICKS_A_SECOND)
}

/// Ticks of all processors since the machine started.
struct Ticks {
    busy: f64,
    idle: f64,
}

impl Ticks {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let fields: Vec<f64> = first.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // idle and iowait: waiting for a disk keeps no processor from others. The last two are counted in the first two already.
        let idle: f64 = fields.iter().skip(3).take(2).sum();
        let all: f64 = fields.iter().take(8).sum();
        Self { busy: all - idle, idle }
    }
}
