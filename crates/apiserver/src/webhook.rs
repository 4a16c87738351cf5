//! Servers of a site that are asked about objects: how they are named in a configuration, how they are called, and what is said.
//!
//! ```text
//! hook (whom a configuration names, and about what) ─► review (question and answer) ─► client (TLS)
//! ```
//!
//! Who is asked when is decided by the registry; here nothing looks into the store.

mod client;
mod hook;
mod review;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use client::{CallError, Caller, check_client_config};
pub(crate) use hook::{Hook, Request, VARIABLES};
pub(crate) use review::{REVIEW_VERSIONS, Review, Verdict};
