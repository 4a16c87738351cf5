//! The server: the router, the listener, the limits.

/// Being written.
#[derive(Debug)]
pub struct ApiServer;
/// Being written.
#[derive(Debug)]
pub struct Options;
/// Being written.
#[derive(Debug)]
pub struct RawHandler;
/// Being written.
#[derive(Debug)]
pub struct Running;
/// Being written.
#[derive(Debug)]
pub struct Tls;
