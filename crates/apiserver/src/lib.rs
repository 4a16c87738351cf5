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
//!
//! # A server for tests
//!
//! A store in memory and a router in place of a socket; everything between them is what runs in production. The
//! client acts as the user that it was made for, with that user's rights; members of `system:masters` may do everything.
//!
//! ```
//! use std::sync::Arc;
//!
//! use essaim_apiserver::{ApiServer, Options, UserInfo};
//! use essaim_store::Embedded;
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kube::{Api, Client, api::PostParams};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Embedded::in_memory(essaim_store::Options::default())?;
//! let server = ApiServer::start(store, Options::new(Arc::new(jiff::Timestamp::now))).await?;
//! let client = Client::new(server.in_process(UserInfo::new("tester", ["system:masters"])), "default");
//!
//! let maps: Api<ConfigMap> = Api::default_namespaced(client);
//! let map: ConfigMap = serde_json::from_value(serde_json::json!({"metadata": {"name": "one"}, "data": {"a": "b"}}))?;
//! let made = maps.create(&PostParams::default(), &map).await?;
//! assert!(made.metadata.resource_version.is_some());
//! assert_eq!(maps.get("one").await?.data, map.data);
//! # Ok(())
//! # }
//! ```
//!
//! Kinds of one's own go into [`Options::bootstrap_manifests`], as CustomResourceDefinitions; they are served when
//! [`ApiServer::start`] returns. The server ends when it is dropped, and its watches with it. The crate's
//! `examples/in_process.rs` shows a typed kind, server-side apply and a watch; `examples/standalone.rs` a server with
//! certificates, on a socket ([`ApiServer::serve`]), over a store in a file.

mod audit;
mod auth;
mod catalogue;
mod error;
mod heavy;
mod outgoing;
mod registry;
mod server;
mod webhook;
mod wire;

pub use audit::{AuditError, AuditLog, AuditSettings};
pub use auth::{IssuedTokens, Oidc, OidcError, ServiceAccountKey, StaticToken, UserInfo};
pub use catalogue::{DEFINITIONS_PREFIX, SECRETS_PREFIX};
pub use error::{ApiError, Cause, Subject};
pub use registry::{
    Admission, AdmissionRequest, Admitted, Amounts, Charge, Claim, Collection, Growth, Looks, Operation, Quota,
};
pub use server::{ApiServer, Limits, Options, RawHandler, RawRequest, ServeError, StartError, Tls, tls};

/// The wall clock, given by the composition root so that tests can hold it still.
pub type Clock = std::sync::Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;
