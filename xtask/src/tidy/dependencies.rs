//! A dependency that no source file names is weight without use.

use std::fs;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::error::Error;
use crate::repository;

/// Used by code that a derive macro writes.
const BY_A_MACRO: [(&str, &str); 1] = [("essaim-api", "serde_json")];

pub(super) fn findings() -> Result<Vec<String>, Error> {
    let manifest = repository::root().join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().map_err(Error::Metadata)?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        findings.extend(unused(package)?);
    }
    Ok(findings)
}

fn unused(package: &Package) -> Result<Vec<String>, Error> {
    let folder = package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned()).unwrap_or_default();
    let (mut product, mut everything) = (String::new(), String::new());
    for path in repository::files(&folder, ".rs")? {
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        if path.starts_with(folder.join("src")) {
            product.push_str(&text);
        }
        everything.push_str(&text);
    }
    let is_unused = |dependency: &&cargo_metadata::Dependency| {
        let name = dependency.rename.as_ref().unwrap_or(&dependency.name).replace('-', "_");
        let text = if dependency.kind == DependencyKind::Normal { &product } else { &everything };
        !names(text, &name) && !BY_A_MACRO.contains(&(package.name.as_str(), dependency.name.as_str()))
    };
    let unused = package.dependencies.iter().filter(is_unused);
    Ok(unused.map(|dependency| format!("{} asks for {} and uses it nowhere", package.name, dependency.name)).collect())
}

/// Whether the text has the word, not as a part of a longer one.
fn names(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}
