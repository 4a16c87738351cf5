//! Rules that rest on other objects.

use std::sync::{
    OnceLock, Weak,
    atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::registry::{Collection, Operation};

const GADGETS: Collection = Collection::new("example.dev", "gadgets");

/// Gives a Widget that has none as many tags as the Gadget `tags` says, and refuses it where there is no such Gadget. What happens in `meanwhile` happens
/// after the first look.
#[derive(Default)]
struct Tagger {
    meanwhile: OnceLock<Box<dyn Fn() + Send + Sync>>,
    looks: AtomicUsize,
}

impl Admission for Arc<Tagger> {
    fn rests_on(&self) -> Vec<Collection> {
        vec![GADGETS]
    }

    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
        if request.kind != "Widget" || request.operation == Operation::Delete {
            return Ok(Admitted::unchanged());
        }
        let gadgets = request.looks.objects(GADGETS)?;
        let found = gadgets.iter().find(|one| one["metadata"]["name"] == "tags").and_then(|one| one["size"].as_u64());
        if self.looks.fetch_add(1, Ordering::SeqCst) == 0
            && let Some(meanwhile) = self.meanwhile.get()
        {
            meanwhile();
        }
        let Some(size) = found else { return Err(request.forbidden("nobody says how many tags")) };
        if !request.object["spec"]["tags"].is_null() {
            return Ok(Admitted::unchanged());
        }
        let mut object = request.object.clone();
        object["spec"]["tags"] = (0..size).map(|number| format!("t{number}")).collect();
        Ok(Admitted::with(object))
    }
}

async fn bench_with(tagger: &Arc<Tagger>) -> Arc<Bench> {
    Arc::new(Bench::with(vec![Arc::new(tagger.clone())]).await)
}

fn tags(seen: &Seen) -> usize {
    seen.object["spec"]["tags"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_rests_on_what_stands_when_it_is_committed() {
    let tagger = Arc::new(Tagger::default());
    let bench = bench_with(&tagger).await;
    set_limit(&bench, "tags", 2).await;
    let weak: Weak<Bench> = Arc::downgrade(&bench);
    let raise = move || aside(async { set_limit(&weak.upgrade().unwrap(), "tags", 3).await });
    assert!(tagger.meanwhile.set(Box::new(raise)).is_ok());
    assert_eq!(tags(&bench.create(&bench.widgets(), widget("a", "x")).await.unwrap()), 3);
    assert_eq!(tagger.looks.load(Ordering::SeqCst), 2, "it was decided anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_for_what_is_not_so_any_more() {
    let tagger = Arc::new(Tagger::default());
    let bench = bench_with(&tagger).await;
    assert_eq!(refused(bench.create(&bench.widgets(), widget("a", "x")).await).0, 403);
    // Another process of the same store, so that nobody tells this one.
    let other = Bench::over(bench.registry.store.clone(), vec![Arc::new(Arc::<Tagger>::default())], Vec::new()).await;
    set_limit(&other, "tags", 1).await;
    assert_eq!(tags(&bench.create(&bench.widgets(), widget("a", "x")).await.unwrap()), 1);
    set_limit(&other, "tags", 2).await;
    let tried = bench.registry.create(&bench.widgets(), document(widget("b", "x")), &DRY).await;
    assert_eq!(tags(&seen(tried).unwrap()), 2);
}

#[tokio::test]
async fn whoever_looks_at_nothing_depends_on_nothing() {
    let tagger = Arc::new(Tagger::default());
    let bench = bench_with(&tagger).await;
    let map = bench.create(&bench.maps(), json!({"metadata": {"name": "m"}})).await.unwrap();
    set_limit(&bench, "tags", 1).await;
    let body = Value::clone(&map.object);
    bench.update(&bench.maps(), body).await.unwrap();
    assert_eq!(tagger.looks.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_rule_sees_only_what_it_said_it_rests_on() {
    struct Peeper;
    impl Admission for Peeper {
        fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
            match request.kind {
                "Widget" => request.looks.objects(GADGETS).map(|_| Admitted::unchanged()),
                _ => Ok(Admitted::unchanged()),
            }
        }
    }
    let bench = Bench::with(vec![Arc::new(Peeper)]).await;
    assert_eq!(refused(bench.create(&bench.widgets(), widget("a", "x")).await).0, 500);
}
