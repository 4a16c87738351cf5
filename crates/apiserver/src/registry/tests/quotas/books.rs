//! Adding up anew: at the start, after a change of the rule, on demand, and after damage.

use essaim_store::{Mutation, Precondition, Store, Transaction};

use super::*;
use crate::registry::Quota;

fn rules(later: u32, surcharge: u64) -> Vec<Arc<dyn Quota>> {
    vec![Arc::new(Widgets { later, surcharge })]
}

async fn put(store: &dyn Store, key: &str, value: &str) {
    let mutations = vec![Mutation::Put(essaim_store::Key::new(key), value.to_owned().into())];
    store.commit(Transaction { preconditions: Vec::new(), mutations }).await.unwrap();
}

#[tokio::test]
async fn a_new_quota_finds_what_is_there() {
    let store = stored_in_a_file();
    let before = Bench::over(store.clone(), Vec::new(), Vec::new()).await;
    for number in 0..7 {
        before
            .create(&before.widgets(), of_login(&format!("w{number}"), &format!("lab-{}", number % 2)))
            .await
            .unwrap();
    }
    let after = Bench::over(store.clone(), Vec::new(), rules(0, 0)).await;
    assert_eq!(charged(&after.registry, "lab-0").await, amounts(4, 4));
    assert_eq!(charged(&after.registry, "lab-1").await, amounts(3, 3));
    set_limit(&after, "lab-0", 4).await;
    assert_eq!(refused(after.create(&after.widgets(), of_login("more", "lab-0")).await).0, 403);
    let revision = store.revision();
    Bench::over(store.clone(), Vec::new(), rules(0, 0)).await;
    assert_eq!(store.revision(), revision, "what is open is not added up again");
}

#[tokio::test]
async fn a_changed_quota_is_added_up_anew_and_its_predecessor_writes_no_more() {
    let store = stored_in_a_file();
    let old = Bench::over(store.clone(), Vec::new(), rules(0, 0)).await;
    old.create(&old.widgets(), with_replicas("a", 2)).await.unwrap();
    let new = Bench::over(store.clone(), Vec::new(), rules(1, 9)).await;
    assert_eq!(charged(&new.registry, "ns").await, amounts(1, 20));
    for outcome in [
        old.create(&old.widgets(), widget("b", "x")).await.map(drop),
        old.merge(&old.widgets(), "a", json!({"metadata": {"labels": {"a": "b"}}})).await.map(drop),
        old.delete(&old.widgets(), "a").await.map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!((error.code, error.retry_after_seconds), (503, Some(1)), "{error}");
    }
    old.create(&old.maps(), json!({"metadata": {"name": "m"}})).await.unwrap();
    new.merge(&new.widgets(), "a", json!({"spec": {"replicas": 3}})).await.unwrap();
    assert_exact(&*store, &Widgets { later: 1, surcharge: 9 }).await;

    let back = Bench::over(store.clone(), Vec::new(), rules(0, 0)).await;
    assert_eq!(charged(&back.registry, "ns").await, amounts(1, 3), "the way back is the same way");
    old.delete(&old.widgets(), "a").await.unwrap();
    assert_exact(&*store, &Widgets::default()).await;
}

#[tokio::test]
async fn a_quota_that_was_away_is_added_up_anew() {
    let store = stored_in_a_file();
    let with = Bench::over(store.clone(), Vec::new(), rules(0, 0)).await;
    with.create(&with.widgets(), widget("a", "x")).await.unwrap();
    let without = Bench::over(store.clone(), Vec::new(), Vec::new()).await;
    without.create(&without.widgets(), widget("b", "x")).await.unwrap();
    let again = Bench::over(store, Vec::new(), rules(0, 0)).await;
    assert_eq!(charged(&again.registry, "ns").await, amounts(2, 2));
}

