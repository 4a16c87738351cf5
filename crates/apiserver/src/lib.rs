//! The Kubernetes wire protocol over a [`essaim_store::Store`].
//!
//! Knows no kind of the platform: kinds come as CustomResourceDefinitions, registered at start by the composition root
//! or applied by anybody who may. A few core kinds that every Kubernetes client needs are built in.
//!
//! ```text
//!  request ─► wire (path, negotiation, decode) ─► auth (who, may they) ─► registry (strategy, admission) ─► store
//!                     ▲                                                           │
//!                     └────────────── Status, Table, watch frames ◄──────────────┘
//! ```

mod audit;
mod auth;
mod catalogue;
mod error;
mod heavy;
mod registry;
mod server;
mod wire;

pub use audit::{AuditError, AuditLog, AuditSettings};
pub use auth::{IssuedTokens, Oidc, OidcError, ServiceAccountKey, StaticToken, UserInfo};
pub use catalogue::SECRETS_PREFIX;
pub use error::{ApiError, Cause, Subject};
pub use registry::{
    Admission, AdmissionRequest, Admitted, Amounts, Charge, Claim, Collection, Growth, Looks, Operation, Quota,
};
pub use server::{ApiServer, Limits, Options, RawHandler, RawRequest, ServeError, StartError, Tls, tls};

/// The wall clock, given by the composition root so that tests can hold it still.
pub type Clock = std::sync::Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
