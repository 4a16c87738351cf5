//! What a directory file may say.

use super::*;

const GOOD: &str = "
users:
  - {login: alice, uid: 5001, gid: 5100, groups: [{name: cms, gid: 5200}, {name: atlas, gid: 5100}], home: /home/alice}
  - login: bob
    uid: 5002
    gid: 5200
    home: /home/bob
";

fn problem(users: &str) -> Invalid {
    Accounts::parse(&format!("users:\n{users}")).unwrap_err()
}

#[test]
fn n2_a_login_has_its_uid_gid_and_groups_the_primary_one_first() {
    let accounts = Accounts::parse(GOOD).unwrap();
    let alice = accounts.get("alice").unwrap();
    assert_eq!((alice.uid, alice.gid, alice.home.as_str()), (5001, 5100, "/home/alice"));
    assert_eq!(alice.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["atlas", "cms"]);
    assert_eq!(accounts.get("bob").unwrap().groups, []);
    assert_eq!(accounts.get("carol"), None);
    assert_eq!(accounts.len(), 2);
}

#[test]
fn an_empty_list_is_a_directory_of_nobody() {
    assert_eq!(Accounts::parse("users: []").unwrap().len(), 0);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let refused = [
        (
            "  - {login: alice, uid: 0, gid: 1, home: /a}",
            "line 2: uid is 0, which is root's: containers never run as root",
        ),
        (
            "  - {login: alice, uid: 1, gid: 0, home: /a}",
            "line 2: gid is 0, which is root's: containers never run as root",
        ),
        (
            "  - {login: alice, uid: 1, gid: 2, groups: [{name: a, gid: 2}, {name: root, gid: 0}], home: /a}",
            "line 2: gid is 0, which is root's: containers never run as root",
        ),
        (
            "  - {login: alice, uid: 1, gid: 2, home: home/alice}",
            "line 2: home \"home/alice\" is not absolute, or has '..' in it",
        ),
        (
            "  - {login: alice, uid: 1, gid: 2, home: /home/../etc}",
            "line 2: home \"/home/../etc\" is not absolute, or has '..' in it",
        ),
        (
            "\n  - {login: a, uid: 1, gid: 2, home: /a}\n  - {login: a, uid: 2, gid: 2, home: /b}",
            "line 4: login \"a\" is there already, in line 3",
        ),
        (
            "  - {login: a, uid: 7, gid: 2, home: /a}\n  - {login: b, uid: 7, gid: 2, home: /b}",
            "line 3: uid 7 belongs to \"a\" already",
        ),
        (
            "  - {login: a, uid: 7, gid: 2, groups: [{name: g, gid: 2}], home: /a}\n  - {login: b, uid: 8, gid: 3, groups: [{name: g, gid: 3}], home: /b}",
            "line 3: group \"g\" with gid 3 contradicts group \"g\" with gid 2 above",
        ),
        (
            "  - {login: a, uid: 7, gid: 2, groups: [{name: g, gid: 2}], home: /a}\n  - {login: b, uid: 8, gid: 2, groups: [{name: h, gid: 2}], home: /b}",
            "line 3: group \"h\" with gid 2 contradicts group \"g\" with gid 2 above",
        ),
        (
            "  - {login: a, uid: 7, gid: 2, groups: [{name: g, gid: 3}], home: /a}",
            "line 2: gid 2, the primary group, is not among the groups",
        ),
        (
            "  - {login: a, uid: 7, gid: 2, groups: [{name: '', gid: 2}], home: /a}",
            "line 2: \"\" is no group name: letters, digits, '-' and '_', at most 64",
        ),
        (
            "  - {login: a, uid: 7, gid: 2, groups: [{name: ../b, gid: 2}], home: /a}",
            "line 2: \"../b\" is no group name: letters, digits, '-' and '_', at most 64",
        ),
    ];
    for (users, words) in refused {
        assert_eq!(problem(users).to_string(), words);
    }
}

#[test]
fn logins_are_what_systems_take() {
    for login in ["alice", "al-ice-2", "a"] {
        assert!(is_login(login), "{login}");
    }
    for login in ["", "-a", "a-", "2fast", "A", "a.b", "a_b", "al ice", "al/ice", "älice", &"a".repeat(33)] {
        assert!(!is_login(login), "{login}");
        let users = format!("  - {{login: {login:?}, uid: 1, gid: 2, home: /a}}");
        assert!(matches!(problem(&users).problem, Problem::Login(_)), "{login}");
    }
}

#[test]
fn what_is_not_of_the_form_is_refused_with_its_line() {
    for (text, line, words) in [
        ("users:\n  - {login: alice, uid: 1, gid: 2, home: /a, shell: /bin/sh}", 2, "shell"),
        ("users:\n  - {login: alice, uid: 1, gid: 2}", 2, "home"),
        ("users:\n  - {login: alice, uid: -1, gid: 2, home: /a}", 2, ""),
        ("users:\n  - {login: alice\n", 3, ""),
        ("accounts: []", 1, "accounts"),
    ] {
        let invalid = Accounts::parse(text).unwrap_err();
        assert!(matches!(invalid.problem, Problem::Form(_)), "{text}: {invalid}");
        assert!(invalid.line.abs_diff(line) <= 1 && invalid.line > 0, "{text}: {invalid}");
        assert!(invalid.to_string().contains(words), "{text}: {invalid}");
    }
}

#[test]
fn o3_a_hundred_times_the_logins_of_today_are_read() {
    let line = |n| format!("- {{login: u{n}, uid: {n}, gid: 7, groups: [{{name: g, gid: 7}}], home: /home/u{n}}}");
    let users: Vec<String> = (1..=26_200).map(line).collect();
    assert_eq!(Accounts::parse(&format!("users:\n{}", users.join("\n"))).unwrap().len(), 26_200);
}