#[tokio::test]
async fn what_somebody_else_wrote_is_put_right_on_demand() {
    let bench = limited(&[]).await;
    bench.create(&bench.widgets(), widget("a", "x")).await.unwrap();
    put(&*bench.registry.store, account("ns").as_str(), r#"{"widgets":5}"#).await;
    put(&*bench.registry.store, account("nobody").as_str(), r#"{"widgets":1}"#).await;
    bench.registry.recount().await.unwrap();
    assert_exact(&*bench.registry.store, &Widgets::default()).await;
}

#[tokio::test]
async fn nobody_is_kept_from_giving_back_more_than_was_charged() {
    let mut bench = limited(&[]).await;
    bench.run();
    for name in ["a", "b"] {
        bench.create(&bench.widgets(), widget(name, "x")).await.unwrap();
    }
    put(&*bench.registry.store, account("ns").as_str(), r#"{"replicas":2}"#).await;
    bench.delete(&bench.widgets(), "a").await.unwrap();
    bench.wait_until(async || charged(&bench.registry, "ns").await == amounts(1, 1)).await;
    bench.create(&bench.widgets(), widget("c", "x")).await.unwrap();
    assert_exact(&*bench.registry.store, &Widgets::default()).await;
}

#[tokio::test(start_paused = true)]
async fn who_dies_while_counting_is_replaced() {
    let store = stored_in_a_file();
    let bench = Bench::over(store.clone(), Vec::new(), rules(0, 0)).await;
    bench.create(&bench.widgets(), widget("a", "x")).await.unwrap();
    put(&*store, BOOK, r#"{"version":1,"open":false}"#).await;
    put(&*store, account("ns").as_str(), r#"{"widgets":9}"#).await;
    let waited = bench.create(&bench.widgets(), widget("b", "x")).await.unwrap_err();
    assert_eq!((waited.code, waited.retry_after_seconds), (503, Some(1)), "{waited}");
    let next = Bench::over(store.clone(), Vec::new(), rules(0, 0)).await;
    next.create(&next.widgets(), widget("b", "x")).await.unwrap();
    assert_exact(&*store, &Widgets::default()).await;
}

/// A slow one that comes back finds the book in other hands, and changes nothing.
#[tokio::test]
async fn a_piece_of_an_old_count_is_not_written() {
    let bench = limited(&[]).await;
    let store = &bench.registry.store;
    let book = store.get(&essaim_store::Key::new(BOOK)).await.unwrap().0.unwrap();
    bench.registry.recount().await.unwrap();
    let late = Transaction {
        preconditions: vec![Precondition::ModifiedAt(book.key, book.modified)],
        mutations: vec![Mutation::Put(account("ns"), "{}".into())],
    };
    assert!(matches!(store.commit(late).await, Err(essaim_store::Error::Conflict { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_notice_nothing_but_a_wait() {
    let store = watched(stored_in_a_file(), Widgets::default());
    let benches = [
        Arc::new(Bench::over(store.clone(), Vec::new(), rules(0, 0)).await),
        Arc::new(Bench::over(store.clone(), Vec::new(), rules(0, 0)).await),
    ];
    let mut writing = JoinSet::new();
    for client in 0..6_usize {
        let bench = benches[client % 2].clone();
        writing.spawn(async move {
            for step in 0..15 {
                let (scope, name) = (bench.widgets(), format!("w{client}-{step}"));
                bench.create(&scope, widget(&name, "x")).await.unwrap();
                bench.merge(&scope, &name, json!({"spec": {"replicas": step % 4}})).await.unwrap();
                if step % 2 == 0 {
                    bench.delete(&scope, &name).await.unwrap();
                }
            }
        });
    }
    for turn in 0..10 {
        benches[turn % 2].registry.recount().await.unwrap();
    }
    while let Some(ended) = writing.join_next().await {
        ended.unwrap();
    }
    assert_exact(&*store, &Widgets::default()).await;
}

#[tokio::test]
async fn quotas_of_one_name_are_refused() {
    for quotas in [[rules(0, 0), rules(0, 0)].concat(), vec![Arc::new(Nameless) as Arc<dyn Quota>]] {
        let clock: crate::Clock = Arc::new(|| START.parse().unwrap());
        let registry = Registry::new(stored_in_a_file(), clock, Vec::new()).with_quotas(quotas);
        assert_eq!(registry.open().await.unwrap_err().code, 500);
    }
}

struct Nameless;

impl Quota for Nameless {
    fn name(&self) -> &'static str {
        "a/b"
    }

    fn version(&self) -> u32 {
        1
    }

    fn charged(&self) -> Vec<crate::registry::Collection> {
        Vec::new()
    }

    fn charges(&self, _: &Value) -> Vec<crate::registry::Charge> {
        Vec::new()
    }

    fn judge(&self, _: &crate::registry::Claim<'_>) -> Result<Vec<String>, ApiError> {
        Ok(Vec::new())
    }
}
