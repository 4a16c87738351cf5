//! A Docker engine for the time of a build: it reaches the package index the way this machine does,
//! which the engines of the site must not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::docker::Docker;
use super::layout::{RUN, STATE};
use super::{process, traces};
use crate::error::Error;
use crate::program::Program;
use crate::{progress, wait};

const START: Duration = Duration::from_mins(1);

/// No bridge, no firewall rules: builds use the network of this machine. Its mounts vanish with it.
const ENTER: &str = r#"
set -e
mount -t tmpfs tmpfs /run/docker
mount -t tmpfs tmpfs /etc/docker
exec dockerd --bridge=none --iptables=false --ip-forward=false "$@"
"#;

/// It ends, with all that it holds, when this is dropped.
pub(crate) struct Builder {
    docker: Docker,
}

impl Builder {
    pub(crate) fn start() -> Result<Self, Error> {
        // What an interrupted build left behind is of no use.
        discard()?;
        for directory in ["/run/docker", "/etc/docker"] {
            traces::make(Path::new(directory))?;
        }
        for directory in [state_directory(), run_directory()] {
            fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
        }
        let socket = run_directory().join("docker.sock");
        let script = r#"exec setsid --fork unshare --mount --propagation slave sh -c "$ENTER" sh "$@" >>"$LOG" 2>&1"#;
        Program::new("sh")
            .args(["-c", script, "sh", &marker()])
            .args([format!("--data-root={}", state_directory().display())])
            .args([format!("--exec-root={}", run_directory().display())])
            .args([format!("--host=unix://{}", socket.display())])
            .env("ENTER", ENTER)
            .env("LOG", log())
            .run()?;
        let docker = Docker::at_socket(&socket);
        let answer = || Ok(docker.answers().then_some(()));
        wait::until("the building engine to answer", START, &log().display(), answer)?;
        Ok(Self { docker })
    }

    pub(crate) fn docker(&self) -> &Docker {
        &self.docker
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        if let Err(error) = discard() {
            progress::say(&format!("could not end the building engine: {error}"));
        }
    }
}

/// Removes a building engine, whether it runs or not.
pub(crate) fn discard() -> Result<(), Error> {
    process::kill(&pid_file(), &marker())?;
    process::sweep(&run_directory(), None, &log())?;
    for directory in [state_directory(), run_directory()] {
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(Error::file("remove", &directory))?;
        }
    }
    Ok(())
}

fn marker() -> String {
    format!("--pidfile={}", pid_file().display())
}

fn pid_file() -> PathBuf {
    Path::new(RUN).join("builder.pid")
}

fn run_directory() -> PathBuf {
    Path::new(RUN).join("builder")
}

fn state_directory() -> PathBuf {
    Path::new(STATE).join("builder")
}

fn log() -> PathBuf {
    Path::new(STATE).join("logs/builder.log")
}
