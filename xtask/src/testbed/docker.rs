//! The `docker` command line, aimed at one engine.

use std::path::Path;
use std::time::Duration;

use crate::error::Error;
use crate::program::{self, Program};

/// Building installs Python packages; loading writes some 400 MB on a disk that three engines share.
pub(crate) const SLOW: Duration = Duration::from_mins(15);

/// An engine, by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Docker {
    host: String,
}

impl Docker {
    pub(crate) fn at(host: impl Into<String>) -> Self {
        Self { host: host.into() }
    }

    pub(crate) fn at_socket(socket: &Path) -> Self {
        Self::at(format!("unix://{}", socket.display()))
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Program {
        // The client that Debian packages together with the engine suits it best; a newer one may refuse so old an engine.
        let packaged = Path::new("/usr/bin/docker");
        let client = if packaged.is_file() { Some(packaged.to_owned()) } else { program::find("docker") };
        Program::new(client.unwrap_or_else(|| "docker".into()))
            .args(["--host", &self.host])
            .args(args)
            // The engine of Debian 12 brings the classic builder only.
            .env("DOCKER_BUILDKIT", "0")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Result<(), Error> {
        self.command(args).run()
    }

    pub(crate) fn text(&self, args: &[&str]) -> Result<String, Error> {
        self.command(args).text()
    }

    /// One field of an object, in Go's template language; `None` when the engine says that it has no such object.
    pub(crate) fn inspect(&self, kind: &str, name: &str, format: &str) -> Result<Option<String>, Error> {
        match self.text(&[kind, "inspect", "--format", format, name]) {
            Ok(field) => Ok(Some(field)),
            // The client's words or the engine's, depending on their versions.
            Err(Error::Program { stderr, .. }) if stderr.contains("No such") || stderr.contains("not found") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the engine is there and answers.
    pub(crate) fn answers(&self) -> bool {
        let ask = self.command(["version", "--format", "{{.Server.Version}}"]).limit(Duration::from_secs(5));
        ask.succeeds().unwrap_or(false)
    }

    /// Its part in a Swarm; `None` when it has none.
    pub(crate) fn membership(&self) -> Result<Option<Membership>, Error> {
        let format = "{{.Swarm.LocalNodeState}} {{.Swarm.NodeID}} {{.Swarm.ControlAvailable}}";
        let answer = self.text(&["info", "--format", format])?;
        let words: Vec<&str> = answer.split(' ').collect();
        let &["active", node, manager] = words.as_slice() else {
            return Ok(None);
        };
        Ok(Some(Membership { node: node.to_owned(), is_manager: manager == "true" }))
    }
}

/// An engine's part in a Swarm.
pub(crate) struct Membership {
    pub(crate) node: String,
    pub(crate) is_manager: bool,
}
