//! The server: from a request to its answer, and from a socket to requests.
//!
//! ```text
//! listener ─► connection ─┐
//!                         ├─► service: path ─► who ─► may they ─► limits ─► resources | discovery | raw handlers
//! in_process ─► Router ───┘
//! ```

mod attributes;
mod held;
mod limits;
mod listener;
mod metrics;
mod raw;
mod resources;
mod service;
mod stalled;
mod start;
pub mod tls;
mod token_request;
mod unread;

use std::sync::Arc;

use axum::{Extension, Router};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use limits::Limits;
pub use listener::ServeError;
pub use raw::{RawHandler, RawRequest};
pub use tls::Tls;

use crate::{
    ApiError, AuditLog, Clock, IssuedTokens, Oidc, OidcError, ServiceAccountKey, StaticToken, UserInfo,
    registry::{Admission, Quota},
};
use service::Service;

/// What the composition root decides.
pub struct Options {
    /// The wall clock.
    pub clock: Clock,
    /// Where clients reach the server, such as `https://api.example:6443`; for documents that have to say it.
    pub url: Option<String>,
    /// Bearer tokens that are known from the start.
    pub tokens: Vec<StaticToken>,
    /// Where issued tokens are kept; without it there are none.
    pub issued_tokens: Option<IssuedTokens>,
    /// Signs the tokens of service accounts. Without it a key is made that nobody keeps: tokens end with the process.
    pub service_account_key: Option<ServiceAccountKey>,
    /// An identity provider whose tokens are accepted.
    pub oidc: Option<Oidc>,
    /// Where it is noted who asked for what; nowhere without it.
    pub audit: Option<AuditLog>,
    /// Objects that must be there: CustomResourceDefinitions, roles, namespaces. Applied at every start, in this order.
    pub bootstrap_manifests: Vec<Value>,
    /// Rules about writes of the platform's own kinds.
    pub admission: Vec<Arc<dyn Admission>>,
    /// Limits on sums over objects. All processes of one store must have the same, each under a name of its own.
    pub quotas: Vec<Arc<dyn Quota>>,
    /// Further paths that answer GET.
    pub raw_handlers: Vec<RawHandler>,
    /// How much may be under way at once, and how long it may take.
    pub limits: Limits,
}

impl Options {
    /// Nothing but the clock: no tokens, no manifests, Kubernetes' limits.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            url: None,
            tokens: Vec::new(),
            issued_tokens: None,
            service_account_key: None,
            oidc: None,
            audit: None,
            bootstrap_manifests: Vec::new(),
            admission: Vec::new(),
            quotas: Vec::new(),
            raw_handlers: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// A running API server. Its tasks end when it is dropped.
pub struct ApiServer {
    service: Arc<Service>,
    /// Ends watches and tasks.
    stop: CancellationToken,
    /// Garbage collection, namespaces, CustomResourceDefinitions.
    _tasks: tokio::task::JoinSet<()>,
}

impl ApiServer {
    /// The router, for callers that put a [`UserInfo`] into the request's extensions, or send a token.
    ///
    /// Invariant: whoever passes requests from the network into this router must not let them bring extensions along.
    pub fn router(&self) -> Router {
        Router::new().fallback(service::handle).with_state(self.service.clone())
    }

    /// The router for one user of the same process; pass it to `kube::Client::new`.
    pub fn in_process(&self, user: UserInfo) -> Router {
        self.router().layer(Extension(user))
    }

    /// Whether the default objects and the bootstrap manifests are in place.
    pub fn is_ready(&self) -> bool {
        self.service.is_ready()
    }

    /// Adds up what all quotas charge anew from the objects. Writes of these objects wait meanwhile; nothing else does.
    ///
    /// It is never needed, unless somebody changed the store without an API server.
    pub async fn recount(&self) -> Result<(), ApiError> {
        self.service.registry.recount().await
    }

    /// Ends every watch cleanly and stops the background tasks; requests are still answered.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be read.
    #[error("cannot read the objects in the store")]
    Open(#[source] ApiError),
    /// The identity provider cannot be used as it is configured.
    #[error("cannot use the identity provider")]
    Oidc(#[source] OidcError),
    /// An object that must be there could not be written.
    #[error("cannot apply the bootstrap manifest of {kind} {name:?}")]
    Bootstrap {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Why not.
        #[source]
        source: ApiError,
    },
    /// A CustomResourceDefinition was written but is not served.
    #[error("the CustomResourceDefinition {name:?} did not become Established: {reason}")]
    NotEstablished {
        /// Its name.
        name: String,
        /// What its conditions say.
        reason: String,
    },
}
