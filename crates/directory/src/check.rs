//! What an account must be before a container may run as it.

use std::collections::HashMap;

use essaim_backend::directory::{Account, Group};

/// Accounts by login, the primary group first in each.
///
/// Errors: a sentence that names the account and what to change.
pub(crate) fn accounts(users: Vec<Account>) -> Result<HashMap<String, Account>, String> {
    let mut accounts = HashMap::with_capacity(users.len());
    for user in users {
        let account = account(user)?;
        if let Some(twice) = accounts.insert(account.login.clone(), account) {
            return Err(format!("login {:?} stands there twice", twice.login));
        }
    }
    Ok(accounts)
}

fn account(mut account: Account) -> Result<Account, String> {
    let login = account.login.clone();
    if !is_login(&login) {
        return Err(format!("{login:?} is no login: lower case letters, digits and hyphens, at most 32, a letter first"));
    }
    if account.uid == 0 || account.gid == 0 || account.groups.iter().any(|group| group.gid == 0) {
        return Err(format!("login {login:?} has uid or gid 0: containers never run as root"));
    }
    if !account.home.starts_with('/') || account.home.contains("..") {
        return Err(format!("login {login:?} needs an absolute home, not {:?}", account.home));
    }
    if let Some(group) = account.groups.iter().find(|group| !is_group(&group.name)) {
        return Err(format!("login {login:?} has a group {:?}, which is no group name", group.name));
    }
    account.groups.sort_by_key(|group: &Group| (group.gid != account.gid, group.gid));
    account.groups.dedup();
    Ok(account)
}

/// A login becomes a namespace, a host name and a part of paths.
fn is_login(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 32 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(plain) && !name.ends_with('-')
}

/// A group becomes a part of paths.
fn is_group(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}
