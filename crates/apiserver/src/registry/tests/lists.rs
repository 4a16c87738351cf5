//! Lists.

use super::*;

async fn filled(count: usize) -> Bench {
    let bench = Bench::new().await;
    for at in 0..count {
        let mut body = widget(&format!("w{at:02}"), if at % 2 == 0 { "even" } else { "odd" });
        body["metadata"]["labels"] = json!({"parity": if at % 2 == 0 { "even" } else { "odd" }});
        bench.create(&bench.widgets(), body).await.unwrap();
    }
    bench
}

fn names(list: &List) -> Vec<String> {
    values(list).iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

fn paged(limit: usize, continue_token: Option<String>) -> ListOptions {
    ListOptions { limit, continue_token, ..ListOptions::default() }
}

#[tokio::test]
async fn a_list_is_in_key_order_and_of_one_moment() {
    let bench = filled(3).await;
    bench.create(&bench.scope("", "v1", "namespaces", None), json!({"metadata": {"name": "aa"}})).await.unwrap();
    let other = Scope { namespace: Some("aa".into()), ..bench.widgets() };
    bench.create(&other, widget("z", "x")).await.unwrap();
    let everywhere = Scope { namespace: None, ..bench.widgets() };
    let list = bench.list(&everywhere).await;
    assert_eq!(names(&list), ["z", "w00", "w01", "w02"]);
    assert_eq!(list.revision, bench.registry.store.revision());
    assert_eq!(names(&bench.list(&bench.widgets()).await), ["w00", "w01", "w02"]);
    assert!(bench.list(&Scope { namespace: Some("nowhere".into()), ..bench.widgets() }).await.items.is_empty());
}

#[tokio::test]
async fn pages_show_one_moment() {
    let bench = filled(5).await;
    let scope = bench.widgets();
    let first = bench.registry.list(&scope, paged(2, None)).await.unwrap();
    assert_eq!((names(&first).join(" "), first.remaining), ("w00 w01".to_owned(), Some(3)));
    bench.create(&scope, widget("w015", "late")).await.unwrap();
    bench.delete(&scope, "w03").await.unwrap();
    let second = bench.registry.list(&scope, paged(2, first.continue_token)).await.unwrap();
    assert_eq!(
        (names(&second).join(" "), second.remaining, second.revision),
        ("w02 w03".to_owned(), Some(1), first.revision)
    );
    let third = bench.registry.list(&scope, paged(2, second.continue_token)).await.unwrap();
    assert_eq!((names(&third).join(" "), third.remaining, &third.continue_token), ("w04".to_owned(), None, &None));
}

#[tokio::test]
async fn selectors_fill_their_pages() {
    let bench = filled(6).await;
    let scope = bench.widgets();
    let options = |continue_token| ListOptions { selectors: labels("parity=odd"), ..paged(2, continue_token) };
    let first = bench.registry.list(&scope, options(None)).await.unwrap();
    assert_eq!((names(&first).join(" "), first.remaining), ("w01 w03".to_owned(), None));
    let second = bench.registry.list(&scope, options(first.continue_token)).await.unwrap();
    assert_eq!(names(&second), ["w05"]);

    for (selector, found) in [
        ("metadata.name=w03", vec!["w03"]),
        ("metadata.name=none", vec![]),
        ("metadata.namespace=ns,metadata.name!=w00,spec.image=even", vec!["w02", "w04"]),
    ] {
        let options = ListOptions { selectors: fields(selector), ..ListOptions::default() };
        assert_eq!(names(&bench.registry.list(&scope, options).await.unwrap()), found, "{selector}");
    }
    let unknown = ListOptions { selectors: fields("spec.replicas=1"), ..ListOptions::default() };
    let error = bench.registry.list(&scope, unknown).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (400, "field label not supported: spec.replicas"));
}

