//! Which crate may use which. Adding an edge means editing this table in the same commit.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::error::Error;
use crate::program::Program;
use crate::repository;

/// Each crate with the crates of this workspace that it may use. What is not listed may use none.
const ALLOWED: [(&str, &[&str]); 17] = [
    ("essaim-api", &[]),
    ("essaim-store", &[]),
    ("essaim-structured-merge", &[]),
    ("essaim-schema", &[]),
    ("essaim-apiserver", &["essaim-schema", "essaim-store", "essaim-structured-merge"]),
    ("essaim-backend", &["essaim-api"]),
    ("essaim-plan", &["essaim-api", "essaim-backend"]),
    ("essaim-swarm", &["essaim-api", "essaim-backend"]),
    ("essaim-directory", &["essaim-api", "essaim-backend"]),
    ("essaim-controllers", &["essaim-api", "essaim-backend", "essaim-plan"]),
    ("essaim-gateway", &["essaim-api"]),
    // It verifies a backup while it arrives.
    ("essaim-cli", &["essaim-api", "essaim-store"]),
    ("essaim-testkit", &["essaim-api", "essaim-apiserver", "essaim-backend", "essaim-store", "essaim-swarm"]),
    ("essaim", &["*"]),
    ("xtask", &["essaim-api", "essaim-plan"]),
    ("tests", &["*"]),
    // A crate of tests only: see above.
    ("essaim-fuzz", &["*"]),
];

/// What a crate must never reach, however indirectly, and why.
const NEVER: [(&str, &str); 4] = [
    ("essaim-plan", "tokio"),
    ("essaim-apiserver", "essaim-api"),
    ("essaim-controllers", "bollard"),
    ("essaim-gateway", "essaim-store"),
];

pub(super) fn findings() -> Result<Vec<String>, Error> {
    let mut findings = edges()?;
    for (from, to) in NEVER {
        if reaches(from, to)? {
            findings.push(format!("{from} reaches {to}: see the invariants in docs/architecture.md"));
        }
    }
    Ok(findings)
}

fn edges() -> Result<Vec<String>, Error> {
    let manifest = repository::root().join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().map_err(Error::Metadata)?;
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let may_use = allowed.get(name).copied().unwrap_or_default();
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        for dependency in normal.filter(|dependency| members.contains(dependency.name.as_str())) {
            let fine = may_use.contains(&"*") || may_use.contains(&dependency.name.as_str());
            if !fine {
                findings.push(format!(
                    "{name} uses {}, an edge that xtask/src/tidy/layers.rs does not allow",
                    dependency.name
                ));
            }
        }
    }
    Ok(findings)
}

/// Asks cargo for the way from one crate to another over ordinary dependencies, with the features that the first one asks for.
fn reaches(from: &str, to: &str) -> Result<bool, Error> {
    let tree =
        Program::new("cargo").args(["tree", "--offline", "--prefix", "none", "--edges", "normal", "--package", from]);
    let names = tree.text()?;
    Ok(names.lines().filter_map(|line| line.split(' ').next()).any(|name| name == to))
}
