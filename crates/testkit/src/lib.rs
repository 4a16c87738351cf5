//! Fakes, an API server in the process, bounded waits, builders; for tests only

pub mod fake_swarm;
pub mod swarm_contract;
