//! Tells the person at the terminal what takes so long.

/// One line on standard error, so that standard output stays for answers.
#[expect(clippy::print_stderr, reason = "a developer's tool talks to its terminal")]
pub(crate) fn say(message: &str) {
    eprintln!("xtask: {message}");
}
