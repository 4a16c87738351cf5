//! The door of the platform: login, a few pages, and a reverse proxy in front of the notebook servers.
//!
//! ```text
//! request ─ path ─ who? ─ may they? ─ route ─┬─ up ──────── upstream: HTTP streamed, WebSocket tunnelled
//!                  │       │                 └─ not up ──── page (people) or JSON (programs) with state and reason
//!                 401     403
//! ```
//!
//! The gateway is a plain client of the API: it follows the NotebookServers with a watch, asks `TokenReview` who a
//! token is and `SubjectAccessReview` what they may do. It never reads the store, never talks to a Swarm, and never
//! starts a server because somebody asked for a page of it.

mod access;
mod answer;
mod auth;
mod cache;
mod cookies;
mod error;
mod gateway;
mod headers;
mod login;
mod options;
mod origin;
mod pages;
mod path;
mod proxy;
mod route;
mod routes;
mod serve;
mod session;
mod start;
mod tunnel;
mod upstream;

pub use error::Error;
pub use gateway::Gateway;
pub use options::{Clock, Limits, Options, Reach, SiteKey, UpstreamToken};
