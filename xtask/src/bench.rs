//! `cargo xtask bench …`: what a start costs, measured beside its peers.
//!
//! Absolute times of a shared two-core machine mean little, so each command runs essaim and its peer in turns in one go and prints the
//! ratio. What the figures say, and what limits them, stands in `docs/design/spawn.md`.

mod api;
mod arena;
mod bare;
mod figures;
mod http;
mod hub;
mod hub_parts;
mod memory;
mod quiet;
mod spawn;

use clap::Subcommand;

use crate::error::Error;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// From `kubectl apply` to Ready: against the bare Docker API, against JupyterHub with SwarmSpawner; and essaim's memory.
    Spawn(spawn::Options),
    /// Requests a second, latencies, watches, memory and start of the API server under load.
    Api(api::Options),
}

impl Command {
    /// Measures, and prints what came out.
    ///
    /// # Errors
    /// Something could not be measured. A target that is missed is no error: the table says so.
    pub fn run(self) -> Result<(), Error> {
        match self {
            Self::Spawn(options) => spawn::run(&options),
            Self::Api(options) => api::run(&options),
        }
    }
}
