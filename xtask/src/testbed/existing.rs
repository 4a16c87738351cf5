//! A Swarm that was there before: used as it is, for machines that have a real one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::docker::Docker;
use super::layout::{LABEL, manager};
use super::lock::Lock;
use super::{engine, images, swarm};
use crate::error::Error;
use crate::settings::Settings;
use crate::wait;

/// Where a Docker that the machine runs anyway listens.
const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// A container that ignores its stop signal is killed after 10 s.
const REMOVAL: Duration = Duration::from_secs(30);

/// The Swarm that `DOCKER_HOST` names, unless that is ours; what the caller says goes before what lies around.
pub(crate) fn named(settings: &Settings) -> Option<Docker> {
    let ours = engine::docker(manager());
    let named = settings.docker_host.as_ref().map(|host| Docker::at(host.as_str()));
    named.filter(|docker| *docker != ours).filter(is_manager)
}

/// The Swarm that this machine's own Docker manages.
pub(crate) fn usual() -> Option<Docker> {
    let socket = Path::new(USUAL_SOCKET);
    socket.exists().then(|| Docker::at_socket(socket)).filter(is_manager)
}

/// An engine that does not answer is no manager to build on.
fn is_manager(docker: &Docker) -> bool {
    matches!(docker.membership(), Ok(Some(membership)) if membership.is_manager)
}

/// Adds the images and the network, both labelled as ours.
pub(crate) fn ensure(settings: &Settings, docker: &Docker) -> Result<(), Error> {
    let cache = &settings.cache;
    fs::create_dir_all(cache).map_err(Error::file("create", cache))?;
    // Not the lock of the throw-away site: whoever may use Docker need not be root.
    let _lock = Lock::take(&cache.join("lock"))?;
    images::ensure_on_foreign(settings, docker)?;
    swarm::ensure_network(docker)
}

/// Removes what carries the label of the test bed, and nothing else.
pub(crate) fn clean(docker: &Docker) -> Result<(), Error> {
    // In this order, because each holds on to the next.
    let kinds: [(&[&str], &[&str]); 4] = [
        (&["service", "ls"], &["service", "rm"]),
        (&["container", "ls", "--all"], &["container", "rm", "--force"]),
        (&["network", "ls"], &["network", "rm"]),
        (&["image", "ls"], &["image", "rm", "--force"]),
    ];
    for (list, remove) in kinds {
        // A network is in use until the last container of a removed service has ended.
        wait::until(&format!("`docker {}` to succeed", remove.join(" ")), REMOVAL, &docker.host(), || {
            Ok(remove_labelled(docker, list, remove)?.then_some(()))
        })?;
    }
    Ok(())
}

/// Whether nothing of that kind is left.
fn remove_labelled(docker: &Docker, list: &[&str], remove: &[&str]) -> Result<bool, Error> {
    let filter = format!("label={LABEL}");
    let found = docker.command(list).args(["--quiet", "--filter", &filter]).text()?;
    let mut found: Vec<&str> = found.lines().collect();
    found.dedup();
    Ok(found.is_empty() || docker.command(remove).args(found).succeeds()?)
}
