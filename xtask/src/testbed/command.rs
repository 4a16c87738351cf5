//! `cargo xtask testbed …`: the command line of the site.

use clap::Subcommand;

use super::Site;
use super::layout::directory_file;
use super::status::Part;
use crate::error::Error;

/// What can be done with the test bed.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Make it, or repair what is missing of it. Does nothing where all is up.
    Up,
    /// Remove it; only the cache of built images stays.
    Down,
    /// Say part by part what is up; the exit code is 0 only if all is.
    Status,
    /// Pull a machine's network cable: what runs there runs on, unreachable.
    Cut {
        /// The node's name.
        node: String,
    },
    /// Plug the cable in again.
    Heal {
        /// The node's name.
        node: String,
    },
    /// Kill a machine's Docker engine; its containers run on.
    Kill {
        /// The node's name.
        node: String,
    },
    /// Switch a machine off: engine and containers end at once.
    PowerOff {
        /// The node's name.
        node: String,
    },
    /// Start a machine's Docker engine again, with the directories that it had.
    Start {
        /// The node's name.
        node: String,
    },
}

impl Command {
    /// Carries it out.
    pub fn run(&self) -> Result<(), Error> {
        match self {
            Self::Up => welcome(&Site::up()?),
            Self::Down => Site::down(),
            Self::Status => status(&Site::attach()?),
            Self::Cut { node } => Site::attach()?.cut(node),
            Self::Heal { node } => Site::attach()?.heal(node),
            Self::Kill { node } => Site::attach()?.kill(node),
            Self::PowerOff { node } => Site::attach()?.power_off(node),
            Self::Start { node } => Site::attach()?.start(node),
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn welcome(site: &Site) -> Result<(), Error> {
    println!("export DOCKER_HOST={}", site.docker_host());
    for node in site.nodes()? {
        println!("# {} {} {}", node.name, node.address, node.state);
    }
    if site.is_throw_away() {
        println!("# demo logins: {}", directory_file().display());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
fn status(site: &Site) -> Result<(), Error> {
    let parts = site.status();
    for Part { name, seen, is_up } in &parts {
        println!("{} {name}: {seen}", if *is_up { "ok  " } else { "DOWN" });
    }
    let down: Vec<&str> = parts.iter().filter(|part| !part.is_up).map(|part| part.name.as_str()).collect();
    if down.is_empty() { Ok(()) } else { Err(Error::Incomplete(down.join(", "))) }
}
