//! Checks of transactions.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;

use super::{create, delete, get, key, list, put, revisions, take, transaction, write};
use crate::{Error, Mutation, Precondition, Store};

pub(super) async fn create_takes_a_revision_and_is_read_back(store: Arc<dyn Store>) {
    let before = store.revision();
    let revision = create(&store, "/a/x", "one").await.expect("the key is free");
    assert!(revision > before);
    assert_eq!(store.revision(), revision);
    let record = get(&store, "/a/x").await.expect("it exists");
    assert_eq!((record.key.as_str(), &record.value[..]), ("/a/x", &b"one"[..]));
    assert_eq!((record.created, record.modified), (revision, revision));
}

pub(super) async fn create_of_an_existing_key_conflicts_and_shows_it(store: Arc<dyn Store>) {
    let first = create(&store, "/a/x", "one").await.expect("the key is free");
    let Err(Error::Conflict { key, current }) = create(&store, "/a/x", "two").await else {
        panic!("a second create must conflict");
    };
    let current = current.expect("what stands there");
    assert_eq!((key.as_str(), current.modified, &current.value[..]), ("/a/x", first, &b"one"[..]));
    assert_eq!(store.revision(), first, "a refused transaction takes no revision");
}

pub(super) async fn update_at_the_right_revision_keeps_created(store: Arc<dyn Store>) {
    let created = create(&store, "/a/x", "one").await.expect("the key is free");
    let update = transaction(vec![Precondition::ModifiedAt(key("/a/x"), created)], vec![put("/a/x", "two")]);
    let modified = store.commit(update).await.expect("the revision is current").revisions[0].expect("a revision");
    let record = get(&store, "/a/x").await.expect("it exists");
    assert_eq!((record.created, record.modified, &record.value[..]), (created, modified, &b"two"[..]));
    assert!(modified > created);
}

pub(super) async fn update_at_an_old_revision_conflicts(store: Arc<dyn Store>) {
    let old = create(&store, "/a/x", "one").await.expect("the key is free");
    let new = write(&store, vec![put("/a/x", "two")]).await;
    for (path, expected) in [("/a/x", Some(new)), ("/a/absent", None)] {
        let update = transaction(vec![Precondition::ModifiedAt(key(path), old)], vec![put(path, "three")]);
        let Err(Error::Conflict { current, .. }) = store.commit(update).await else {
            panic!("an update of {path} at an old revision must conflict");
        };
        assert_eq!(current.map(|record| record.modified), expected);
    }
    assert_eq!(&get(&store, "/a/x").await.expect("it exists").value[..], b"two");
}

pub(super) async fn delete_of_an_absent_key_takes_no_revision(store: Arc<dyn Store>) {
    let before = write(&store, vec![put("/a/x", "one")]).await;
    let committed = store.commit(transaction(vec![], vec![delete("/a/absent")])).await.expect("nothing forbids it");
    assert_eq!(committed.revisions, [None]);
    assert_eq!(store.revision(), before);
}

pub(super) async fn recreated_key_is_created_anew(store: Arc<dyn Store>) {
    write(&store, vec![put("/a/x", "one")]).await;
    let deleted = write(&store, vec![delete("/a/x")]).await;
    assert_eq!(get(&store, "/a/x").await, None);
    let created = create(&store, "/a/x", "two").await.expect("the key is free again");
    assert!(created > deleted);
    assert_eq!(get(&store, "/a/x").await.expect("it exists").created, created);
}

pub(super) async fn transaction_is_all_or_nothing(store: Arc<dyn Store>) {
    let first = write(&store, vec![put("/a/x", "one")]).await;
    let half_right = transaction(
        vec![Precondition::ModifiedAt(key("/a/x"), first), Precondition::Absent(key("/a/x"))],
        vec![put("/a/y", "one"), put("/a/x", "two"), delete("/a/z")],
    );
    assert!(matches!(store.commit(half_right).await, Err(Error::Conflict { .. })));
    assert_eq!(store.revision(), first);
    assert_eq!(get(&store, "/a/y").await, None);

    let right = transaction(
        vec![Precondition::ModifiedAt(key("/a/x"), first), Precondition::Absent(key("/a/y"))],
        vec![put("/a/y", "one"), delete("/a/x")],
    );
    store.commit(right).await.expect("both hold, judged before either mutation");
    assert_eq!((get(&store, "/a/x").await, get(&store, "/a/y").await.is_some()), (None, true));
}

