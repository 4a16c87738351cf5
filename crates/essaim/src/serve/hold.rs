//! For the fault tests: stops for ever at the Nth step of reconciling, so that the process can be killed between any two steps.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use essaim_controllers::Checkpoint;

/// A checkpoint that does nothing, or holds its thread for ever at the given step and says so in the log.
pub(crate) fn checkpoint(hold_at: Option<u64>) -> Checkpoint {
    let Some(hold_at) = hold_at else { return Arc::new(|_| {}) };
    let passed = AtomicU64::new(0);
    Arc::new(move |step| {
        let number = passed.fetch_add(1, Ordering::SeqCst) + 1;
        tracing::info!(number, step, "step ended");
        if number >= hold_at {
            tracing::info!(number, step, "held here until killed");
            loop {
                std::thread::park();
            }
        }
    })
}
