//! The project's own commands, as a library: the tests use the same test bed as `cargo xtask testbed`.

mod debian;
mod error;
pub mod kubectl;
mod program;
mod progress;
mod settings;
pub mod testbed;
mod wait;

pub use error::Error;
