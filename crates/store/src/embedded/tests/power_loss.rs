//! The store on a drive that fails.
//!
//! `kill -9` leaves the page cache intact and so proves nothing about `fsync`; this does.

use std::sync::Arc;

use crate::{
    Error, Key, Mutation, Options, Precondition, Revision, Store as _, Transaction,
    embedded::{Embedded, FaultyDrive},
};
use bytes::Bytes;
use futures::{StreamExt as _, future::join_all};

fn open(drive: &FaultyDrive) -> Arc<Embedded> {
    Embedded::open_on(drive, Options::default()).unwrap()
}

fn put(key: &Key, value: Vec<u8>) -> Transaction {
    Transaction { preconditions: vec![], mutations: vec![Mutation::Put(key.clone(), Bytes::from(value))] }
}

/// Eight writers until the disk fails; returns what was acknowledged.
async fn write_until_failure(store: &Embedded) -> Vec<(Key, Revision)> {
    let writers = (0..8).map(|writer| async move {
        let mut acknowledged = Vec::new();
        for n in 0_usize.. {
            let key = Key::new(format!("/w{writer}/{}", n % 5));
            match store.commit(put(&key, vec![b'x'; 100 + 700 * (n % 7)])).await {
                Ok(committed) => acknowledged.push((key, committed.revisions[0].unwrap())),
                Err(Error::Engine { .. }) => break,
                Err(error) => panic!("an unexpected refusal: {error}"),
            }
        }
        acknowledged
    });
    join_all(writers).await.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_power_loss_and_nobody_saw_more() {
    for seed in 1..=40 {
        let drive = FaultyDrive::default();
        let store = open(&drive);
        let mut watch = store.watch("", Revision(0)).unwrap();
        drive.fail_after_syncs(Some(usize::try_from(seed % 13).unwrap()));
        let acknowledged = write_until_failure(&store).await;

        let published = store.revision();
        let mut seen = Revision(0);
        while seen < published {
            seen = watch.next().await.unwrap().unwrap().last().unwrap().revision;
        }
        assert!(acknowledged.iter().all(|(_, revision)| *revision <= published));
        drop((watch, store));

        let reopened = open(&drive.after_power_loss(seed));
        assert!(reopened.revision() >= published, "seed {seed}: {published} was seen, {} found", reopened.revision());
        for (key, revision) in acknowledged {
            let record = reopened.get(&key).await.unwrap().0;
            assert!(record.is_some_and(|record| record.modified >= revision), "seed {seed}: {key:?} at {revision}");
        }
        reopened.commit(put(&Key::new("/after"), vec![])).await.unwrap();
    }
}

/// Every byte in the full form; in the bounded one a spread, whose step divides no page.
#[tokio::test(flavor = "multi_thread")]
async fn power_cut_at_every_byte_of_a_commit_leaves_all_of_it_or_nothing() {
    let step = if std::env::var_os("ESSAIM_SOAK").is_some_and(|value| value == "1") { 1 } else { 101 };
    let drive = FaultyDrive::default();
    let store = open(&drive);
    let (key, other) = (Key::new("/a/x"), Key::new("/a/y"));
    store.commit(put(&other, vec![b'o'; 900])).await.unwrap();
    let old = store.commit(put(&key, vec![b'1'; 1_300])).await.unwrap().revisions[0].unwrap();
    drive.record();
    let new = store.commit(put(&key, vec![b'2'; 1_500])).await.unwrap().revisions[0].unwrap();

    let (mut cuts, mut whole) = (0, 0);
    drive.at_each_byte(step, |at, cut| {
        let found = open(cut);
        let record = found.published.picture().objects[&key].clone();
        let (value, revision) = (&record.value[..], found.revision());
        let is_old = value == [b'1'; 1_300] && record.modified == old && revision == old;
        let is_new = value == [b'2'; 1_500] && record.modified == new && revision == new;
        assert!(is_old || is_new, "cut at byte {at}: {record:?} at {revision}");
        cuts += 1;
        whole += u32::from(is_new);
    });
    println!("{cuts} cuts, after {whole} of them the unacknowledged write was there");
    assert!(cuts > 40 && whole < cuts, "{whole} of {cuts}: nothing was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_disk_stops_writes_and_leaves_reads() {
    let drive = FaultyDrive::default();
    let store = open(&drive);
    let key = Key::new("/a/x");
    store.commit(put(&key, b"one".to_vec())).await.unwrap();
    store.health().unwrap();

    drive.fail_after_syncs(Some(0));
    let refused = Transaction { preconditions: vec![Precondition::Absent(key.clone())], mutations: vec![] };
    let (written, refused) = futures::join!(store.commit(put(&key, b"two".to_vec())), store.commit(refused));
    assert!(matches!(written, Err(Error::Engine { .. })), "{written:?}");
    // Alone in a batch it is a conflict that concerns no disk; together with the write it shares its fate.
    assert!(matches!(refused, Err(Error::Engine { .. } | Error::Conflict { .. })), "{refused:?}");

    drive.fail_after_syncs(None);
    let later = store.commit(put(&key, b"three".to_vec())).await;
    assert!(matches!(later, Err(Error::Engine { .. })), "a disk that came back does not make the state known");
    assert!(matches!(store.health(), Err(Error::Engine { .. })));

    let (record, revision) = store.get(&key).await.unwrap();
    assert_eq!((&record.unwrap().value[..], revision), (&b"one"[..], Revision(1)));
    assert!(store.watch("/a/", Revision(0)).unwrap().next().await.unwrap().is_ok());
}
