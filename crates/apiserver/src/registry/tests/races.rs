//! Many at once.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;

/// What a client that follows a watch believes to be there: name to revision.
fn follow(believed: &mut BTreeMap<String, String>, event: WatchEvent) {
    let WatchEvent::Object(kind, object) = event else { return };
    let object = object.value().unwrap();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let known = believed.contains_key(&name);
    match kind {
        "ADDED" => assert!(!known, "{name} was added twice"),
        _ => assert!(known, "{kind} {name} came before it was added"),
    }
    if kind == "DELETED" {
        believed.remove(&name);
    } else {
        believed.insert(name, revision(&object).to_owned());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_follows_a_watch_knows_what_a_list_shows() {
    let bench = Arc::new(Bench::new().await);
    let begun = Some(bench.registry.store.revision().to_string());
    let options = |selectors| WatchOptions { selectors, resource_version: begun.clone(), ..WatchOptions::default() };
    let mut all = bench.watch(&bench.widgets(), options(Selectors::default())).await;
    let mut some = bench.watch(&bench.widgets(), options(labels("on=yes"))).await;

    let mut writers = JoinSet::new();
    for writer in 0..4_usize {
        let bench = bench.clone();
        writers.spawn(async move {
            for step in 0..40_usize {
                let name = format!("w{}", (writer + step * 7) % 5);
                let scope = bench.widgets();
                let on = if step % 3 == 0 { "yes" } else { "no" };
                let outcome = match step % 4 {
                    0 => bench.create(&scope, widget(&name, "x")).await.map(drop),
                    3 => bench.delete(&scope, &name).await.map(drop),
                    _ => bench
                        .merge(
                            &scope,
                            &name,
                            json!({"metadata": {"labels": {"on": on, "step": format!("{writer}-{step}")}}}),
                        )
                        .await
                        .map(drop),
                };
                if let Err(error) = outcome {
                    assert!(matches!(error.code, 404 | 409), "{error}");
                }
            }
        });
    }
    while let Some(outcome) = writers.join_next().await {
        outcome.unwrap();
    }
    let scope = bench.widgets();
    let mut last = widget("last", "x");
    last["metadata"]["labels"] = json!({"on": "yes"});
    bench.create(&scope, last).await.unwrap();
    for (events, selectors) in [(&mut all, Selectors::default()), (&mut some, labels("on=yes"))] {
        let mut believed = BTreeMap::new();
        while !believed.contains_key("last") {
            follow(&mut believed, events.next().await.expect("the watch goes on"));
        }
        let list = bench.registry.list(&scope, ListOptions { selectors, ..ListOptions::default() }).await.unwrap();
        let shown = values(&list)
            .into_iter()
            .map(|one| (one["metadata"]["name"].as_str().unwrap().to_owned(), revision(&one).to_owned()));
        assert_eq!(believed, shown.collect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_left_behind_in_a_namespace_that_goes() {
    let mut bench = Bench::new().await;
    bench.run();
    let bench = Arc::new(bench);
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let bench = bench.clone();
        writers.spawn(async move {
            for step in 0.. {
                let body = json!({"metadata": {"name": format!("m{writer}-{step}")}});
                match bench.create(&bench.maps(), body).await {
                    Ok(_) => {}
                    Err(error) if matches!(error.code, 403 | 404) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let namespaces = bench.scope("", "v1", "namespaces", None);
    bench.delete(&namespaces, "ns").await.unwrap();
    while let Some(outcome) = writers.join_next().await {
        outcome.unwrap();
    }
    bench.gone(&namespaces, "ns").await;
    assert!(bench.list(&bench.maps()).await.items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_takes_a_lease() {
    let bench = Arc::new(Bench::new().await);
    let scope = bench.scope("coordination.k8s.io", "v1", "leases", Some("ns"));
    let free =
        bench.create(&scope, json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": ""}})).await.unwrap().object;
    let takers = (0..8).map(|taker| {
        let mut taken = Value::clone(&free);
        taken["spec"]["holderIdentity"] = format!("taker-{taker}").into();
        let (bench, scope) = (bench.clone(), scope.clone());
        async move { bench.update(&scope, taken).await }
    });
    let outcomes = futures::future::join_all(takers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(|error| error.code == 409));
}

/// Kubernetes never answers 409 to a client that named no revision: whoever was slower looks again, as often as it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn patches_that_name_no_revision_all_succeed() {
    let bench = Arc::new(Bench::new().await);
    bench.create(&bench.widgets(), widget("a", "x")).await.unwrap();
    let mut patching = tokio::task::JoinSet::new();
    for number in 0..60 {
        let bench = bench.clone();
        patching.spawn(async move {
            let labels = json!({"metadata": {"labels": {format!("l{number}"): "x"}}});
            if number % 2 == 0 {
                return bench.merge(&bench.widgets(), "a", labels).await.map(drop);
            }
            let mut body = widget("a", "x");
            body["metadata"]["labels"] = labels["metadata"]["labels"].clone();
            let (patch, options) = (Patch::Apply(document(body)), by(&format!("manager-{number}")));
            bench.registry.patch(&bench.widgets(), "a", Part::Main, patch, &options).await.map(drop)
        });
    }
    while let Some(patched) = patching.join_next().await {
        patched.unwrap().unwrap();
    }
    let labels = bench.get(&bench.widgets(), "a").await.unwrap()["metadata"]["labels"].as_object().unwrap().len();
    assert_eq!(labels, 60);
}

/// Teaches widgets a new field at the last moment before one is written.
struct Teacher {
    registry: OnceLock<Weak<Registry>>,
    lesson: std::sync::Mutex<Option<&'static str>>,
}

impl Admission for Arc<Teacher> {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
        let lesson =
            self.lesson.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take_if(|_| request.kind == "Widget");
        let Some(field) = lesson else { return Ok(Admitted::unchanged()) };
        let registry = self.registry.get().unwrap().upgrade().unwrap();
        let definitions = registry.catalogue.find("apiextensions.k8s.io", "v1", "customresourcedefinitions");
        let scope = Scope { resource: definitions.unwrap(), namespace: None };
        let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{field}");
        let patch = json!([{"op": "add", "path": path, "value": {"type": "string"}}]);
        let patch = Patch::Json(serde_json::from_value(patch).map_err(ApiError::internal)?);
        aside(registry.patch(&scope, "widgets.example.dev", Part::Main, patch, &by("tester")))?;
        Ok(Admitted::unchanged())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_the_schema_learns_during_a_write_is_kept() {
    let teacher = Arc::new(Teacher { registry: OnceLock::new(), lesson: std::sync::Mutex::default() });
    let bench = Bench::with(vec![Arc::new(teacher.clone())]).await;
    teacher.registry.set(Arc::downgrade(&bench.registry)).unwrap();
    let teach = |field: &'static str| *teacher.lesson.lock().unwrap() = Some(field);
    let told = |field: &str| {
        let mut told = widget(field, "x");
        told["spec"][field] = "kept".into();
        told
    };

    teach("created");
    let created = bench.create(&bench.widgets(), told("created")).await.unwrap();
    assert_eq!(created.object["spec"]["created"], "kept");
    assert!(created.warnings.is_empty(), "{:?}", created.warnings);

    teach("applied");
    let apply = async |body: Value| {
        let patch = Patch::Apply(document(body));
        seen(bench.registry.patch(&bench.widgets(), "applied", Part::Main, patch, &by("tester")).await)
    };
    assert_eq!(refused(apply(told("applied")).await).0, 400, "an apply says at once what the schema does not know");
    let applied = apply(widget("applied", "x")).await.unwrap();
    assert_eq!((&applied.object["spec"]["image"], applied.created), (&json!("x"), true));
    assert_eq!(apply(told("applied")).await.unwrap().object["spec"]["applied"], "kept");

    bench.create(&bench.widgets(), widget("updated", "x")).await.unwrap();
    let standing = bench.get(&bench.widgets(), "updated").await.unwrap();
    teach("updated");
    let mut changed = Value::clone(&standing);
    changed["spec"]["updated"] = "kept".into();
    let updated = bench.update(&bench.widgets(), changed).await.unwrap();
    assert_eq!(updated.object["spec"]["updated"], "kept");
    assert!(teacher.lesson.lock().unwrap().is_none(), "it was taught");
}

/// Changes the namespace of every object at the last moment before it is made.
struct Restless {
    registry: OnceLock<Weak<Registry>>,
    left: AtomicUsize,
}

impl Admission for Arc<Restless> {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
        let less = |left: usize| left.checked_sub(1);
        if request.kind != "ConfigMap" || self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_err() {
            return Ok(Admitted::unchanged());
        }
        let registry = self.registry.get().unwrap().upgrade().unwrap();
        let count = self.left.load(Ordering::SeqCst).to_string();
        let scope = Scope { resource: registry.namespaces_resource()?, namespace: None };
        let patch = Patch::Merge(document(json!({"metadata": {"annotations": {"count": count}}})));
        aside(registry.patch(&scope, "ns", Part::Main, patch, &by("tester")))?;
        Ok(Admitted::unchanged())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_changed_again_and_again_keeps_nothing_from_being_made() {
    let restless = Arc::new(Restless { registry: OnceLock::new(), left: AtomicUsize::new(30) });
    let bench = Bench::with(vec![Arc::new(restless.clone())]).await;
    restless.registry.set(Arc::downgrade(&bench.registry)).unwrap();
    bench.create(&bench.maps(), json!({"metadata": {"name": "m"}})).await.unwrap();
    assert_eq!(restless.left.load(Ordering::SeqCst), 0, "the namespace did change");
}
