//! What an image is made of; its hash says whether a cached or loaded one is still the right one.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::layout::{BUSYBOX_IMAGE, NOTEBOOK_IMAGE};
use crate::error::Error;
use crate::settings::{Settings, repository};

/// The label that carries the recipe's hash in the image.
pub(crate) const RECIPE_LABEL: &str = "essaim.dev/recipe";

/// What the base needs so that the notebook's Dockerfile installs nothing more. Documentation stays out.
pub(crate) const BASE_OPTIONS: [&str; 6] = [
    "--variant=apt",
    "--include=ca-certificates,procps,python3,python3-venv,tini",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--customize-hook=rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/*.bin",
];

/// One image to be: a directory of `deploy/images`, and files of this machine beside it.
pub(crate) struct Recipe {
    pub(crate) tag: &'static str,
    name: &'static str,
    /// Name in the build context, and where it comes from.
    extra: (&'static str, PathBuf),
    pub(crate) needs_base: bool,
}

pub(crate) fn notebook(settings: &Settings) -> Recipe {
    let extra = ("ca-certificates.crt", settings.ca_bundle.clone());
    Recipe { tag: NOTEBOOK_IMAGE, name: "notebook", extra, needs_base: true }
}

pub(crate) fn busybox(binary: PathBuf) -> Recipe {
    Recipe { tag: BUSYBOX_IMAGE, name: "busybox", extra: ("busybox", binary), needs_base: false }
}

impl Recipe {
    /// Changes whenever anything that goes into the image changes.
    pub(crate) fn hash(&self) -> Result<String, Error> {
        let mut sources = self.sources()?;
        sources.sort();
        let mut hash = Sha256::new();
        if self.needs_base {
            hash.update(BASE_OPTIONS.concat());
        }
        for (name, path) in sources {
            hash.update(name);
            hash.update(fs::read(&path).map_err(Error::file("read", &path))?);
        }
        Ok(short(&hash.finalize()))
    }

    /// Where the image lies in the cache, as `docker save` wrote it.
    pub(crate) fn archive(&self, cache: &Path, hash: &str) -> PathBuf {
        cache.join(format!("{}-{hash}.tar", self.name))
    }

    /// Copies everything that the build reads into `context`.
    pub(crate) fn fill(&self, context: &Path) -> Result<(), Error> {
        for (name, path) in self.sources()? {
            fs::copy(&path, context.join(name)).map_err(Error::file("copy", &path))?;
        }
        Ok(())
    }

    fn sources(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let directory = repository().join("deploy/images").join(self.name);
        let mut sources = Vec::new();
        for entry in fs::read_dir(&directory).map_err(Error::file("list", &directory))? {
            let entry = entry.map_err(Error::file("list", &directory))?;
            sources.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
        let (name, path) = &self.extra;
        sources.push(((*name).to_owned(), path.clone()));
        Ok(sources)
    }
}

/// The name in the cache of the base for these options and this release of Debian.
pub(crate) fn base_archive(cache: &Path, sources: &[String]) -> PathBuf {
    let mut hash = Sha256::new();
    hash.update(BASE_OPTIONS.concat());
    hash.update(sources.concat());
    cache.join(format!("base-{}.tar", short(&hash.finalize())))
}

/// Enough digits to tell recipes apart, few enough to read.
fn short(digest: &[u8]) -> String {
    hex::encode(&digest[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_ingredient_makes_another_hash() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("busybox");
        fs::write(&binary, "one").unwrap();
        let recipe = busybox(binary.clone());
        let first = recipe.hash().unwrap();
        assert_eq!(first, recipe.hash().unwrap());
        fs::write(&binary, "two").unwrap();
        assert_ne!(first, recipe.hash().unwrap());
    }
}
