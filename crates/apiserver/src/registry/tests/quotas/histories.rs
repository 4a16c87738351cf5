//! The sums are exact in every state that the store was ever in.

use essaim_store::{ChangeKind, Embedded, Revision, Store};
use proptest::{prelude::*, test_runner::Config};

use super::*;

/// What a client does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create { name: u8, login: u8, replicas: u8, held: bool },
    Patch { name: u8, replicas: u8 },
    Switch { name: u8, on: bool },
    Move { name: u8, login: u8 },
    Put { name: u8, replicas: u8 },
    Free { name: u8 },
    Delete { name: u8 },
    Clear,
    Limit { login: u8, limit: u8 },
    Recount,
}

fn step() -> impl Strategy<Value = Step> {
    let (name, login, replicas) = (0..6_u8, 0..3_u8, 0..8_u8);
    let create = (name.clone(), login.clone(), replicas.clone(), proptest::bool::weighted(0.3));
    prop_oneof![
        6 => create.prop_map(|(name, login, replicas, held)| Step::Create { name, login, replicas, held }),
        4 => (name.clone(), replicas.clone()).prop_map(|(name, replicas)| Step::Patch { name, replicas }),
        2 => (name.clone(), any::<bool>()).prop_map(|(name, on)| Step::Switch { name, on }),
        2 => (name.clone(), login.clone()).prop_map(|(name, login)| Step::Move { name, login }),
        2 => (name.clone(), replicas).prop_map(|(name, replicas)| Step::Put { name, replicas }),
        2 => name.clone().prop_map(|name| Step::Free { name }),
        4 => name.prop_map(|name| Step::Delete { name }),
        1 => Just(Step::Clear),
        2 => (login, 0..6_u8).prop_map(|(login, limit)| Step::Limit { login, limit }),
        1 => Just(Step::Recount),
    ]
}

