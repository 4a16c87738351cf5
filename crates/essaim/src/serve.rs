//! Puts the roles of this process together and runs them until a signal comes.
//!
//! ```text
//!  api ── router ──► kube clients of controllers and gateway (no socket between them)
//!   └── listener (TLS) ──► kubectl, essaim status, other processes
//! ```
//!
//! The order of the end: the gateway stops taking requests, the controllers end their pass, the API server ends its watches,
//! the store writes its last batch.

mod access;
mod api;
mod hold;
mod roles;
mod site_key;

use std::sync::Arc;

use essaim_controllers::Journal;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    configuration::{Configuration, Role},
    error::Error,
};

/// Runs until SIGTERM or SIGINT, or until a role fails.
pub(crate) async fn serve(configuration: Configuration) -> Result<(), Error> {
    let configuration = Arc::new(configuration);
    make_private(&configuration.data_dir)?;
    let shutdown = CancellationToken::new();
    let journal = Arc::new(Journal::default());
    let api = match configuration.roles.contains(&Role::Api) {
        true => Some(api::start(&configuration, journal.clone()).await?),
        false => None,
    };
    let access = access::Access::new(&configuration, api.as_ref()).await?;
    let mut running = JoinSet::new();
    if configuration.roles.contains(&Role::Controllers) {
        roles::start_controllers(&mut running, &configuration, &access, journal, shutdown.clone()).await?;
    }
    if configuration.roles.contains(&Role::Gateway) {
        roles::start_gateway(&mut running, &configuration, &access, api.as_ref(), shutdown.clone()).await?;
    }
    let serving = CancellationToken::new();
    let mut listening = JoinSet::new();
    if let Some(api) = &api {
        api.listen(&mut listening, configuration.listen, serving.clone()).await?;
        tracing::info!(listen = %configuration.listen, "the API is ready");
    }
    let outcome = until_the_end(&mut running, &mut listening).await;
    shutdown.cancel();
    while running.join_next().await.is_some() {}
    serving.cancel();
    while listening.join_next().await.is_some() {}
    if let Some(api) = api {
        tokio::task::spawn_blocking(move || api.close()).await.map_err(Error::Role)?;
    }
    outcome
}

/// Waits for a signal, or for a role to end, which it should not do by itself.
async fn until_the_end(
    running: &mut JoinSet<Result<(), Error>>,
    listening: &mut JoinSet<Result<(), Error>>,
) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
    let ended = tokio::select! {
        _ = terminate.recv() => return Ok(()),
        _ = tokio::signal::ctrl_c() => return Ok(()),
        Some(ended) = running.join_next() => ended,
        Some(ended) = listening.join_next() => ended,
    };
    ended.unwrap_or_else(|panic| Err(Error::Role(panic)))
}

/// The directory holds keys: nobody else may look into it.
fn make_private(directory: &std::path::Path) -> Result<(), Error> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let write = |source| Error::Write { path: directory.into(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(write)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).map_err(write)
}
