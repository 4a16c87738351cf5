//! `cargo xtask COMMAND`: reads the command line, hands over to the command's module, prints the error's whole chain.

#![expect(
    clippy::print_stderr,
    reason = "a developer's tool talks to its terminal"
)]

use std::error::Error as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{Error, testbed};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A throw-away Swarm of three engines on this machine (root on Debian).
    #[command(subcommand)]
    Testbed(testbed::Command),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Testbed(command) => command.run(),
    }
}

fn report(error: &Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}
