//! What can go wrong in the project's own commands: each variant says what was tried, on what.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A command of the project did not get through.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An outside program did not even start.
    #[error("cannot start `{command}`")]
    Start {
        /// The program and its arguments.
        command: String,
        /// Why.
        source: io::Error,
    },

    /// An outside program ended with an error.
    #[error("`{command}` failed ({status}): {stderr}")]
    Program {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote on standard error.
        stderr: String,
    },

    /// An outside program answered, but not in the form that it promises.
    #[error("`{command}` answered {answer:?}, which cannot be read")]
    Answer {
        /// The program and its arguments.
        command: String,
        /// The answer.
        answer: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },

    /// A file or directory could not be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },

    /// The directory file could not be written down.
    #[error("cannot write the directory of demo logins as YAML")]
    Directory(#[source] serde_yaml::ser::Error),

    /// A bounded wait ended without the thing that it waited for.
    #[error("waited {limit:?} for {what}, in vain; the reason should stand in {see}")]
    Waited {
        /// The thing.
        what: String,
        /// The bound.
        limit: Duration,
        /// Where to look for the reason.
        see: String,
    },

    /// Something that was just started is gone again.
    #[error("{what} ended right after its start; the reason should stand in {}", see.display())]
    Ended {
        /// What was started.
        what: String,
        /// Its log.
        see: PathBuf,
    },

    /// Namespaces, mounts and engines are root's to make.
    #[error("the throw-away site needs root, for network namespaces and Docker engines")]
    NotRoot,

    /// A program is missing, and installing its Debian packages did not bring it.
    #[error("no `{program}` on this machine, and the Debian packages {packages:?} did not bring it")]
    Missing {
        /// The program.
        program: &'static str,
        /// The packages that were tried.
        packages: &'static [&'static str],
    },

    /// The machine's apt knows no mirror of Debian.
    #[error("apt has no Debian mirror configured: `apt-get indextargets` names none (run `apt-get update`?)")]
    NoMirror,

    /// The named node does not belong to the site.
    #[error("the test bed has no node {0:?}")]
    NoSuchNode(String),

    /// The fault was asked for on a Swarm that `testbed up` did not make.
    #[error("{0} belongs to a Swarm that was there before the test bed: its machines are left alone")]
    NotOurs(String),

    /// There is no site to attach to.
    #[error("no test bed is up: run `cargo xtask testbed up`")]
    NotUp,

    /// Generated files differ from what the code says.
    #[error("these files are not current, run `cargo xtask codegen`: {0:?}")]
    Stale(Vec<String>),

    /// The house rules found something.
    #[error("the house is not tidy:\n{}", .0.join("\n"))]
    Untidy(Vec<String>),

    /// A type could not be turned into its description.
    #[error("cannot generate a description")]
    Generate(#[source] serde_json::Error),

    /// Something could not be written as YAML.
    #[error("cannot write YAML")]
    Yaml(#[source] serde_yaml::ser::Error),

    /// A YAML file could not be understood.
    #[error("cannot understand {}", path.display())]
    ReadYaml {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// `cargo metadata` did not answer.
    #[error("cannot read the workspace")]
    Metadata(#[source] cargo_metadata::Error),

    /// A peer of the bench did not answer as it should.
    #[error("`{what}` of a peer failed: {why}")]
    Exchange {
        /// What was asked.
        what: String,
        /// What came back.
        why: String,
    },

    /// A notebook did not do what was asked.
    #[error("the notebook: {0}")]
    Notebook(String),

    /// Something is not as it was claimed to be.
    #[error("{0}")]
    Claim(String),

    /// `testbed status` found something that is not as it should be.
    #[error("the test bed is not complete: {0} (`cargo xtask testbed up` repairs it)")]
    Incomplete(String),
}

impl Error {
    /// For `map_err` on file operations: `.map_err(Error::file("create", path))`.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
