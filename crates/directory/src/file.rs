//! A directory in a YAML file, read again when it changes.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use essaim_backend::directory::{Account, Directory, Error as LookupError};
use tokio::time::Instant;

use crate::accounts::{Accounts, Invalid};

/// The file is looked at no more often than this.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why a directory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the directory file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It says something that it must not say.
    #[error("the directory file {} is not valid", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What, and in which line.
        #[source]
        source: Invalid,
    },
}

/// Accounts in a YAML file: `users: [{login, uid, gid, groups: [{name, gid}], home}]`.
///
/// Guarantees: a changed file is read at the first lookup a second after its last look; a file that became unreadable or invalid leaves
/// the last good accounts in force, with one warning for each new state of the file.
#[derive(Debug)]
pub struct FileDirectory {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    accounts: Arc<Accounts>,
    /// What the file looked like when it was last read; `None` if it could not be found.
    stamp: Option<Stamp>,
    looked: Instant,
}

/// Tells one state of a file from the next: its inode, and the time of the last change of content or rights, in seconds and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    changed: (i64, i64),
    length: u64,
}

impl FileDirectory {
    /// Reads the file, which must be valid now.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        // The stamp first: a change between the two is then seen as one.
        let stamp = stamp(&path).ok();
        let accounts = Arc::new(read(&path)?);
        tracing::info!(path = %path.display(), accounts = accounts.len(), "directory file read");
        Ok(FileDirectory { path, state: Mutex::new(State { accounts, stamp, looked: Instant::now() }) })
    }

    /// The accounts in force.
    fn accounts(&self) -> Arc<Accounts> {
        let mut state = self.state();
        if state.looked.elapsed() >= INTERVAL {
            state.looked = Instant::now();
            self.refresh(&mut state);
        }
        Arc::clone(&state.accounts)
    }

    /// Reads the file again if it changed.
    fn refresh(&self, state: &mut State) {
        let stamp = stamp(&self.path);
        let seen = stamp.as_ref().ok().copied();
        if seen == state.stamp {
            return;
        }
        state.stamp = seen;
        let accounts = match stamp {
            Ok(_) => read(&self.path),
            Err(source) => Err(Error::Read { path: self.path.clone(), source }),
        };
        match accounts {
            Ok(accounts) => {
                tracing::info!(path = %self.path.display(), accounts = accounts.len(), "directory file read");
                state.accounts = Arc::new(accounts);
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(error = %error, cause, "the directory file cannot be used; the accounts read before stay in force");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while reading leaves the old accounts, which are good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory for FileDirectory {
    /// A file that was good once always answers: an error is not possible here.
    async fn lookup(&self, login: &str) -> Result<Option<Account>, LookupError> {
        Ok(self.accounts().get(login).cloned())
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok(Stamp { inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()), length: metadata.len() })
}

fn read(path: &Path) -> Result<Accounts, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Accounts::parse(&text).map_err(|source| Error::Invalid { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ALICE: &str = "users: [{login: alice, uid: 5001, gid: 5100, home: /home/alice}]";
    const ALICE_AND_BOB: &str = "users: [{login: alice, uid: 5001, gid: 5100, home: /home/alice}, {login: bob, uid: 5002, gid: 5100, home: /home/bob}]";

    async fn knows(directory: &FileDirectory, login: &str) -> bool {
        directory.lookup(login).await.unwrap().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_read_again_after_a_second() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, ALICE).unwrap();
        let directory = FileDirectory::open(file.path()).unwrap();
        assert!(knows(&directory, "alice").await && !knows(&directory, "bob").await);
        fs::write(&file, ALICE_AND_BOB).unwrap();
        assert!(!knows(&directory, "bob").await, "not looked at yet");
        tokio::time::advance(INTERVAL).await;
        assert!(knows(&directory, "bob").await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_or_missing_file_leaves_the_last_good_accounts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, ALICE_AND_BOB).unwrap();
        let directory = FileDirectory::open(file.path()).unwrap();
        fs::write(&file, "users: [{login: alice").unwrap();
        tokio::time::advance(INTERVAL).await;
        assert!(knows(&directory, "bob").await);
        fs::remove_file(&file).unwrap();
        tokio::time::advance(INTERVAL).await;
        assert!(knows(&directory, "bob").await);
        fs::write(&file, ALICE).unwrap();
        tokio::time::advance(INTERVAL).await;
        assert!(!knows(&directory, "bob").await, "a good file counts again");
    }

    #[tokio::test(start_paused = true)]
    async fn another_file_under_the_same_name_is_seen_whatever_its_age_and_length() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("directory.yaml"), folder.path().join("new.yaml"));
        fs::write(&path, ALICE).unwrap();
        let directory = FileDirectory::open(&path).unwrap();
        fs::write(&other, ALICE.replace("alice", "clara")).unwrap();
        let modified = path.metadata().unwrap().modified().unwrap();
        fs::File::options().append(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::rename(&other, &path).unwrap();
        tokio::time::advance(INTERVAL).await;
        assert!(knows(&directory, "clara").await && !knows(&directory, "alice").await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_becomes_readable_again_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, ALICE).unwrap();
        let directory = FileDirectory::open(file.path()).unwrap();
        let before = directory.state().stamp;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert_ne!(stamp(file.path()).ok(), before, "a change of rights is a new state of the file");
    }

    #[test]
    fn the_first_reading_must_succeed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "users:\n  - {login: root, uid: 0, gid: 1, home: /root}").unwrap();
        let error = FileDirectory::open(file.path()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "line 2: uid is 0, which is root's: containers never run as root");
        assert!(matches!(FileDirectory::open("/nonesuch/directory.yaml"), Err(Error::Read { .. })));
    }
}
