//! The API as a real kube client sees it: in the process and over TLS, against a toy kind.

mod admission;
mod audit;
mod bulk;
mod conversion;
mod discovery;
mod examples;
mod fuzz;
#[path = "../../src/webhook/testing.rs"]
#[expect(clippy::unwrap_used, reason = "the webhook of the crate's own tests")]
mod hook;
mod keys;
mod limits;
mod metrics;
mod objects;
mod patches;
mod rights;
mod sockets;
mod support;
mod tokens;
mod transport;
mod watches;
mod webhooks;
