//! Runs outside programs: each with a time limit, each failure with the command line that failed.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::Error;

/// Enough for anything that does not build, install or load.
const LIMIT: Duration = Duration::from_mins(1);

/// A root shell entered by plain `su` has none of these on its PATH.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// How much of a failed program's standard error goes into the error.
const STDERR_KEPT: usize = 2000;

/// One call of an outside program.
pub(crate) struct Program {
    name: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    limit: Duration,
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        Self { name: name.as_ref().to_owned(), args: Vec::new(), env: Vec::new(), limit: LIMIT }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it for its effect.
    pub(crate) fn run(self) -> Result<(), Error> {
        self.text().map(drop)
    }

    /// Runs it for its standard output, without the line end.
    pub(crate) fn text(self) -> Result<String, Error> {
        let output = self.output()?;
        if !output.status.success() {
            return Err(self.failure(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Runs it for the JSON on its standard output.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let command = self.line();
        let answer = self.text()?;
        serde_json::from_str(&answer).map_err(|source| Error::Answer { command, answer, source })
    }

    /// Runs it for its exit code alone, as one asks `iptables --check`.
    pub(crate) fn succeeds(self) -> Result<bool, Error> {
        Ok(self.output()?.status.success())
    }

    /// `timeout` of coreutils bounds the run; in the foreground, so that Ctrl-C still reaches the program.
    fn output(&self) -> Result<Output, Error> {
        Command::new("timeout")
            .args(["--foreground", "--kill-after=5"])
            .arg(self.limit.as_secs().to_string())
            .arg(&self.name)
            .args(&self.args)
            .env("PATH", search_path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::Start { command: self.line(), source })
    }

    fn failure(&self, output: &Output) -> Error {
        let whole = String::from_utf8_lossy(&output.stderr);
        let from = whole.ceil_char_boundary(whole.len().saturating_sub(STDERR_KEPT));
        let stderr = whole[from..].trim().to_owned();
        // 124 is how `timeout` reports that the limit was reached.
        if output.status.code() == Some(124) {
            return Error::Waited { what: format!("`{}`", self.line()), limit: self.limit, see: stderr };
        }
        Error::Program { command: self.line(), status: output.status, stderr }
    }

    fn line(&self) -> String {
        let mut line = self.name.to_string_lossy().into_owned();
        for arg in &self.args {
            line.push(' ');
            line.push_str(&arg.to_string_lossy());
        }
        line
    }
}

/// Where the named program lies, in the order in which a root shell would look.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&search_path()).map(|directory| directory.join(name)).find(|path| path.is_file())
}

fn search_path() -> OsString {
    let given = env::var_os("PATH").unwrap_or_default();
    let system = SYSTEM_DIRECTORIES.iter().map(PathBuf::from);
    // A directory with a colon in its name cannot be in PATH; then the given one stands as it is.
    env::join_paths(env::split_paths(&given).chain(system)).unwrap_or(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_complaint() {
        let error = Program::new("sh").args(["-c", "echo too bad >&2; exit 3"]).run().unwrap_err().to_string();
        assert!(error.contains("exit 3") && error.contains("too bad"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_ended_at_its_limit() {
        let error = Program::new("sleep").args(["60"]).limit(Duration::from_secs(1)).run().unwrap_err();
        assert!(matches!(error, Error::Waited { .. }), "{error}");
    }

    #[test]
    fn system_directories_are_searched_whatever_the_path() {
        let path = search_path();
        assert!(env::split_paths(&path).any(|directory| directory.ends_with("usr/sbin")));
        assert!(find("sh").is_some());
    }
}
