//! `cargo xtask lint`: everything that can be said of the code without running it.

use std::time::Duration;

use crate::error::Error;
use crate::program::{self, Program};
use crate::progress::say;
use crate::{codegen, repository, tidy};

/// A cold build of everything on two busy cores.
const LIMIT: Duration = Duration::from_mins(45);
/// The release that `deny.toml` was written for.
const DENY: &str = "0.20.2";

/// Format, lints, documentation, generated files, house rules, dependencies, each crate alone.
///
/// # Errors
/// The first check that found something, with what it said.
pub fn run() -> Result<(), Error> {
    step("format", &["fmt", "--all", "--check"])?;
    step("lints", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    say("lint: documentation");
    let doc = cargo(&["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]);
    doc.env("RUSTDOCFLAGS", "--deny warnings --allow rustdoc::private_intra_doc_links").run()?;
    say("lint: generated files");
    codegen::run(true)?;
    say("lint: house rules");
    tidy::run()?;
    deny()?;
    alone()
}

fn step(name: &str, arguments: &[&str]) -> Result<(), Error> {
    say(&format!("lint: {name}"));
    cargo(arguments).run()
}

fn cargo(arguments: &[&str]) -> Program {
    let manifest = repository::root().join("Cargo.toml");
    let (command, rest) = arguments.split_first().unwrap_or((&"version", &[]));
    Program::new("cargo").args([command]).args(["--manifest-path"]).args([manifest]).args(rest).limit(LIMIT)
}

/// Bans, licences and sources of the dependencies. Installs the tool where it is missing: it is built from its sources.
fn deny() -> Result<(), Error> {
    say("lint: dependencies");
    if program::find("cargo-deny").is_none() {
        let install = ["install", "--quiet", "--locked", "cargo-deny", "--version", DENY];
        Program::new("cargo").args(install).limit(LIMIT).run()?;
    }
    let manifest = repository::root().join("Cargo.toml");
    let check = Program::new("cargo").args(["deny", "--manifest-path"]).args([manifest]);
    check.args(["--log-level", "error", "check", "bans", "licenses", "sources"]).limit(LIMIT).run()
}

/// Each crate compiles by itself: what it uses, it asks for.
fn alone() -> Result<(), Error> {
    for package in repository::packages()? {
        say(&format!("lint: {package} alone"));
        cargo(&["check", "--quiet", "--package", &package]).run()?;
    }
    Ok(())
}
