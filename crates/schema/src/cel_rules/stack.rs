//! A stack that is deep enough for the deepest rule that is admitted.
//!
//! Parser and evaluator recurse with large frames; a thread of a server has 2 MiB, which a long sum would overflow, and an
//! overflow ends the process. So the parser, and rules that go deeper than usual, run on a short-lived thread of their own.
//! Memory is only taken as far as it is used.

/// Rules that go no deeper than this many operations (a loop counts as several) need half of a server's thread at most, also in a debug build.
pub(super) const ORDINARY_DEPTH: usize = 10;
const STACK: usize = 64 << 20;

/// Runs `work` on its own stack; the error says that there was no thread, or that `work` panicked.
pub(super) fn on_own_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, &'static str> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("cel".to_owned()).stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|_| "there is no thread to evaluate rules on")?;
        thread.join().map_err(|_| "the evaluator failed")
    })
}