#[tokio::test(start_paused = true)]
async fn revisions_are_read_as_kubernetes_reads_them() {
    let bench = filled(2).await;
    let scope = bench.widgets();
    let then = bench.registry.store.revision();
    bench.delete(&scope, "w00").await.unwrap();
    let options = |revision: &str, rule: &str, limit| ListOptions {
        resource_version: Some(revision.into()),
        resource_version_match: Some(rule.into()),
        limit,
        ..ListOptions::default()
    };
    let exact = bench.registry.list(&scope, options(&then.to_string(), "Exact", 0)).await.unwrap();
    assert_eq!((names(&exact).join(" "), exact.revision), ("w00 w01".to_owned(), then));
    let legacy = bench.registry.list(&scope, options(&then.to_string(), "", 10)).await.unwrap();
    assert_eq!(names(&legacy), ["w00", "w01"]);
    for (revision, rule) in
        [("0", "NotOlderThan"), ("0", ""), (&*then.to_string(), "NotOlderThan"), (&*then.to_string(), ""), ("", "")]
    {
        let list = bench.registry.list(&scope, options(revision, rule, 0)).await.unwrap();
        assert_eq!(names(&list), ["w01"], "{revision} {rule}");
    }
    for (revision, rule, code) in
        [("", "Exact", 422), ("0", "Exact", 422), ("1", "Never", 422), ("x", "", 400), ("999999", "", 504)]
    {
        let error = bench.registry.list(&scope, options(revision, rule, 0)).await.unwrap_err();
        assert_eq!(error.code, code, "{revision} {rule}");
        if code == 504 {
            assert_eq!(
                (error.causes[0].reason.as_str(), error.retry_after_seconds),
                ("ResourceVersionTooLarge", Some(1))
            );
        }
    }
    let both = ListOptions { continue_token: Some("x".into()), ..options("0", "NotOlderThan", 0) };
    assert_eq!(bench.registry.list(&scope, both).await.unwrap_err().code, 422);
}

#[tokio::test]
async fn a_page_whose_moment_is_gone_can_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let retention = essaim_store::Options {
        retention: essaim_store::Retention { events: 3, ..essaim_store::Retention::default() },
        ..essaim_store::Options::default()
    };
    let store = Embedded::open(directory.path().join("store"), retention).unwrap();
    let registry = Registry::new(store, Arc::new(|| START.parse().unwrap()), Vec::new());
    registry.open().await.unwrap();
    let maps =
        Scope { resource: registry.catalogue.find("", "v1", "configmaps").unwrap(), namespace: Some("default".into()) };
    for at in 0..4 {
        let map = json!({"metadata": {"name": format!("m{at}")}});
        seen(registry.create(&maps, document(map), &by("tester")).await).unwrap();
    }
    // A token of a moment that the log has forgotten, as a slow client would hold.
    let forgotten = crate::registry::tokens::Token { revision: Some(essaim_store::Revision(1)), start: "m1\0".into() };
    let error = registry.list(&maps, paged(2, Some(forgotten.encode()))).await.unwrap_err();
    assert_eq!((error.code, error.reason), (410, "Expired"));
    let list = registry.list(&maps, paged(2, error.continue_token.as_deref().map(str::to_owned))).await.unwrap();
    assert_eq!(names(&list), ["m2", "m3"]);
    let old = ListOptions {
        resource_version: Some("1".into()),
        resource_version_match: Some("Exact".into()),
        ..ListOptions::default()
    };
    assert_eq!(registry.list(&maps, old).await.unwrap_err().code, 410);
}

#[tokio::test]
async fn a_cached_list_sees_every_answered_write() {
    let bench = filled(1).await;
    let resource = bench.widgets().resource;
    let first = bench.registry.cached_list(&resource).await.unwrap();
    bench.create(&bench.maps(), json!({"metadata": {"name": "elsewhere"}})).await.unwrap();
    assert!(Arc::ptr_eq(&first, &bench.registry.cached_list(&resource).await.unwrap()));
    bench.create(&bench.widgets(), widget("new", "x")).await.unwrap();
    assert_eq!(bench.registry.cached_list(&resource).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_page_of_a_moment_that_has_not_come_is_told_to_begin_anew() {
    let bench = filled(3).await;
    let (revision, start) = (Some(essaim_store::Revision(1 << 40)), "ns/w00\0".into());
    let token = crate::registry::tokens::Token { revision, start }.encode();
    let error = bench.registry.list(&bench.widgets(), paged(2, Some(token))).await.err().unwrap();
    assert_eq!((error.code, error.reason), (410, "Expired"));
    let rest = error.continue_token.as_deref().map(str::to_owned);
    assert!(rest.is_some(), "who wants to go on regardless can");
    bench.registry.list(&bench.widgets(), paged(2, rest)).await.unwrap();
}
