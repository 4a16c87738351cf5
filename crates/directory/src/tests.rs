//! The file form of the directory.

use super::*;

const TWO: &str = "users:
  - {login: user01, uid: 5001, gid: 5200, groups: [{name: atlas, gid: 5100}, {name: cms, gid: 5200}], home: /pbs/home/u/user01}
  - {login: user02, uid: 5002, gid: 5100, home: /pbs/home/u/user02}
";

fn directory(text: &str) -> (tempfile::TempDir, Result<FileDirectory, Error>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.yaml");
    fs::write(&path, text).unwrap();
    (folder, FileDirectory::open(path))
}

#[test]
fn n2_a_login_has_its_uid_gid_and_groups_the_primary_one_first() {
    let (_folder, directory) = directory(TWO);
    let account = directory.unwrap().account("user01").unwrap();
    assert_eq!((account.uid, account.gid), (5001, 5200));
    let names: Vec<_> = account.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["cms", "atlas"]);
}

#[test]
fn an_unknown_login_is_none() {
    let (_folder, directory) = directory(TWO);
    assert!(directory.unwrap().account("nobody").is_none());
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_keeps_who_is_known() {
    let (folder, directory) = directory(TWO);
    let (directory, path) = (directory.unwrap(), folder.path().join("directory.yaml"));
    fs::write(&path, format!("{TWO}  - {{login: user03, uid: 5003, gid: 5100, home: /pbs/home/u/user03}}\n")).unwrap();
    assert_eq!(directory.account("user03").unwrap().uid, 5003);
    fs::write(&path, "users: [").unwrap();
    assert_eq!(directory.account("user03").unwrap().uid, 5003);
    fs::remove_file(&path).unwrap();
    assert_eq!(directory.account("user01").unwrap().uid, 5001);
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let cases = [
        ("users: [{login: root, uid: 0, gid: 1, home: /root}]", "containers never run as root"),
        ("users: [{login: a, uid: 1, gid: 1, home: /a}, {login: a, uid: 2, gid: 2, home: /b}]", "twice"),
        ("users: [{login: a, uid: 1, gid: 1, home: a}]", "absolute home"),
        ("users: [{login: A b, uid: 1, gid: 1, home: /a}]", "is no login"),
        ("users: [{login: a, uid: 1, gid: 1, home: /a, groups: [{name: ../b, gid: 2}]}]", "no group name"),
        ("users: [{login: a, uid: 1, gid: 1, home: /a, shell: sh}]", "of the form"),
    ];
    for (text, words) in cases {
        let (_folder, directory) = directory(text);
        let message = directory.unwrap_err().to_string();
        assert!(message.contains(words), "{text}: {message}");
    }
}
