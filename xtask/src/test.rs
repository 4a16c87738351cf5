//! `cargo xtask test`: the site, then every test, each runner's closing lines as they come.

use std::process::{Command, Stdio};

use crate::error::Error;
use crate::progress::say;
use crate::repository;
use crate::testbed::Site;

/// Runs every test in its bounded form, or with the full counts of kills and random cases.
///
/// A site that was up before stays up; one that this call made goes.
///
/// # Errors
/// The site could not be made, or a test failed: the runner has told which.
pub fn run(soak: bool) -> Result<(), Error> {
    let was_up = Site::attach().is_ok();
    say("test: the site");
    let site = Site::up()?;
    let outcome = suites(&site, soak);
    if !was_up {
        say("test: taking the site down");
        Site::down()?;
    }
    outcome
}

fn suites(site: &Site, soak: bool) -> Result<(), Error> {
    say("test: every crate");
    cargo(site, soak, &["test", "--workspace", "--exclude", "tests"])?;
    say("test: the platform on the site");
    // Two at a time: each starts a platform and containers, and the machine has two cores.
    cargo(site, soak, &["test", "--package", "tests", "--", "--test-threads", "2"])
}

/// The runner writes to the terminal itself, so that its lines are seen as they come.
fn cargo(site: &Site, soak: bool, arguments: &[&str]) -> Result<(), Error> {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(repository::root()).stdin(Stdio::null());
    command.env("ESSAIM_TEST_DOCKER_HOST", site.docker_host()).env_remove("ESSAIM_SOAK");
    if soak {
        command.env("ESSAIM_SOAK", "1");
    }
    let line = format!("cargo {}", arguments.join(" "));
    let status = command.status().map_err(|source| Error::Start { command: line.clone(), source })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Program { command: line, status, stderr: "see the failed tests above".into() })
}
