//! Finds a kubectl that is new enough to talk to essaim, or fetches one without installing it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::debian;
use crate::error::Error;
use crate::program::{self, Program};
use crate::progress;
use crate::settings::Settings;

/// Server-side apply and `kubectl events` as the tests use them.
const OLDEST_MINOR: u32 = 27;

/// Debian 12's own is 1.20; this release has 1.32, whose binary runs on the older C library too.
const RELEASE: &str = "trixie";
const PACKAGE: &str = "kubectl";

/// The kubectl to test with: the one named by `KUBECTL`, else one of this machine that is new enough, else Debian's.
///
/// Guarantees: an absolute path of a real kubectl, not of a dispatcher. Nothing is installed on the machine.
pub fn ensure() -> Result<PathBuf, Error> {
    let settings = Settings::from_environment();
    if let Some(named) = settings.kubectl {
        return Ok(named);
    }
    if let Some(installed) = program::find("kubectl") {
        if let Some(versioned) = newest_beside(&installed)? {
            return Ok(versioned);
        }
        // One that does not even say its version is not one to use.
        if matches!(is_new_enough(&installed), Ok(true)) {
            return Ok(installed);
        }
    }
    fetch(&settings.cache)
}

/// Every kubectl of this machine that is new enough, oldest first; where there are not several, the one of [`ensure`].
///
/// # Errors
/// As [`ensure`].
pub fn every() -> Result<Vec<PathBuf>, Error> {
    let one = ensure()?;
    let versioned = if Settings::from_environment().kubectl.is_some() { Vec::new() } else { versions_beside(&one)? };
    Ok(if versioned.is_empty() { vec![one] } else { versioned })
}

/// Where several versions are installed side by side (`kubectl.1.31`), the plain name may be a dispatcher that picks one.
fn newest_beside(kubectl: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(versions_beside(kubectl)?.pop())
}

fn versions_beside(kubectl: &Path) -> Result<Vec<PathBuf>, Error> {
    let real = fs::canonicalize(kubectl).map_err(Error::file("resolve", kubectl))?;
    let Some(directory) = real.parent() else {
        return Ok(Vec::new());
    };
    let entries = fs::read_dir(directory).map_err(Error::file("list", directory))?;
    let versioned = entries.flatten().filter_map(|entry| {
        let minor = minor_in_name(entry.file_name().to_str()?)?;
        Some((minor, entry.path()))
    });
    let mut versions: Vec<(u32, PathBuf)> = versioned.filter(|(minor, _)| *minor >= OLDEST_MINOR).collect();
    versions.sort();
    Ok(versions.into_iter().map(|(_, path)| path).collect())
}

fn minor_in_name(name: &str) -> Option<u32> {
    name.strip_prefix("kubectl.1.")?.parse().ok()
}

fn is_new_enough(kubectl: &Path) -> Result<bool, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        client_version: ClientVersion,
    }
    #[derive(Deserialize)]
    struct ClientVersion {
        minor: String,
    }
    let answer: Answer = Program::new(kubectl).args(["version", "--client", "--output=json"]).json()?;
    Ok(leading_number(&answer.client_version.minor) >= OLDEST_MINOR)
}

/// Vendors mark their builds as `32+`.
fn leading_number(text: &str) -> u32 {
    let digits = text.find(|c: char| !c.is_ascii_digit()).map_or(text, |end| &text[..end]);
    digits.parse().unwrap_or(0)
}

/// Fetches Debian's kubectl into the cache, unless it lies there from an earlier time.
fn fetch(cache: &Path) -> Result<PathBuf, Error> {
    let unpacked = cache.join(format!("{PACKAGE}-{RELEASE}"));
    let kubectl = unpacked.join("usr/bin/kubectl");
    if !kubectl.is_file() {
        progress::say(&format!("fetching kubectl of Debian {RELEASE}"));
        debian::unpack_from(RELEASE, PACKAGE, &unpacked)?;
    }
    Ok(kubectl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_beside_a_dispatcher_wins_by_number_not_by_spelling() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["kubectl", "kubectl.1.9", "kubectl.1.26", "kubectl.1.31", "kubectl.1.100", "kubectl.old"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let newest = newest_beside(&directory.path().join("kubectl")).unwrap().unwrap();
        assert_eq!(newest.file_name().unwrap(), "kubectl.1.100");
        let all = versions_beside(&directory.path().join("kubectl")).unwrap();
        assert_eq!(
            all,
            ["kubectl.1.31", "kubectl.1.100"].map(|name| fs::canonicalize(directory.path()).unwrap().join(name))
        );
    }

    #[test]
    fn a_machine_without_kubectl_gets_debians() {
        let cache = tempfile::tempdir().unwrap();
        let kubectl = fetch(cache.path()).unwrap();
        assert!(is_new_enough(&kubectl).unwrap());
        assert_eq!(fetch(cache.path()).unwrap(), kubectl, "the second time from the cache");
    }

    #[test]
    fn versions_too_old_are_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["kubectl", "kubectl.1.20"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(newest_beside(&directory.path().join("kubectl")).unwrap(), None);
    }

    #[test]
    fn a_vendors_mark_does_not_hide_the_number() {
        assert_eq!(leading_number("32+"), 32);
        assert_eq!(leading_number("20"), 20);
        assert_eq!(leading_number(""), 0);
    }
}
