//! The accounts of a directory file, checked.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
};

use essaim_backend::directory::{Account, Group};
use serde::Deserialize;
use serde_yaml::Spanned;

/// Longest login that useradd makes.
const LOGIN_LIMIT: usize = 32;
/// Longest group name.
const GROUP_LIMIT: usize = 64;

/// What is wrong with a directory file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Line in the file, counted from 1; 0 if it is about the whole.
    pub line: u64,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for Invalid {}

/// Something that a directory file must not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not YAML of the documented form.
    #[error("{0}")]
    Form(String),
    /// A login that could not be a namespace, a host name and a part of paths at the same time.
    #[error("{0:?} is no login: lower case letters, digits and hyphens, at most 32, a letter first, no hyphen last")]
    Login(String),
    /// Root, or its group.
    #[error("{0} is 0, which is root's: containers never run as root")]
    Root(&'static str),
    /// A home that depends on where one stands.
    #[error("home {0:?} is not absolute, or has '..' in it")]
    Home(String),
    /// Two accounts of one login.
    #[error("login {login:?} is there already, in line {first}")]
    LoginTwice {
        /// The login.
        login: String,
        /// Where it stands first.
        first: u64,
    },
    /// Two accounts of one uid: each could read the other's files.
    #[error("uid {uid} belongs to {login:?} already")]
    UidTwice {
        /// The uid.
        uid: u32,
        /// Whose it is.
        login: String,
    },
    /// One group under two gids, or the other way round.
    #[error("group {name:?} with gid {gid} contradicts group {other_name:?} with gid {other_gid} above")]
    GroupTwice {
        /// The name here.
        name: String,
        /// The gid here.
        gid: u32,
        /// The name above.
        other_name: String,
        /// The gid above.
        other_gid: u32,
    },
    /// A group name that could not be a part of a path.
    #[error("{0:?} is no group name: letters, digits, '-' and '_', at most 64")]
    GroupName(String),
    /// The primary group has no name.
    #[error("gid {0}, the primary group, is not among the groups")]
    PrimaryGroup(u32),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: Vec<Spanned<Account>>,
}

/// Checked accounts by login.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Accounts(HashMap<String, Account>);

impl Accounts {
    pub(crate) fn get(&self, login: &str) -> Option<&Account> {
        self.0.get(login)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Reads a file's text.
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        // The default limits are meant for bodies of strangers; this file is the operator's own and may hold every account of a site.
        let options = serde_yaml::options! {
            budget: serde_yaml::budget! { max_nodes: 50_000_000, max_events: 100_000_000, max_total_scalar_bytes: 1 << 30 },
            with_snippet: false,
        };
        let File { users } = serde_yaml::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            Invalid { line, problem: Problem::Form(error.to_string()) }
        })?;
        let mut seen = Seen::default();
        for Spanned { value, referenced, .. } in users {
            let line = referenced.line();
            seen.add(value, line).map_err(|problem| Invalid { line, problem })?;
        }
        Ok(Accounts(seen.accounts))
    }
}

/// What the lines above said.
#[derive(Default)]
struct Seen {
    accounts: HashMap<String, Account>,
    lines: HashMap<String, u64>,
    logins: HashMap<u32, String>,
    gids: HashMap<String, u32>,
    groups: HashMap<u32, String>,
}

impl Seen {
    fn add(&mut self, account: Account, line: u64) -> Result<(), Problem> {
        let account = checked(account)?;
        if let Some(first) = self.lines.insert(account.login.clone(), line) {
            return Err(Problem::LoginTwice { login: account.login, first });
        }
        match self.logins.entry(account.uid) {
            Entry::Occupied(taken) => return Err(Problem::UidTwice { uid: account.uid, login: taken.get().clone() }),
            Entry::Vacant(free) => free.insert(account.login.clone()),
        };
        for Group { name, gid } in &account.groups {
            let other_gid = *self.gids.entry(name.clone()).or_insert(*gid);
            let other_name = self.groups.entry(*gid).or_insert_with(|| name.clone());
            if other_gid != *gid {
                return Err(Problem::GroupTwice { name: name.clone(), gid: *gid, other_name: name.clone(), other_gid });
            }
            if other_name != name {
                return Err(Problem::GroupTwice {
                    name: name.clone(),
                    gid: *gid,
                    other_name: other_name.clone(),
                    other_gid: *gid,
                });
            }
        }
        self.accounts.insert(account.login.clone(), account);
        Ok(())
    }
}

/// The account with its primary group first, each group once.
fn checked(mut account: Account) -> Result<Account, Problem> {
    if !is_login(&account.login) {
        return Err(Problem::Login(account.login));
    }
    if account.uid == 0 {
        return Err(Problem::Root("uid"));
    }
    if account.gid == 0 || account.groups.iter().any(|group| group.gid == 0) {
        return Err(Problem::Root("gid"));
    }
    if !account.home.starts_with('/') || account.home.split('/').any(|part| part == "..") {
        return Err(Problem::Home(account.home));
    }
    if let Some(group) = account.groups.iter().find(|group| !is_group(&group.name)) {
        return Err(Problem::GroupName(group.name.clone()));
    }
    let primary = account.gid;
    // An account may leave all its groups out; one that names some names the primary one too.
    if !account.groups.is_empty() && account.groups.iter().all(|group| group.gid != primary) {
        return Err(Problem::PrimaryGroup(primary));
    }
    account.groups.sort_by_key(|group| (group.gid != primary, group.gid));
    account.groups.dedup();
    Ok(account)
}

fn is_login(login: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = login.starts_with(|first: char| first.is_ascii_lowercase());
    login.len() <= LOGIN_LIMIT && starts && login.bytes().all(inner) && !login.ends_with('-')
}

fn is_group(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=GROUP_LIMIT).contains(&name.len()) && name.bytes().all(inner)
}

#[cfg(test)]
mod tests;
