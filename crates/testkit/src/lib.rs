//! Fakes, an API server in the process, bounded waits, builders; for tests only

pub mod clock;
pub mod directory;
pub mod fake_swarm;
pub mod local_api;
pub mod manifest;
pub mod swarm_contract;
mod wait;

pub use wait::{LIMIT, wait_until};