/// Carries it out; whatever the answer is, it is not the server's fault.
async fn act(bench: &Bench, step: Step) {
    let scope = bench.widgets();
    let named = |name: u8| format!("w{name}");
    let login = |login: u8| format!("lab-{login}");
    let outcome = match step {
        Step::Create { name, login: who, replicas, held } => {
            let mut body = of_login(&named(name), &login(who));
            body["spec"]["replicas"] = replicas.into();
            if held {
                body["metadata"]["finalizers"] = json!(["example.dev/hold"]);
            }
            bench.create(&scope, body).await.map(drop)
        }
        Step::Patch { name, replicas } => {
            bench.merge(&scope, &named(name), json!({"spec": {"replicas": replicas}})).await.map(drop)
        }
        Step::Switch { name, on } => {
            let image = if on { "x" } else { "off" };
            bench.merge(&scope, &named(name), json!({"spec": {"image": image}})).await.map(drop)
        }
        Step::Move { name, login: who } => {
            bench.merge(&scope, &named(name), json!({"metadata": {"labels": {"login": login(who)}}})).await.map(drop)
        }
        Step::Put { name, replicas } => match bench.get(&scope, &named(name)).await {
            Ok(object) => {
                let mut object = Value::clone(&object);
                object["spec"]["replicas"] = replicas.into();
                bench.update(&scope, object).await.map(drop)
            }
            Err(error) => Err(error),
        },
        Step::Free { name } => {
            bench.merge(&scope, &named(name), json!({"metadata": {"finalizers": null}})).await.map(drop)
        }
        Step::Delete { name } => bench.delete(&scope, &named(name)).await.map(drop),
        Step::Clear => {
            let options = DeleteOptions::default();
            bench.registry.delete_collection(&scope, ListOptions::default(), &options).await.map(drop)
        }
        Step::Limit { login: who, limit } => {
            set_limit(bench, &login(who), limit.into()).await;
            Ok(())
        }
        Step::Recount => bench.registry.recount().await,
    };
    if let Err(error) = outcome {
        assert!(matches!(error.code, 403 | 404 | 409 | 422), "{step:?}: {} {error}", error.code);
        assert!(error.code != 403 || error.message.contains("exceeded quota"), "{error}");
        assert!(error.code != 409 || matches!(step, Step::Create { .. } | Step::Put { .. }), "{step:?}: {error}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(Config { cases: 12, max_shrink_iters: 40, ..Config::default() })]

    #[test]
    fn whatever_clients_do_the_charges_are_the_sums_after_every_transaction(
        clients in proptest::collection::vec(proptest::collection::vec(step(), 1..25), 1..5)
    ) {
        runtime().block_on(async {
            let store = watched(stored_in_a_file(), Widgets::default());
            let bench = Bench::over(store, Vec::new(), vec![Arc::new(Widgets::default())]).await;
            let bench = Arc::new(bench);
            let mut running = JoinSet::new();
            for steps in clients {
                let bench = bench.clone();
                running.spawn(async move {
                    for step in steps {
                        act(&bench, step).await;
                    }
                });
            }
            while let Some(ended) = running.join_next().await {
                ended.unwrap();
            }
            assert_exact(&*bench.registry.store, &Widgets::default()).await;
        });
    }
}

/// Ends clients in the middle of whatever they do, closes the file, opens it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sums_survive_whoever_is_stopped_in_the_middle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for round in 0..12_u64 {
        let file = Embedded::open(&path, essaim_store::Options::default()).unwrap();
        let rule = Widgets::default();
        let bench = Arc::new(Bench::over(file.clone(), Vec::new(), vec![Arc::new(rule.clone())]).await);
        assert_exact(&*file, &rule).await;
        let mut running = JoinSet::new();
        for client in 0..6_u64 {
            let bench = bench.clone();
            running.spawn(async move {
                for step in 0.. {
                    let name = format!("w{}", (client + step * 5) % 9);
                    let scope = bench.widgets();
                    // Refusals do not matter here.
                    drop(match (step + client) % 4 {
                        0 => bench.delete(&scope, &name).await.map(drop),
                        1 => bench.merge(&scope, &name, json!({"spec": {"replicas": step % 8}})).await.map(drop),
                        _ => bench.create(&scope, of_login(&name, &format!("lab-{}", client % 2))).await.map(drop),
                    });
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(15 + 7 * round)).await;
        running.shutdown().await;
        file.close();
    }
    let file = Embedded::open(&path, essaim_store::Options::default()).unwrap();
    assert!(!sums(&*file, &Widgets::default()).await[1].is_empty(), "something was written");
    assert_exact(&*file, &Widgets::default()).await;
}

/// Replays the log: at no moment was something made beyond the limit of that moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_that_is_lowered_at_the_same_moment_is_seen_or_comes_later() {
    let store = stored_in_a_file();
    let rules = || vec![Arc::new(Widgets::default()) as Arc<dyn crate::registry::Quota>];
    let one = Arc::new(Bench::over(store.clone(), Vec::new(), rules()).await);
    let two = Arc::new(Bench::over(store.clone(), Vec::new(), rules()).await);
    set_limit(&one, "ns", 0).await;
    let begun = store.revision();
    let mut running = JoinSet::new();
    for client in 0..4_usize {
        let bench = if client % 2 == 0 { one.clone() } else { two.clone() };
        running.spawn(async move {
            for step in 0..60_usize {
                let name = format!("w{client}-{}", step % 5);
                let outcome = match step % 3 {
                    2 => bench.delete(&bench.widgets(), &name).await.map(drop),
                    _ => bench.create(&bench.widgets(), widget(&name, "x")).await.map(drop),
                };
                if let Err(error) = outcome {
                    assert!(matches!(error.code, 403 | 404 | 409), "{error}");
                }
            }
        });
    }
    for turn in 0..40_u64 {
        set_limit(if turn % 2 == 0 { &two } else { &one }, "ns", turn * 7 % 10).await;
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    let (mut limit, mut there, mut made) = (0, 0_u64, 0);
    for change in changes(&*store, begun).await {
        let gadget = change.key.as_str() == "/registry/example.dev/gadgets/ns";
        if gadget {
            let object: Value = serde_json::from_slice(&change.value).unwrap();
            limit = object["size"].as_u64().unwrap();
        }
        match change.kind {
            _ if !change.key.as_str().starts_with("/registry/example.dev/widgets/") => {}
            ChangeKind::Created => {
                (there, made) = (there + 1, made + 1);
                assert!(there <= limit, "number {there} was made under a limit of {limit}, at {}", change.revision);
            }
            ChangeKind::Deleted => there -= 1,
            ChangeKind::Updated => {}
        }
    }
    assert!(made > 0, "something was let in");
}

/// The log after a revision.
async fn changes(store: &dyn Store, after: Revision) -> Vec<Arc<essaim_store::Change>> {
    let newest = store.revision();
    let mut watch = store.watch("/registry/", after).unwrap();
    let mut changes = Vec::new();
    while changes.last().is_none_or(|change: &Arc<essaim_store::Change>| change.revision < newest) {
        changes.extend(watch.next().await.unwrap().unwrap());
    }
    changes
}
