//! Files that cannot be used, and what the operator reads then.

use std::{error::Error as _, fs, os::unix::fs::PermissionsExt as _, path::Path};

use essaim_store::{Embedded, Options, Retention, Store as _};
use redb::{Database, TableDefinition};

use crate::{list, open, put, write};

/// The whole chain of the error with which a file is refused.
fn refusal(path: &Path) -> String {
    let Err(error) = Embedded::open(path, Options::default()) else { return "it was accepted".to_owned() };
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    chain.replace(&path.display().to_string(), "FILE")
}

#[tokio::test]
async fn file_in_use_is_refused_until_it_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let store = open(directory.path(), Options::default());
    assert_eq!(refusal(&path), "cannot open the store: cannot use FILE: another process has it open");
    store.close();
    assert_eq!(refusal(&path), "it was accepted");
}

#[test]
fn file_of_something_else_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let junk = "not a store ".repeat(1_000);
    fs::write(&path, &junk).unwrap();
    assert_eq!(refusal(&path), "cannot open the store: cannot use FILE: it holds something else than a store");
    assert_eq!(fs::read_to_string(&path).unwrap(), junk);
    let absent = directory.path().join("no/such/directory/store.redb");
    assert_eq!(
        refusal(&absent),
        "cannot open the store: cannot use FILE: the file system failed: No such file or directory (os error 2)"
    );
}

#[test]
fn database_of_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    let transaction = Database::create(&path).unwrap().begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("other")).unwrap();
    transaction.commit().unwrap();
    assert_eq!(refusal(&path), "cannot open the store: cannot use FILE: it holds something else than a store");
}

/// Changes what the file says about itself.
fn set_meta(path: &Path, name: &str, value: u128) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = TableDefinition::<&str, u128>::new("meta");
    transaction.open_table(meta).unwrap().insert(name, value).unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn unsupported_format_and_contradictions_are_refused() {
    let expectations = [
        ("format", 9, "it is in format 9, this version reads 1"),
        ("next", 2, "it is damaged: its log ends at 3, its newest revision is 1"),
        ("next", 9, "it is damaged: its log ends at 3, its newest revision is 8"),
        ("compacted", 1, "it is damaged: its log has event 1 where 2 belongs"),
    ];
    for (name, value, expected) in expectations {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        let store = open(directory.path(), Options::default());
        write(&store, vec![put("/a/x", "one"), put("/a/y", "two"), put("/a/z", "three")]).await;
        drop(store);
        set_meta(&path, name, value);
        assert_eq!(refusal(&path), format!("cannot open the store: cannot use FILE: {expected}"));
    }
}

#[tokio::test]
async fn damaged_file_is_refused_or_unharmed_but_never_different() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    // A short log, so that most objects stand in the file once and only checksums can notice a change.
    let retention = Retention { events: 10, ..Retention::default() };
    let store = open(directory.path(), Options { retention, ..Options::default() });
    for n in 0..1_000 {
        write(&store, vec![put(&format!("/a/{n:03}"), vec![b'v'; 1_000])]).await;
    }
    let whole = list(&store, "", None).await.unwrap();
    drop(store);

    let sound = fs::read(&path).unwrap();
    let mut refused = 0;
    for offset in (97..sound.len()).step_by(sound.len() / 60) {
        let mut damaged = sound.clone();
        damaged[offset] ^= 0x55;
        fs::write(&path, damaged).unwrap();
        match Embedded::open(&path, Options::default()) {
            Ok(store) => assert_eq!(list(&store, "", None).await.unwrap(), whole, "offset {offset}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "most of the file matters");

    fs::write(&path, &sound[..sound.len() / 2]).unwrap();
    assert_ne!(refusal(&path), "it was accepted");
}

#[tokio::test]
async fn file_is_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options::default());
    let mode = fs::metadata(directory.path().join("store.redb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(store.revision().0, 0);
}
