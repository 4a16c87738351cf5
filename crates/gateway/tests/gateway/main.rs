//! The gateway between real sockets: a client here, an API in the process, a notebook server on a port of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not seen as tests")]

mod access;
mod api;
mod forwarding;
mod notebook;
mod pages;
mod site;
mod tls;
mod websockets;
