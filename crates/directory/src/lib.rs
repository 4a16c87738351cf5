//! Who a login is: uid, gid, groups, home. For now from a YAML file.
//!
//! The file is read again when it changed, at the next question. A file that became unreadable or wrong keeps the last good
//! picture and is told in the log once: who is known already goes on working. NSS and LDAP follow behind the same trait.

mod check;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use essaim_backend::directory::{Account, Directory, Error as LookupError};
use serde::Deserialize;

/// Why a directory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read.
    #[error("cannot read the directory file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not YAML of the expected form.
    #[error("the directory file {} is not of the form users: [{{login, uid, gid, groups: [{{name, gid}}], home}}]", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It says something that cannot be.
    #[error("the directory file {}: {message}", path.display())]
    Account {
        /// The file.
        path: PathBuf,
        /// Which account, and what to change.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: Vec<Account>,
}

/// A file's identity at the time it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

#[derive(Debug)]
struct Picture {
    accounts: HashMap<String, Account>,
    stamp: Stamp,
}

/// A directory in a YAML file.
#[derive(Debug)]
pub struct FileDirectory {
    path: PathBuf,
    // Held while a changed file is read: some kilobytes, and never across a wait.
    picture: Mutex<Picture>,
}

impl FileDirectory {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or an account in it cannot be: uid or gid 0, a login twice, a relative home.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let stamp = stamp(&path)?;
        let picture = Mutex::new(Picture { accounts: read(&path)?, stamp });
        Ok(Self { path, picture })
    }

    fn account(&self, login: &str) -> Option<Account> {
        let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut picture);
        picture.accounts.get(login).cloned()
    }

    fn refresh(&self, picture: &mut Picture) {
        let seen = match stamp(&self.path) {
            Ok(stamp) if stamp == picture.stamp => return,
            Ok(stamp) => stamp,
            Err(_) => Stamp { modified: None, length: 0 },
        };
        if seen == picture.stamp {
            return;
        }
        // Noted also for a bad file, so that it is told once and not at every question.
        picture.stamp = seen;
        match read(&self.path) {
            Ok(accounts) => picture.accounts = accounts,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the directory file is not usable; the accounts of before stay known");
            }
        }
    }
}

impl Directory for FileDirectory {
    async fn lookup(&self, login: &str) -> Result<Option<Account>, LookupError> {
        Ok(self.account(login))
    }
}

fn stamp(path: &Path) -> Result<Stamp, Error> {
    let metadata = fs::metadata(path).map_err(|source| Error::Read { path: path.into(), source })?;
    Ok(Stamp { modified: metadata.modified().ok(), length: metadata.len() })
}

fn read(path: &Path) -> Result<HashMap<String, Account>, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let file: File = serde_yaml::from_str(&text).map_err(|source| Error::Parse { path: path.into(), source: source.into() })?;
    check::accounts(file.users).map_err(|message| Error::Account { path: path.into(), message })
}

#[cfg(test)]
mod tests;
