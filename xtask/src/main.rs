//! `cargo xtask COMMAND`: reads the command line, hands over to the command's module, prints the error's whole chain.

#![expect(clippy::print_stderr, reason = "a developer's tool talks to its terminal")]

use std::error::Error as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{Error, bench, codegen, demo, lint, test, testbed, tidy};

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
    /// The platform's main job, for real, from nothing to nothing.
    Demo {
        /// Leave everything running, and say where to look.
        #[arg(long)]
        keep: bool,
    },
    /// Measure against peers, in one go.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Write what is generated from the code.
    Codegen {
        /// Write nothing; fail where a file is not current.
        #[arg(long)]
        check: bool,
    },
    /// Check the house rules.
    Tidy,
    /// Format, lints, documentation, generated files, house rules, dependencies.
    Lint,
    /// Make the site and run every test.
    Test {
        /// The full counts of kills and random cases; takes hours.
        #[arg(long)]
        soak: bool,
    },
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
        Command::Demo { keep } => demo::run(keep),
        Command::Bench(command) => command.run(),
        Command::Codegen { check } => codegen::run(check),
        Command::Tidy => tidy::run(),
        Command::Lint => lint::run(),
        Command::Test { soak } => test::run(soak),
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
