//! The project's own commands, as a library: the tests use the same test bed as `cargo xtask testbed`.

pub mod bench;
pub mod codegen;
mod debian;
pub mod demo;
mod error;
pub mod etcd;
pub mod jupyter;
pub mod kubectl;
pub mod leftovers;
pub mod lint;
pub mod platform;
mod program;
mod progress;
pub mod python;
mod repository;
mod settings;
pub mod test;
pub mod testbed;
pub mod tidy;
mod wait;

pub use error::Error;
