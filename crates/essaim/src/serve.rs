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
mod backup;
mod hold;
mod roles;
pub(crate) mod sealing;
mod site_key;
pub(crate) mod store;

use std::{path::Path, sync::Arc};

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
    let api = if configuration.roles.contains(&Role::Api) {
        Some(api::start(&configuration, journal.clone()).await?)
    } else {
        None
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

/// The directory holds keys: nobody else may look into it. One that is plainly not essaim's own is refused and left as it is.
pub(crate) fn make_private(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let write = |source| Error::Write { path: directory.into(), source };
    if !directory.exists() {
        let parents = directory.parent().map_or(Ok(()), std::fs::create_dir_all);
        return parents.and_then(|()| std::fs::DirBuilder::new().mode(0o700).create(directory)).map_err(write);
    }
    let read = |source| Error::Read { path: directory.into(), source };
    let open = directory.metadata().map_err(read)?.permissions().mode() & 0o077 != 0;
    if open && !directory.join(store::FILE).exists() && holds_directories(directory).map_err(read)? {
        let words = format!(
            "{} is open to others and holds directories that are not essaim's: give essaim a data directory of its own, or make this one private (chmod 700)",
            directory.display()
        );
        return Err(Error::Configuration(words));
    }
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).map_err(write)
}

fn holds_directories(directory: &Path) -> std::io::Result<bool> {
    for entry in directory.read_dir()? {
        if entry?.file_type()?.is_dir() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_a_directory_of_our_own_is_made_private() {
        let site = tempfile::tempdir().unwrap();
        std::fs::set_permissions(site.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let data = site.path().join("lib/essaim");
        make_private(&data).unwrap();
        assert_eq!(mode(&data), 0o700);
        assert_ne!(mode(&site.path().join("lib")), 0o700, "parents are not ours");
        assert!(matches!(make_private(site.path()), Err(Error::Configuration(_))));
        assert_eq!(mode(site.path()), 0o755, "a directory of somebody else stays as it is");
        std::fs::write(site.path().join(store::FILE), "").unwrap();
        make_private(site.path()).unwrap();
        assert_eq!(mode(site.path()), 0o700);
    }
}
