//! The backend trait on Docker Swarm; the only crate that speaks Docker's API.
//!
//! ```text
//! observe ──> rounds ──> look ──> docker ──> the manager      one round at a time, four calls, shared by all owners
//! apply ───────────────────────^
//! changes <── hints <── rounds                                compares each picture with the one before
//! ```
//!
//! [`ServiceSpec`](essaim_backend::swarm::ServiceSpec) becomes Docker's JSON in `to_swarm` and comes back in `from_swarm`; the law
//! between the two is `from_swarm(what Docker stores after create(to_swarm(spec))) == spec`.

mod apply;
mod calls;
mod docker;
mod failure;
mod foreign;
mod from_swarm;
mod hints;
mod look;
mod nodes;
mod off;
mod picture;
mod rounds;
mod swarm;
mod tasks;
mod to_swarm;
mod url;

pub use calls::CallCounts;
pub use off::SwarmOff;
pub use swarm::{Options, Swarm};
pub use url::BadUrl;
