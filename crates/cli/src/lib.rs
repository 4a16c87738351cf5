//! The operations commands: what is wanted, what is observed, and why they differ.
//!
//! A command is a plain client of the API with its caller's rights. It prints to standard output; what went wrong goes to standard error, and
//! the exit code tells scripts what they need to know (see [`Exit`]).

#![expect(clippy::print_stdout, reason = "printing is what a command line tool does")]

mod backup;
mod connect;
mod error;
mod output;
mod reconciles;
mod status;
mod token;
mod why;

use clap::{Args, Subcommand, ValueEnum};
pub use error::Error;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything is as wanted.
    AsWanted,
    /// 3: the command worked, and something is not as wanted.
    NotAsWanted,
}

impl Exit {
    /// The process's exit code. 1 is an error, 2 is a wrong call.
    pub fn code(self) -> u8 {
        match self {
            Self::AsWanted => 0,
            Self::NotAsWanted => 3,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is wanted and what is observed: last reconcile, error, next try.
    ///
    /// Exit code 0 if everything is as wanted, 3 if something is not, 1 for an error, 2 for a wrong call.
    Status(status::Arguments),
    /// Explain in sentences why a notebook server is in the state it is in.
    ///
    /// Exit code 0 if it is as wanted, 3 if it is not, 1 for an error, 2 for a wrong call.
    Why(why::Arguments),
    /// Take a backup of the running platform's objects. Secrets in it stay sealed.
    ///
    /// It takes the right to get the path /essaim/v1/backup, as admins and the role essaim-backup have it.
    Backup(backup::Arguments),
    /// Issue, list and revoke tokens with which people and programs log in.
    Token(token::Arguments),
}

/// How to reach the API.
#[derive(Debug, Args)]
pub struct Connection {
    /// The kubeconfig file. First start of `essaim serve` writes one to DATA-DIR/admin.kubeconfig.
    #[arg(long, env = "KUBECONFIG", global = true)]
    pub kubeconfig: Option<std::path::PathBuf>,
    /// The context in it.
    #[arg(long, global = true)]
    context: Option<String>,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For people with a wide screen.
    Wide,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

/// Carries a command out.
pub async fn run(command: Command, connection: &Connection, now: jiff::Timestamp) -> Result<Exit, Error> {
    let client = connect::client(connection).await?;
    match command {
        Command::Status(arguments) => status::run(&client, &arguments, now).await,
        Command::Why(arguments) => why::run(&client, &arguments, now).await,
        Command::Backup(arguments) => backup::run(&client, &arguments).await,
        Command::Token(arguments) => token::run(&client, &arguments, now).await,
    }
}
