//! Several engines on one etcd.

use std::time::Duration;

use futures::future::join_all;

use super::{
    Error, EtcdOptions, ListRequest, Mutation, Precondition, Server, Store as _, Transaction, commit, get, hear_until,
    key, list, number, open,
    proxy::{Proxy, Wire},
    put, wait_until, within, write,
};
use crate::etcd::wire::{CompactionRequest, PutRequest, RangeRequest, Request, RequestOp, TxnRequest};

#[tokio::test(flavor = "multi_thread")]
async fn engines_see_each_others_writes_at_once() {
    let server = Server::start();
    let stores = [open(server.options()).await, open(server.options()).await];
    for n in 0..200 {
        let (writer, reader) = (&stores[n % 2], &stores[(n + 1) % 2]);
        let revision = write(writer, vec![put("a/x", &n.to_string())]).await;
        let record = reader.get(&key("a/x")).await.unwrap().0.expect("it exists");
        assert_eq!((&record.value[..], record.modified), (n.to_string().as_bytes(), revision));
        assert!(list(reader).await.revision >= revision);
        assert!(writer.revision() >= revision, "a writer finds its own write without asking");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_engines_racing_on_a_key_exactly_one_wins() {
    let server = Server::start();
    let stores = [open(server.options()).await, open(server.options()).await];
    for round in 0..50 {
        let path = format!("race/{round}");
        let racers =
            (0..8).map(|racer| {
                let (store, path) = (&stores[racer % 2], &path);
                async move {
                    commit(store, vec![Precondition::Absent(key(path))], vec![put(path, &racer.to_string())]).await
                }
            });
        let (won, lost): (Vec<_>, Vec<_>) = join_all(racers).await.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}");
        let winner = won[0].as_ref().unwrap();
        for outcome in lost {
            let Err(Error::Conflict { current: Some(current), .. }) = outcome else {
                panic!("a loser is shown who won, not {outcome:?}");
            };
            assert_eq!(current.modified, *winner);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counter_of_several_engines_loses_nothing() {
    let server = Server::start();
    let stores = [open(server.options()).await, open(server.options()).await, open(server.options()).await];
    write(&stores[0], vec![put("counter", "0")]).await;
    let writers = (0..6).map(|writer| {
        let store = &stores[writer % 3];
        async move {
            let mut added = 0;
            while added < 20 {
                let record = store.get(&key("counter")).await.unwrap().0.expect("it exists");
                let count: u64 = std::str::from_utf8(&record.value).unwrap().parse().unwrap();
                let holds = vec![Precondition::ModifiedAt(record.key, record.modified)];
                match commit(store, holds, vec![put("counter", &(count + 1).to_string())]).await {
                    Ok(_) => added += 1,
                    Err(Error::Conflict { .. }) => {}
                    Err(error) => panic!("an increment failed: {error}"),
                }
            }
        }
    });
    within("everybody has counted", join_all(writers)).await;
    for store in &stores {
        assert_eq!(get(store, "counter").await.as_deref(), Some("120"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_is_delivered_whole_to_other_engines() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let [writer, reader] = [open(server.options()).await, open(proxy.options()).await];
    let mut watch = reader.watch("/registry/", reader.revision()).unwrap();
    // The watch has to catch up, and with so much at once that etcd tells it in several pieces.
    proxy.set(Wire::Cut);
    let value = "v".repeat(10_000);
    let mut written = Vec::new();
    for _ in 0..5 {
        written.push(write(&writer, (0..100).map(|n| put(&format!("a/{n:03}"), &value)).collect()).await);
    }
    write(&writer, vec![put("last", "")]).await;
    proxy.set(Wire::Whole);
    let heard = hear_until(&mut watch, &key("last")).await;
    for revision in written {
        let together: Vec<_> = heard.iter().filter(|change| change.revision == revision).collect();
        let paths: Vec<_> = together.iter().map(|change| change.key.clone()).collect();
        assert_eq!(paths, (0..100).map(|n| key(&format!("a/{n:03}"))).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_values_are_etcds_own() {
    let server = Server::start();
    let store = open(server.options()).await;
    let revision = write(&store, vec![put("a/x", "one")]).await;
    let key = b"/registry/a/x".to_vec();
    let request = RangeRequest { key, range_end: vec![], limit: 0, revision: 0, keys_only: false };
    let found = server.client().range(request).await.unwrap().kvs;
    assert_eq!((found.len(), &found[0].value[..], found[0].mod_revision), (1, &b"one"[..], number(revision)));
    let page = list(&store).await;
    assert_eq!(page.records.len(), 1, "the engine's own keys are not shown: {page:?}");
}

/// What somebody else writes to the same etcd moves its revision on, but is not ours to name or to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn writes_of_others_neither_hold_up_reads_nor_are_named() {
    let server = Server::start();
    let [one, other] = [open(server.options()).await, open(server.options()).await];
    let client = server.client();
    write(&one, vec![put("a/x", "one")]).await;
    for n in 0..20 {
        let foreign = client.touch(&format!("/foreign/{n}")).await.unwrap();
        let page = within("the list is answered", list(&one)).await;
        assert_ne!(number(page.revision), foreign);
        within("the other engine arrives there too", other.reached(page.revision)).await;
        let mut watch = other.watch("/registry/", page.revision).unwrap();
        write(&one, vec![put("a/y", &n.to_string())]).await;
        assert_eq!(hear_until(&mut watch, &key("a/y")).await.len(), 1);
    }
    let third = open(server.options()).await;
    within("what a newcomer names", one.reached(third.revision())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_history_is_compacted_and_nobody_notices() {
    let server = Server::start();
    let options = EtcdOptions { compact_every: Some(Duration::from_millis(200)), ..server.options() };
    let stores = [open(options.clone()).await, open(options).await];
    let mut watches = stores.each_ref().map(|store| store.watch("/registry/", store.revision()).unwrap());
    let first = write(&stores[0], vec![put("a/x", "0")]).await;
    let client = server.client();
    let mut written = 1;
    wait_until("etcd has forgotten the first write", async || {
        write(&stores[written % 2], vec![put("a/x", &written.to_string())]).await;
        written += 1;
        let request = RangeRequest {
            key: b"/registry/a/x".to_vec(),
            range_end: vec![],
            limit: 0,
            revision: number(first),
            keys_only: true,
        };
        client.range(request).await.is_err()
    })
    .await;
    write(&stores[0], vec![put("last", "")]).await;
    for watch in &mut watches {
        let heard = hear_until(watch, &key("last")).await;
        assert_eq!(heard.len(), written + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_is_opened_again_tells_what_happened_since_the_last_compaction() {
    let server = Server::start();
    let store = open(server.options()).await;
    write(&store, vec![put("a/x", "one"), put("a/y", "one")]).await;
    let then = list(&store).await;
    let race = PutRequest { key: b"/registry/.essaim/compaction".to_vec(), value: then.revision.to_string().into() };
    let race = RequestOp { request: Some(Request::Put(race)) };
    server.client().transact(TxnRequest { compare: vec![], success: vec![race], failure: vec![] }).await.unwrap();
    server.client().compact(CompactionRequest { revision: number(then.revision) }).await.unwrap();
    for n in 0..50 {
        write(&store, vec![put("a/x", &n.to_string()), Mutation::Delete(key("a/y")), put(&format!("b/{n}"), "")]).await;
    }
    write(&store, vec![put("last", "")]).await;
    let mut watch = store.watch("/registry/", then.revision).unwrap();
    let heard = hear_until(&mut watch, &key("last")).await;
    store.close();

    let store = open(server.options()).await;
    let mut watch = store.watch("/registry/", then.revision).unwrap();
    assert_eq!(hear_until(&mut watch, &key("last")).await, heard, "with values and what they replaced");
    let at = ListRequest { prefix: "/registry/".to_owned(), start: None, limit: 0, at: Some(then.revision) };
    assert_eq!(store.list(at).await.unwrap(), then);
    let older = store.watch("/registry/", crate::Revision(then.revision.0 - 1));
    assert!(matches!(older, Err(Error::Compacted { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_store_says_so() {
    let server = Server::start();
    let store = open(server.options()).await;
    let mut watch = store.watch("/registry/", store.revision()).unwrap();
    wait_until("changes arrive", async || store.health().is_ok()).await;
    store.close();
    store.close();
    assert!(matches!(futures::StreamExt::next(&mut watch).await, Some(Err(Error::Closed))));
    assert!(matches!(store.watch("/registry/", store.revision()), Err(Error::Closed)));
    assert!(matches!(store.get(&key("a/x")).await, Err(Error::Closed)));
    assert!(matches!(store.commit(Transaction::default()).await, Err(Error::Closed)));
    assert!(matches!(store.health(), Err(Error::Closed)));
}
