//! Rules for source files: heads, names, sizes, the API group in one place, ambient state counted.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::repository;

/// Drawers without a name on them.
const NAMELESS: [&str; 6] = ["utils", "helpers", "common", "misc", "manager", "util"];
/// A longer file needs a reason in [`LONG_FOR_A_REASON`].
const LONGEST: usize = 700;
/// Files over the size, with the reason why each is one thing.
const LONG_FOR_A_REASON: [(&str, &str); 0] = [];
/// The API group, which only the names module and the derive macros spell.
const GROUP: &str = concat!("essaim", ".dev");
/// Where else it may stand in a string, and why.
const MAY_SPELL_THE_GROUP: [&str; 3] = [
    "crates/api/src/names.rs",  // the one place
    "crates/api/src/server.rs", // kube's derive takes a literal
    "crates/api/src/class.rs",  // kube's derive takes a literal
];
/// Uses of ambient state (clock, environment, exit, spawn) by file: each carries its reason where it stands.
const AMBIENT: [(&str, usize); 3] = [
    ("crates/essaim/build.rs", 1),               // a build script learns its target so
    ("crates/essaim/src/main.rs", 1),            // the composition root's clock
    ("crates/store/src/embedded/options.rs", 1), // the age of changes, where nobody gives another clock
];

pub(super) fn findings() -> Result<Vec<String>, Error> {
    let root = repository::root();
    let mut findings = Vec::new();
    for folder in ["crates", "xtask", "tests"] {
        for path in repository::files(&root.join(folder), ".rs")? {
            let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
            let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            findings.extend(file(&name, &path, &text));
        }
    }
    Ok(findings)
}

fn file(name: &str, path: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(format!("{name} does not begin with `//!`: say what the module decides"));
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if NAMELESS.contains(&stem) {
        findings.push(format!("{name}: a module called {stem} says nothing; name what is in it"));
    }
    let lines = text.lines().count();
    if lines > LONGEST && !LONG_FOR_A_REASON.iter().any(|(long, _)| *long == name) {
        findings.push(format!(
            "{name} has {lines} lines: is it two things? Else give the reason in xtask/src/tidy/sources.rs"
        ));
    }
    if is_product(name) && spells_the_group(text) && !MAY_SPELL_THE_GROUP.contains(&name) {
        findings.push(format!("{name} spells the API group; use essaim_api::names"));
    }
    let ambient = text.matches("clippy::disallowed_methods").count();
    let known = AMBIENT.iter().find(|(file, _)| *file == name).map_or(0, |(_, count)| *count);
    if is_product(name) && ambient != known {
        findings.push(format!(
            "{name} has {ambient} uses of ambient state, {known} are listed in xtask/src/tidy/sources.rs"
        ));
    }
    findings
}

/// Code that ships, as opposed to tests, examples and the project's own commands.
fn is_product(name: &str) -> bool {
    name.starts_with("crates/")
        && !name.contains("/tests/")
        && !name.contains("/examples/")
        && !name.ends_with("tests.rs")
        && !name.starts_with("crates/testkit/")
}

/// Whether a string literal outside the file's own tests contains the group.
fn spells_the_group(text: &str) -> bool {
    let product = text.split("#[cfg(test)]").next().unwrap_or(text);
    product
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .any(|line| line.contains('"') && line.contains(GROUP))
}
