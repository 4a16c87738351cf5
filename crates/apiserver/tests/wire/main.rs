//! The API as a real kube client sees it: in the process and over TLS, against a toy kind.

mod audit;
mod bulk;
mod conversion;
mod discovery;
mod fuzz;
mod limits;
mod objects;
mod patches;
mod rights;
mod sockets;
mod support;
mod tokens;
mod transport;
mod watches;
mod webhooks;
