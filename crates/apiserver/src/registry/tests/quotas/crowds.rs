//! Many at once.

use super::{etcd::Server, *};

const LIMIT: u64 = 10;
const CROWD: u64 = 200;

/// As many as want to, by turns through each of the servers, of which some let the server choose the name. How many were let in;
/// all others were told why not.
async fn storm(benches: &[Arc<Bench>], detail: &str, body: impl Fn(u64) -> Value) -> u64 {
    let mut creating = JoinSet::new();
    for number in 0..CROWD {
        let bench = benches[usize::try_from(number).unwrap() % benches.len()].clone();
        let mut body = body(number);
        if number % 3 == 0 {
            body["metadata"]["generateName"] = "generated-".into();
            body["metadata"].as_object_mut().unwrap().remove("name");
        }
        creating.spawn(async move { bench.create(&bench.widgets(), body).await.map(drop) });
    }
    let mut admitted = 0;
    while let Some(outcome) = creating.join_next().await {
        match outcome.unwrap() {
            Ok(()) => admitted += 1,
            Err(error) => {
                let text = &error.message;
                assert!(error.code == 403 && text.ends_with(detail), "{} {text}", error.code);
            }
        }
    }
    admitted
}

/// Fills the account, empties it, fills it again.
async fn exactly_as_many_as_may(benches: &[Arc<Bench>]) {
    let bench = &benches[0];
    set_limit(bench, "ns", LIMIT).await;
    let detail = "exceeded quota: ns, requested: widgets=1, used: widgets=10, limited: widgets=10";
    assert_eq!(storm(benches, detail, |number| widget(&format!("w{number}"), "x")).await, LIMIT);
    assert_eq!(bench.list(&bench.widgets()).await.items.len(), 10);
    assert_eq!(charged(&bench.registry, "ns").await, amounts(LIMIT, LIMIT));

    let all = (ListOptions::default(), DeleteOptions::default());
    bench.registry.delete_collection(&bench.widgets(), all.0, &all.1).await.unwrap();
    assert!(charged(&bench.registry, "ns").await.is_empty());
    for number in 0..LIMIT {
        let bench = &benches[usize::try_from(number).unwrap() % benches.len()];
        bench.create(&bench.widgets(), widget(&format!("again{number}"), "x")).await.unwrap();
    }
    let last = benches.last().unwrap();
    assert_eq!(refused(last.create(&last.widgets(), widget("more", "x")).await).0, 403);
    set_limit(bench, "ns", LIMIT + 1).await;
    last.create(&last.widgets(), widget("more", "x")).await.unwrap();
    assert_exact(&*bench.registry.store, &Widgets::default()).await;
}

async fn bench_over(store: Arc<dyn essaim_store::Store>) -> Arc<Bench> {
    Arc::new(Bench::over(store, Vec::new(), vec![Arc::new(Widgets::default())]).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_ten_are_let_in() {
    exactly_as_many_as_may(&[bench_over(stored_in_a_file()).await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_ten_are_let_in_where_objects_are_sealed() {
    exactly_as_many_as_may(&[bench_over(sealed().await).await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_ten_are_let_in_with_etcd() {
    let etcd = Server::start();
    exactly_as_many_as_may(&[bench_over(etcd.store().await).await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_ten_are_let_in_by_two_servers_on_one_etcd() {
    let etcd = Server::start();
    let benches = [bench_over(etcd.store().await).await, bench_over(etcd.store().await).await];
    exactly_as_many_as_may(&benches).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_total_holds_for_all_its_members_together() {
    let store = stored_in_a_file();
    let benches = [bench_over(store.clone()).await, bench_over(store).await];
    set_limit(&benches[0], "lab", LIMIT).await;
    set_limit(&benches[0], "lab-3", 1).await;
    let detail = ", limited: widgets=10";
    let members = |number: u64| of_login(&format!("w{number}"), &format!("lab-{}", 10 + number % 25));
    assert_eq!(storm(&benches, detail, members).await, LIMIT);
    let bench = &benches[1];
    bench.create(&bench.widgets(), of_login("other", "pool-1")).await.unwrap();
    let victim = bench.list(&bench.widgets()).await.items.first().unwrap().value().unwrap();
    bench.delete(&bench.widgets(), victim["metadata"]["name"].as_str().unwrap()).await.unwrap();
    bench.create(&bench.widgets(), of_login("three", "lab-3")).await.unwrap();
    let (code, message) = refused(bench.create(&bench.widgets(), of_login("three-too", "lab-3")).await);
    assert!(code == 403 && message.contains("exceeded quota: lab-3,"), "it names the rule that won: {message}");
    assert_exact(&*bench.registry.store, &Widgets::default()).await;
}

/// Nobody is told of a conflict, also where every write changes the same account.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patches_that_grow_and_shrink_are_never_in_each_others_way() {
    let etcd = Server::start();
    let benches = [bench_over(etcd.store().await).await, bench_over(etcd.store().await).await];
    for number in 0..20 {
        benches[0].create(&benches[0].widgets(), widget(&format!("w{number}"), "x")).await.unwrap();
    }
    let mut patching = JoinSet::new();
    for number in 0..120_u64 {
        let bench = benches[usize::try_from(number).unwrap() % 2].clone();
        patching.spawn(async move {
            let patch = json!({"spec": {"replicas": number % 7}});
            bench.merge(&bench.widgets(), &format!("w{}", number % 20), patch).await.map(drop)
        });
    }
    while let Some(patched) = patching.join_next().await {
        patched.unwrap().unwrap();
    }
    assert_exact(&*benches[0].registry.store, &Widgets::default()).await;
}