pub(super) async fn mutations_happen_in_order_and_say_when(store: Arc<dyn Store>) {
    let before = write(&store, vec![put("/a/x", "one")]).await;
    let mutations = vec![put("/a/z", "1"), delete("/a/absent"), delete("/a/x"), put("/a/b", "2")];
    let committed = store.commit(transaction(vec![], mutations)).await.expect("nothing forbids it");
    let [Some(first), None, Some(second), Some(third)] = committed.revisions[..] else {
        panic!("three of four changed something, not {committed:?}");
    };
    assert!(before < first && first <= second && second <= third && third == store.revision());
    let mut watch = store.watch("/a/", before).expect("the revision is known");
    let changes = take(&mut watch, 3).await;
    assert_eq!(changes.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["/a/z", "/a/x", "/a/b"]);
    assert_eq!(revisions(&changes), [first.0, second.0, third.0]);
    assert_eq!(get(&store, "/a/b").await.expect("it exists").created, third);
}

pub(super) async fn preconditions_alone_change_nothing(store: Arc<dyn Store>) {
    let before = write(&store, vec![put("/a/x", "one")]).await;
    let holds = transaction(vec![Precondition::ModifiedAt(key("/a/x"), before)], vec![]);
    assert_eq!(store.commit(holds).await.expect("it holds").revisions, []);
    let fails = transaction(vec![Precondition::Absent(key("/a/x"))], vec![]);
    assert!(matches!(store.commit(fails).await, Err(Error::Conflict { .. })));
    assert_eq!(store.revision(), before);
}

pub(super) async fn malformed_transactions_are_refused(store: Arc<dyn Store>) {
    let large = Mutation::Put(key("/a/x"), Bytes::from(vec![0; (3 << 19) + 1]));
    let many = (0..=1_000).map(|n| put(&format!("/a/{n}"), "")).collect();
    let malformed = [
        ("an empty key", vec![put("", "one")]),
        ("a long key", vec![put(&"k".repeat(1_025), "one")]),
        ("a key twice", vec![put("/a/x", "one"), delete("/a/x")]),
        ("too many mutations", many),
    ];
    for (what, mutations) in malformed {
        let outcome = store.commit(transaction(vec![], mutations)).await;
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{what} must be refused, not {outcome:?}");
    }
    let outcome = store.commit(transaction(vec![], vec![large])).await;
    assert!(matches!(outcome, Err(Error::TooLarge(_))), "a large value must be refused, not {outcome:?}");
    let largest = Mutation::Put(key(&"k".repeat(1_024)), Bytes::from(vec![0; (3 << 19) - 4_096]));
    write(&store, vec![largest]).await;
}

pub(super) async fn concurrent_writers_lose_nothing(store: Arc<dyn Store>) {
    let start = write(&store, vec![put("/n/counter", "0")]).await;
    let writers = (0..16).map(|_| async {
        let mut lost = 0;
        for _ in 0..20 {
            lost += increment(&store).await;
        }
        lost
    });
    join_all(writers).await;
    assert_eq!(&get(&store, "/n/counter").await.expect("it exists").value[..], b"320");
    let mut watch = store.watch("", start).expect("the revision is known");
    let seen = take(&mut watch, 320).await;
    let counts: Vec<_> = seen.iter().map(|change| String::from_utf8_lossy(&change.value).into_owned()).collect();
    assert_eq!(counts, (1..=320).map(|count: u64| count.to_string()).collect::<Vec<_>>());
    assert!(revisions(&seen).is_sorted_by(|one, next| one < next), "each is a transaction of its own");
    assert_eq!(seen.last().map(|change| change.revision), Some(store.revision()));
}

/// Adds one to the counter and says how many attempts lost against another writer.
async fn increment(store: &Arc<dyn Store>) -> usize {
    let mut lost = 0;
    loop {
        let record = get(store, "/n/counter").await.expect("it exists");
        let count: u64 = std::str::from_utf8(&record.value).expect("text").parse().expect("a number");
        let holds = Precondition::ModifiedAt(record.key, record.modified);
        let next = put("/n/counter", &(count + 1).to_string());
        match store.commit(transaction(vec![holds], vec![next])).await {
            Ok(_) => return lost,
            Err(Error::Conflict { .. }) => lost += 1,
            Err(error) => panic!("an increment failed: {error}"),
        }
    }
}

pub(super) async fn racing_creates_have_one_winner(store: Arc<dyn Store>) {
    for round in 0..20 {
        let path = format!("/race/{round}");
        let racers = (0..8).map(|racer| {
            let (store, path) = (&store, &path);
            async move { create(store, path, &racer.to_string()).await.is_ok() }
        });
        let winners = join_all(racers).await.into_iter().filter(|won| *won).count();
        assert_eq!(winners, 1, "round {round}");
    }
    assert_eq!(list(&store, "/race/").await.records.len(), 20);
}
