//! What all hosts of the site share: the demo logins' directory, their homes, group space, software.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::layout::{RUN, STATE, directory_file, shared};
use super::traces;
use crate::error::Error;
use crate::program::Program;

struct Group {
    name: &'static str,
    gid: u32,
}

struct Login {
    name: &'static str,
    uid: u32,
    /// The primary group first.
    groups: &'static [Group],
}

const ATLAS: Group = Group { name: "atlas", gid: 5100 };
const CMS: Group = Group { name: "cms", gid: 5200 };

/// Two people who share one group, which is primary for one of them only.
const LOGINS: [Login; 2] =
    [Login { name: "alice", uid: 5001, groups: &[ATLAS, CMS] }, Login { name: "bob", uid: 5002, groups: &[CMS] }];

/// Writable by nobody in particular, the same for all.
const COMMON: [&str; 3] = ["pbs/throng", "pbs/software", "cvmfs"];

/// Makes the state directories, the shared ones and the directory file.
pub(crate) fn ensure() -> Result<(), Error> {
    for directory in [Path::new(STATE).join("logs"), PathBuf::from(RUN), shared()] {
        fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
    }
    share_mounts()?;
    for directory in COMMON {
        let path = shared().join(directory);
        fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
    }
    for login in &LOGINS {
        give(&home_source(login), login.uid, login.groups[0].gid, 0o700)?;
        for group in login.groups {
            give(&shared().join("sps").join(group.name), 0, group.gid, 0o2775)?;
        }
    }
    write_directory_file()
}

/// A mount of its own that propagates: what is mounted below it later, as autofs does, appears in the engines too.
fn share_mounts() -> Result<(), Error> {
    let shared = shared();
    if traces::is_mount_point(&shared)? {
        return Ok(());
    }
    Program::new("mount").args(["--bind".as_ref(), shared.as_os_str(), shared.as_os_str()]).run()?;
    // First private, else it would stay in the group of peers of the file system that it lies on.
    Program::new("mount").args(["--make-private".as_ref(), shared.as_os_str()]).run()?;
    Program::new("mount").args(["--make-shared".as_ref(), shared.as_os_str()]).run()
}

/// Unmounts all that is mounted in the state directory.
pub(crate) fn unmount() -> Result<(), Error> {
    for point in traces::mounts_below(Path::new(STATE))? {
        Program::new("umount").args([&point]).run()?;
    }
    Ok(())
}

/// An existing directory keeps its owner and mode: a test may have changed them on purpose.
fn give(path: &Path, uid: u32, gid: u32, mode: u32) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(Error::file("create", path))?;
    chown(path, Some(uid), Some(gid)).map_err(Error::file("change the owner of", path))?;
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(Error::file("change the mode of", path))
}

fn home(login: &Login) -> String {
    format!("/pbs/home/{}/{}", &login.name[..1], login.name)
}

fn home_source(login: &Login) -> PathBuf {
    shared().join(home(login).trim_start_matches('/'))
}

fn write_directory_file() -> Result<(), Error> {
    let path = directory_file();
    let content = serde_yaml::to_string(&directory()).map_err(Error::Directory)?;
    fs::write(&path, content).map_err(Error::file("write", &path))
}

#[derive(Serialize)]
struct Directory {
    users: Vec<User>,
}

#[derive(Serialize)]
struct User {
    login: &'static str,
    uid: u32,
    gid: u32,
    groups: Vec<Membership>,
    home: String,
}

#[derive(Serialize)]
struct Membership {
    name: &'static str,
    gid: u32,
}

fn directory() -> Directory {
    let membership = |group: &Group| Membership { name: group.name, gid: group.gid };
    let users = LOGINS.iter().map(|login| User {
        login: login.name,
        uid: login.uid,
        gid: login.groups[0].gid,
        groups: login.groups.iter().map(membership).collect(),
        home: home(login),
    });
    Directory { users: users.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_file_has_the_form_that_essaim_reads() {
        let yaml = serde_yaml::to_string(&directory()).unwrap();
        let read: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
        let alice = &read["users"][0];
        assert_eq!(alice["login"], "alice");
        assert_eq!((&alice["uid"], &alice["gid"]), (&5001.into(), &5100.into()));
        assert_eq!(alice["groups"][1], serde_json::json!({ "name": "cms", "gid": 5200 }));
        assert_eq!(alice["home"], "/pbs/home/a/alice");
        assert_eq!(read["users"][1]["gid"], 5200);
    }
}
