//! Where the repository lies, and which files of source code it has.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

use crate::error::Error;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    // The manifest's folder is `<root>/xtask`; it has a parent.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).to_owned()
}

/// Every file below a folder with this ending, in the order of the names; none under `target` or hidden folders.
pub(crate) fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::file("list", &folder))? {
            let path = entry.map_err(Error::file("list", &folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') || name == "target" || name == "node_modules" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The names of this workspace's packages.
pub(crate) fn packages() -> Result<Vec<String>, Error> {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().map_err(Error::Metadata)?;
    Ok(metadata.packages.iter().map(|package| package.name.to_string()).collect())
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}
