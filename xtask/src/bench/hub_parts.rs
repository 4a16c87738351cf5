//! JupyterHub, its proxy and the common image: from PyPI and npm, the way this machine reaches them, into `target/bench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::arena::Arena;
use crate::error::Error;
use crate::program::Program;
use crate::progress::say;
use crate::repository;

/// The image of both sides.
pub(super) const IMAGE: &str = "essaim/hub-notebook:bench";
const SLOW: Duration = Duration::from_mins(15);

/// Installs what is missing, and builds the image on the node that runs it; where all is there, a second or two.
pub(super) fn install(arena: &Arena) -> Result<(), Error> {
    if !jupyterhub().exists() {
        say("installing JupyterHub and dockerspawner from PyPI");
        let venv = cache().join("hub");
        Program::new("python3").args(["-m".as_ref(), "venv".as_ref(), venv.as_os_str()]).limit(SLOW).run()?;
        pip().args(["install", "--quiet", "jupyterhub", "dockerspawner"]).limit(SLOW).run()?;
    }
    if !proxy().exists() {
        say("installing configurable-http-proxy from npm");
        let prefix = cache().join("proxy");
        let install = Program::new("npm").args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
        install.args([prefix.as_os_str(), "configurable-http-proxy".as_ref()]).limit(SLOW).run()?;
    }
    build_image(arena)
}

/// The hub's program.
pub(super) fn jupyterhub() -> PathBuf {
    cache().join("hub/bin/jupyterhub")
}

/// The proxy's program.
pub(super) fn proxy() -> PathBuf {
    cache().join("proxy/node_modules/.bin/configurable-http-proxy")
}

/// Which versions were measured.
pub(super) fn versions() -> Result<String, Error> {
    let script = "from importlib.metadata import version as v; print('JupyterHub', v('jupyterhub'), 'with dockerspawner', v('dockerspawner'))";
    Program::new(cache().join("hub/bin/python")).args(["-c", script]).text()
}

fn cache() -> PathBuf {
    repository::target().join("bench")
}

fn pip() -> Program {
    Program::new(cache().join("hub/bin/pip"))
}

fn build_image(arena: &Arena) -> Result<(), Error> {
    say("building the image with jupyterhub on the node");
    let context = cache().join("image");
    let wheels = context.join("wheels");
    if !wheels.exists() {
        let partial = context.join("wheels.partial");
        pip().args(["wheel", "--quiet", "--wheel-dir"]).args([&partial]).args(["jupyterhub"]).limit(SLOW).run()?;
        fs::rename(&partial, &wheels).map_err(Error::file("rename", &partial))?;
    }
    copy(&repository::root().join("deploy/bench/Dockerfile"), &context.join("Dockerfile"))?;
    let engine = arena.site.engine_host(&arena.node.name)?;
    let build =
        Program::new("docker").args(["--host", &engine, "build", "--quiet", "--network", "none", "--tag", IMAGE]);
    build.args([&context]).env("DOCKER_BUILDKIT", "0").limit(SLOW).run()
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map(drop).map_err(Error::file("copy", from))
}
