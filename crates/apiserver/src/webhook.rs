//! Servers of a site that are asked about objects: how they are named in a configuration, and how they are called.

mod client;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use client::{CallError, Caller, check_client_config};
