//! What the composition root decides for a gateway.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// Tells the time; given by the composition root so that tests can set it.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Gives the token of the notebook server with a uid. It must be the token that the server's container was given.
pub type UpstreamToken = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// From where the gateway reaches the notebook servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The gateway runs on a host: it uses the machine's address and the published port.
    Host,
    /// The gateway runs as a service: it uses the container's address on the overlay network.
    Overlay,
}

/// Everything a gateway needs to know apart from the API.
#[derive(Clone)]
pub struct Options {
    /// From where the gateway reaches the notebook servers.
    pub reach: Reach,
    /// Signs the session cookies. All gateways of a site share it.
    pub site_key: SiteKey,
    /// Tells the time.
    pub clock: Clock,
    /// True if people reach the gateway over TLS, here or at a proxy before it: cookies are then `Secure`.
    pub secure_cookies: bool,
    /// Bounds and timeouts.
    pub limits: Limits,
    /// Gives the token of a notebook server.
    pub upstream_token: UpstreamToken,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("reach", &self.reach)
            .field("secure_cookies", &self.secure_cookies)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The secret of the site, at least 32 bytes; other keys are derived from it.
#[derive(Clone)]
pub struct SiteKey(Arc<[u8]>);

impl SiteKey {
    const MIN_BYTES: usize = 32;

    /// Takes the bytes of the key.
    ///
    /// # Errors
    /// Fewer than 32 bytes are refused, because guessing them would open every notebook.
    pub fn try_new(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        let bytes = bytes.as_ref();
        if bytes.len() < Self::MIN_BYTES {
            return Err(Error::SiteKeyTooShort { bytes: bytes.len() });
        }
        Ok(Self(bytes.into()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiteKey(…)")
    }
}

/// Bounds and timeouts. What happens at a bound is said at each.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections from clients at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// WebSockets at once; further ones are answered 503.
    pub tunnels: usize,
    /// WebSockets of one notebook server at once, so that nobody takes those of all others; further ones are answered 503.
    pub tunnels_per_server: usize,
    /// Calls to the API at once; further ones wait, no longer than `api_call`.
    pub api_calls: usize,
    /// Answers about tokens, and about rights, that are remembered; at the bound the one that expires first goes.
    pub cached_answers: usize,
    /// A TLS handshake, the first request, and the head of each request must be complete within this time.
    pub client_head: Duration,
    /// A connection to a notebook server must be there within this time.
    pub connect: Duration,
    /// A notebook server must begin to answer within this time after the last byte of the request went out.
    pub response_head: Duration,
    /// A question to the API must be answered within this time.
    pub api_call: Duration,
    /// At shutdown, requests under way may end within this time. WebSockets are ended at once.
    pub drain: Duration,
    /// How long a session lasts after login.
    pub session: Duration,
    /// How long a token that the API knows is believed.
    pub token_known: Duration,
    /// How long a token that the API does not know is refused without asking again.
    pub token_unknown: Duration,
    /// How long an answer about a right is believed.
    pub right: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            tunnels: 8_000,
            tunnels_per_server: 512,
            api_calls: 64,
            cached_answers: 1_024,
            client_head: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            response_head: Duration::from_mins(1),
            api_call: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            session: Duration::from_hours(12),
            token_known: Duration::from_secs(10),
            token_unknown: Duration::from_secs(5),
            right: Duration::from_secs(10),
        }
    }
}
