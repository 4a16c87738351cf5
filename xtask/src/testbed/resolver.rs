//! A name server that knows no names: what asks for an outside host is told so at once, instead of waiting 5 to 20 s.

use std::path::{Path, PathBuf};

use super::layout::{BRIDGE_ADDRESS, RUN, STATE};
use super::process;
use crate::error::Error;
use crate::program::Program;
use crate::wait;
use std::time::Duration;

pub(crate) fn is_up() -> bool {
    process::alive(&pid_file(), &marker()).is_some()
}

pub(crate) fn ensure() -> Result<(), Error> {
    if is_up() {
        return Ok(());
    }
    let log = Path::new(STATE).join("logs/resolver.log");
    Program::new("dnsmasq")
        .args(["--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root"])
        .args([format!("--listen-address={BRIDGE_ADDRESS}"), "--except-interface=lo".to_owned()])
        // Every name below every domain: no such name.
        .args(["--address=/#/".to_owned(), marker(), format!("--log-facility={}", log.display())])
        .run()?;
    let answers = || Ok(is_up().then_some(()));
    wait::until("the name server to start", Duration::from_secs(5), &log.display(), answers)
}

pub(crate) fn stop() -> Result<(), Error> {
    process::kill(&pid_file(), &marker())
}

fn pid_file() -> PathBuf {
    Path::new(RUN).join("resolver.pid")
}

fn marker() -> String {
    format!("--pid-file={}", pid_file().display())
}
