//! Etcd is killed, cut off, silent, forgetful, or another one.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, future::join_all};

use super::{
    Error, Etcd, Revision, Server, Store as _, Watch, commit, get, hear_until, key, list, number, open,
    proxy::{Proxy, Wire},
    put, wait_until, within, write,
};
use crate::{conformance, etcd::wire::CompactionRequest};

/// What writers were told: key, value and revision of every acknowledged write.
#[derive(Default)]
struct Testimony {
    acknowledged: Mutex<Vec<(String, String, Revision)>>,
    count: AtomicU64,
    over: AtomicBool,
}

impl Testimony {
    /// Writes without end; what fails may have happened or not.
    async fn write(&self, store: &Etcd, writer: usize) {
        let mut n = 0;
        while !self.over.load(Ordering::Relaxed) {
            n += 1;
            let (path, value) = (format!("w{writer}/{}", n % 20), n.to_string());
            match commit(store, vec![], vec![put(&path, &value), put(&format!("{path}/twin"), &value)]).await {
                Ok(revision) => {
                    self.acknowledged.lock().unwrap().push((path, value, revision));
                    self.count.fetch_add(1, Ordering::Relaxed);
                }
                Err(Error::Engine { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("the wrong refusal: {error}"),
            }
        }
    }

    async fn kill_again_and_again(&self, server: &mut Server) {
        for _ in 0..5 {
            let before = self.count.load(Ordering::Relaxed);
            wait_until("writes are acknowledged", async || self.count.load(Ordering::Relaxed) > before + 200).await;
            server.kill();
            server.start_again();
        }
        let before = self.count.load(Ordering::Relaxed);
        wait_until("writes are acknowledged", async || self.count.load(Ordering::Relaxed) > before + 50).await;
        self.over.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_etcd_loses_nothing_acknowledged_and_watches_go_on() {
    let mut server = Server::start();
    let stores = [open(server.options()).await, open(server.options()).await];
    let before = list(&stores[0]).await;
    let mut watches = stores.each_ref().map(|store| store.watch("/registry/", store.revision()).unwrap());
    let testimony = Testimony::default();
    let writers = join_all((0..8).map(|writer| testimony.write(&stores[writer % 2], writer)));
    within("it is over", futures::future::join(writers, testimony.kill_again_and_again(&mut server))).await;
    write(&stores[0], vec![put("last", "")]).await;

    let after = list(&stores[0]).await;
    for watch in &mut watches {
        let heard = hear_until(watch, &key("last")).await;
        assert!(heard.is_sorted_by(|one, next| one.revision <= next.revision), "in order");
        let once: HashSet<_> = heard.iter().map(|change| (change.revision, change.key.clone())).collect();
        assert_eq!(once.len(), heard.len(), "nothing twice");
        let twins = heard.chunks_exact(2).all(|pair| pair[0].revision == pair[1].revision);
        assert!(twins, "transactions whole");
        for (path, value, revision) in testimony.acknowledged.lock().unwrap().iter() {
            let mine =
                |change: &&std::sync::Arc<crate::Change>| change.revision == *revision && change.key == key(path);
            let change = heard.iter().find(mine).expect("what was acknowledged is heard");
            assert_eq!(change.value, value.as_bytes());
        }
        assert_eq!(conformance::replay(before.records.clone(), &heard), after.records, "nothing is missing");
    }
    assert_eq!(list(&stores[1]).await.records, after.records);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_fail_clearly_while_etcd_is_away_and_watches_wait() {
    let mut server = Server::start();
    let store = open(server.options()).await;
    let revision = write(&store, vec![put("a/x", "one")]).await;
    let mut watch = store.watch("/registry/", revision).unwrap();
    server.kill();
    for outcome in [store.get(&key("a/x")).await.err(), commit(&store, vec![], vec![put("a/x", "two")]).await.err()] {
        assert!(matches!(outcome, Some(Error::Engine { .. })), "{outcome:?}");
    }
    wait_until("the loss is noticed", async || store.health().is_err()).await;
    let waiting = futures::FutureExt::now_or_never(watch.next());
    assert!(waiting.is_none(), "the watch stays open");
    server.start_again();
    wait_until("it goes on", async || commit(&store, vec![], vec![put("last", "")]).await.is_ok()).await;
    let heard = hear_until(&mut watch, &key("last")).await;
    assert!(heard.iter().all(|change| change.revision > revision));
}

/// A write whose answer is lost has happened; a caller who is told that it failed would do it again.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answer_is_reported_as_unknown() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let [near, far] = [open(server.options()).await, open(proxy.options()).await];
    write(&far, vec![put("a/x", "one")]).await;
    proxy.set(Wire::Swallowing);
    let outcome = commit(&far, vec![], vec![put("a/x", "two")]).await;
    let Err(error @ Error::Engine { .. }) = outcome else { panic!("nobody knows, so not {outcome:?}") };
    assert!(error.to_string().contains("whether the write happened"), "{error}");
    assert_eq!(get(&near, "a/x").await.as_deref(), Some("two"), "it has");
    let stale = far.get(&key("a/x")).await;
    assert!(matches!(stale, Err(Error::Engine { .. })), "a stale value must not be shown: {stale:?}");

    proxy.set(Wire::Cut);
    let outcome = commit(&far, vec![], vec![put("a/x", "three")]).await;
    assert!(matches!(outcome, Err(Error::Engine { .. })), "{outcome:?}");
    proxy.set(Wire::Whole);
    wait_until("it reads again", async || far.get(&key("a/x")).await.is_ok()).await;
    assert_eq!(get(&far, "a/x").await, get(&near, "a/x").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn next_member_is_asked_when_one_is_away() {
    let server = Server::start();
    let away = Proxy::to(server.port()).await;
    let mut options = away.options();
    options.endpoints.push(server.endpoint());
    let store = open(options).await;
    let mut watch = store.watch("/registry/", store.revision()).unwrap();
    write(&store, vec![put("a/x", "one")]).await;
    away.set(Wire::Cut);
    wait_until("the other one is used", async || commit(&store, vec![], vec![put("last", "")]).await.is_ok()).await;
    let heard = hear_until(&mut watch, &key("last")).await;
    assert_eq!(heard[0].key, key("a/x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_end_when_etcd_has_forgotten_what_they_missed() {
    let server = Server::start();
    let proxy = Proxy::to(server.port()).await;
    let [near, far] = [open(server.options()).await, open(proxy.options()).await];
    let begun = write(&near, vec![put("a/x", "one"), put("a/y", "one")]).await;
    within("both know it", far.reached(begun)).await;
    let mut watches = ["/registry/", "/registry/quiet/"].map(|prefix| far.watch(prefix, begun).unwrap());
    proxy.set(Wire::Cut);
    write(&near, vec![put("a/x", "two")]).await;
    let newest =
        near.commit(crate::Transaction { preconditions: vec![], mutations: vec![crate::Mutation::Delete(key("a/y"))] });
    let newest = newest.await.unwrap().revisions[0].unwrap();
    server.client().compact(CompactionRequest { revision: number(newest) }).await.unwrap();
    proxy.set(Wire::Whole);
    for watch in &mut watches {
        assert_lagged(watch).await;
    }
    assert_eq!(list(&far).await.records, list(&near).await.records);
    let old = far.watch("/registry/", begun);
    assert!(matches!(old, Err(Error::Compacted { .. })), "what was missed cannot be told");
    let mut watch = far.watch("/registry/", far.revision()).unwrap();
    write(&near, vec![put("last", "")]).await;
    hear_until(&mut watch, &key("last")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_that_lost_its_data_is_read_anew() {
    let mut server = Server::start();
    let store = open(server.options()).await;
    for n in 0..20 {
        write(&store, vec![put("a/x", &n.to_string())]).await;
    }
    let mut watch = store.watch("/registry/", store.revision()).unwrap();
    server.kill();
    server.lose_data();
    server.start_again();
    // Also when nobody reads.
    assert_lagged(&mut watch).await;
    wait_until("the new state is read", async || {
        store.get(&key("a/x")).await.is_ok_and(|(record, _)| record.is_none())
    })
    .await;
    write(&store, vec![put("a/x", "new")]).await;
    assert_eq!(get(&store, "a/x").await.as_deref(), Some("new"));
}

async fn assert_lagged(watch: &mut Watch) {
    let end = within("the watch ends", async {
        loop {
            match watch.next().await {
                Some(Ok(_)) => {}
                end => return end,
            }
        }
    })
    .await;
    assert!(matches!(end, Some(Err(Error::Lagged))), "{end:?}");
    assert!(watch.next().await.is_none(), "after an error it ends");
}
