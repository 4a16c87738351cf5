//! The reconcilers, one per kind.
//!
//! Each is a plain kube-rs client: it reads and writes objects through the API, looks at the outside world through a trait of
//! `essaim-backend`, lets `essaim-plan` decide, and reports once per pass.

mod driver;
mod error;
mod journal;
pub mod leader;
mod namespace;
mod notebook_server;
mod probe;

use std::sync::Arc;

pub use error::{Class, Error};
use essaim_backend::{directory::Directory, swarm::Swarm};
use essaim_plan::notebook::Site;
pub use journal::{Entry, Journal, Outcome};
pub use probe::Prober;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The wall clock, given by the composition root.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Called between the steps of a pass with the name of the step that ended. The fault tests stop the process there.
pub type Checkpoint = Arc<dyn Fn(&'static str) + Send + Sync>;

/// What every reconciler needs.
pub struct Context<S, D> {
    /// The API, with the controllers' rights.
    pub client: kube::Client,
    /// Docker Swarm.
    pub swarm: S,
    /// Who a login is.
    pub directory: D,
    /// What all servers have in common.
    pub site: Site,
    /// Asks Jupyter whether it serves.
    pub prober: Prober,
    /// What was reconciled, when, and how it went.
    pub journal: Arc<Journal>,
    /// The time.
    pub clock: Clock,
    /// Called between steps.
    pub checkpoint: Checkpoint,
}

/// Runs every reconciler until the token is cancelled, then lets running passes end.
///
/// Assumptions: the CustomResourceDefinitions are established. A lost API server is waited for; a pass that panics is a failed pass.
///
/// Panics: where a controller panics outside of its passes, so that the process does not live on with one kind forgotten.
pub async fn run<S: Swarm, D: Directory>(context: Arc<Context<S, D>>, shutdown: CancellationToken) {
    let mut reconcilers = JoinSet::new();
    reconcilers.spawn(notebook_server::run(context.clone(), shutdown.clone()));
    reconcilers.spawn(namespace::run(context, shutdown));
    while let Some(ended) = reconcilers.join_next().await {
        if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
            std::panic::resume_unwind(panic);
        }
    }
}
