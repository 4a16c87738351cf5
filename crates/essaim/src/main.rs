//! The composition root: the only place that knows both the API server and the controllers, reads the environment, and
//! decides what runs in this process.

mod configuration;
mod error;
mod logging;
mod restore;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A computing centre's Jupyter platform: Kubernetes-style resources, kept converged on Docker Swarm.
#[derive(Debug, Parser)]
#[command(name = "essaim", version)]
struct Call {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: essaim_cli::Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the platform: API server, controllers and gateway, or some of them.
    Serve(Box<configuration::Flags>),
    /// Make a store from a backup, while essaim is stopped.
    Restore(restore::Flags),
    #[command(flatten)]
    Operate(essaim_cli::Command),
}

fn main() -> ExitCode {
    let call = Call::parse();
    match run(call) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprint_chain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(call: Call) -> Result<u8, Error> {
    // A repeated installation keeps the first, which is this one too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::Runtime)?;
    match call.command {
        Command::Serve(flags) => {
            logging::start();
            let configuration = configuration::read(*flags, call.connection.kubeconfig)?;
            runtime.block_on(serve::serve(configuration)).map(|()| 0)
        }
        Command::Restore(flags) => runtime.block_on(restore::run(&flags, now())).map(|()| 0),
        Command::Operate(command) => {
            let exit = runtime.block_on(essaim_cli::run(command, &call.connection, now())).map_err(Error::Command)?;
            Ok(exit.code())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the composition root gives everybody else the time")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn eprint_chain(error: &Error) {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    eprintln!("essaim: {}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": "));
}
