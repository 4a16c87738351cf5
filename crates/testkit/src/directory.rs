//! Accounts in memory.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use essaim_backend::directory::{Account, Directory, Error, Group};

/// A directory whose accounts a test names. Clones are the same directory.
#[derive(Clone, Debug, Default)]
pub struct StaticDirectory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    accounts: BTreeMap<String, Account>,
    silent: bool,
}

impl StaticDirectory {
    /// A directory of these logins.
    pub fn of(logins: &[&str]) -> Self {
        let directory = Self::default();
        for login in logins {
            directory.add(login);
        }
        directory
    }

    /// Makes an account whose uid, gids and home differ from all others'.
    pub fn add(&self, login: &str) {
        let mut state = self.state();
        let number = u32::try_from(state.accounts.len()).unwrap_or_default();
        let group = |name: String, gid| Group { name, gid };
        let account = Account {
            login: login.to_owned(),
            uid: 5_001 + number,
            gid: 15_001 + number,
            groups: vec![group(format!("{login}-own"), 15_001 + number), group("everybody".to_owned(), 25_000)],
            home: format!("/home/{login}"),
        };
        state.accounts.insert(login.to_owned(), account);
    }

    /// Has the directory answer nobody, or everybody again.
    pub fn set_silent(&self, silent: bool) {
        self.state().silent = silent;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory for StaticDirectory {
    async fn lookup(&self, login: &str) -> Result<Option<Account>, Error> {
        let state = self.state();
        if state.silent {
            let source = io::Error::new(io::ErrorKind::TimedOut, "the test has it silent");
            return Err(Error { login: login.to_owned(), source: source.into() });
        }
        Ok(state.accounts.get(login).cloned())
    }
}
