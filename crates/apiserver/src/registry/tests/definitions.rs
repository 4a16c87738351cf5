//! CustomResourceDefinitions.

use super::*;

fn condition<'a>(definition: &'a Value, kind: &str) -> &'a str {
    let conditions = definition["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|one| one["type"] == kind).map_or("absent", |one| one["status"].as_str().unwrap())
}

/// Another kind in the group of Widget.
fn thing(plural: &str, kind: &str) -> Value {
    let mut definition = gadget_definition();
    definition["metadata"]["name"] = format!("{plural}.example.dev").into();
    definition["spec"]["names"] = json!({"plural": plural, "kind": kind});
    definition
}

#[tokio::test]
async fn an_established_kind_is_served_at_once() {
    let bench = Bench::new().await;
    let written = bench.create(&bench.definitions(), thing("things", "Thing")).await.unwrap();
    let definition = &written.object;
    assert!(written.created);
    assert_eq!((condition(definition, "NamesAccepted"), condition(definition, "Established")), ("True", "True"));
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    let accepted = json!({"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"});
    assert_eq!(definition["status"]["acceptedNames"], accepted);
    assert_eq!(generation(definition), 1);
    let scope = bench.scope("example.dev", "v1", "things", None);
    bench
        .create(&scope, json!({"apiVersion": "example.dev/v1", "kind": "Thing", "metadata": {"name": "t"}}))
        .await
        .unwrap();
}

#[tokio::test]
async fn taken_names_are_not_accepted() {
    let bench = Bench::new().await;
    let mut twin = thing("twins", "Widget");
    twin["spec"]["names"]["listKind"] = "TwinList".into();
    let definition = bench.create(&bench.definitions(), twin).await.unwrap().object;
    assert_eq!((condition(&definition, "NamesAccepted"), condition(&definition, "Established")), ("False", "False"));
    assert!(bench.registry.catalogue.find("example.dev", "v1", "twins").is_none());
    bench.registry.delete(&bench.definitions(), "widgets.example.dev", &DeleteOptions::default()).await.unwrap();
}

#[tokio::test]
async fn bad_definitions_are_refused_with_causes() {
    let bench = Bench::new().await;
    let scope = bench.definitions();
    let with = |change: fn(&mut Value)| {
        let mut definition = thing("things", "Thing");
        change(&mut definition);
        definition
    };
    for (definition, words) in [
        (with(|one| one["metadata"]["name"] = "other.example.dev".into()), "metadata.name"),
        (with(|one| one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["size"] = json!({})), "type"),
        (with(|one| one["spec"]["versions"][0]["storage"] = false.into()), "storage"),
        (
            with(
                |one| one["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"service": {"namespace": "x", "name": "x"}}}}),
            ),
            "use url",
        ),
    ] {
        let error = bench.create(&scope, definition).await.unwrap_err();
        assert_eq!((error.code, error.reason), (422, "Invalid"), "{words}");
        assert!(!error.causes.is_empty() && error.message.contains(words), "{}", error.message);
    }
    let changed = bench.merge(&scope, "widgets.example.dev", json!({"spec": {"scope": "Cluster"}})).await;
    assert!(refused(changed).1.contains("spec.scope"));
    let dropped = json!([{"op": "remove", "path": "/spec/versions/0"}, {"op": "replace", "path": "/spec/versions/0/storage", "value": true}]);
    let dropped = Patch::Json(serde_json::from_value(dropped).unwrap());
    let dropped = seen(bench.registry.patch(&scope, "widgets.example.dev", Part::Main, dropped, &by("tester")).await);
    assert!(refused(dropped).1.contains("must appear in spec.versions"));
}

#[tokio::test]
async fn a_changed_schema_counts_at_once_and_keeps_watches() {
    let bench = Bench::new().await;
    let old = bench.widgets();
    bench.create(&old, widget("a", "x")).await.unwrap();
    let begun = Some(bench.registry.store.revision().to_string());
    let mut events = bench.watch(&old, WatchOptions { resource_version: begun, ..WatchOptions::default() }).await;
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/colour";
    let patch = json!([{"op": "add", "path": path, "value": {"type": "string", "default": "red"}}]);
    let patch = Patch::Json(serde_json::from_value(patch).unwrap());
    let (scope, name) = (bench.definitions(), "widgets.example.dev");
    let changed = seen(bench.registry.patch(&scope, name, Part::Main, patch, &by("tester")).await).unwrap();
    assert_eq!((generation(&changed.object), condition(&changed.object, "Established")), (2, "True"));
    assert_eq!(
        bench.get(&bench.widgets(), "a").await.unwrap()["spec"]["colour"],
        "red",
        "old objects show new defaults"
    );
    // A request that began before the change is checked against the new schema too.
    let late = bench.create(&old, widget("b", "x")).await.unwrap().object;
    assert_eq!(late["spec"]["colour"], "red");
    let (kind, told) = events.object().await;
    assert_eq!((kind, &told["spec"]["colour"]), ("ADDED", &json!("red")));
}

#[tokio::test]
async fn a_definition_takes_its_objects_along() {
    let mut bench = Bench::new().await;
    bench.run();
    let scope = bench.widgets();
    let mut body = widget("a", "x");
    body["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    bench.create(&scope, body).await.unwrap();
    let begun = Some(bench.registry.store.revision().to_string());
    let mut events = bench.watch(&scope, WatchOptions { resource_version: begun, ..WatchOptions::default() }).await;
    let Deleted::Pending(marked) = bench.delete(&bench.definitions(), "widgets.example.dev").await.unwrap() else {
        panic!("too fast")
    };
    let marked = marked.value().unwrap();
    assert_eq!(marked["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    assert_eq!(condition(&marked, "Terminating"), "True");
    let late = bench.create(&bench.widgets(), widget("b", "x")).await;
    assert_eq!(refused(late).0, 405);
    assert_eq!(events.word().await, "MODIFIED a");
    bench.merge(&scope, "a", json!({"metadata": {"finalizers": null}})).await.unwrap();
    bench.gone(&bench.definitions(), "widgets.example.dev").await;
    assert_eq!((events.word().await, events.word().await), ("DELETED a".into(), "END".into()));
    bench.wait_until(async || bench.registry.catalogue.find("example.dev", "v1", "widgets").is_none()).await;
    let stale = bench.create(&scope, widget("c", "x")).await;
    assert_eq!(refused(stale).0, 404);
    bench.create(&bench.definitions(), widget_definition()).await.unwrap();
    assert!(bench.list(&bench.widgets()).await.items.is_empty());
}

#[tokio::test]
async fn a_deprecated_version_warns_and_names_its_successor() {
    let bench = Bench::new().await;
    let mut definition = thing("things", "Thing");
    let version = definition["spec"]["versions"][0].clone();
    let versions = [("v1", true, None), ("v1beta1", false, None), ("v1alpha1", false, Some("gone soon"))].map(
        |(name, storage, warning)| {
            let mut version = version.clone();
            version["name"] = name.into();
            version["storage"] = storage.into();
            version["deprecated"] = (!storage).into();
            version["deprecationWarning"] = warning.into();
            version
        },
    );
    definition["spec"]["versions"] = versions.into();
    bench.create(&bench.definitions(), definition).await.unwrap();
    let warning =
        |version: &str| bench.scope("example.dev", version, "things", None).resource.deprecation_warning.clone();
    assert_eq!(warning("v1"), None);
    assert_eq!(
        warning("v1beta1").as_deref(),
        Some("example.dev/v1beta1 Thing is deprecated; use example.dev/v1 Thing")
    );
    assert_eq!(warning("v1alpha1").as_deref(), Some("gone soon"));
    let mut last = bench.get(&bench.definitions(), "things.example.dev").await.unwrap().as_ref().clone();
    last["spec"]["versions"][0]["deprecated"] = true.into();
    bench.update(&bench.definitions(), last).await.unwrap();
    assert_eq!(warning("v1").as_deref(), Some("example.dev/v1 Thing is deprecated"));
}

#[tokio::test]
async fn the_answer_to_a_write_shows_what_was_stored() {
    let bench = Bench::new().await;
    let definitions = bench.definitions();
    let mut definition = Value::clone(&bench.get(&definitions, "widgets.example.dev").await.unwrap());
    definition["spec"]["versions"][1]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["new"] =
        json!({"type": "string", "default": "dflt"});
    bench.update(&definitions, definition).await.unwrap();
    bench.create(&bench.widgets(), widget("a", "x")).await.unwrap();
    let newer = bench.scope("example.dev", "v2", "widgets", Some("ns"));
    let patched = bench.merge(&newer, "a", json!({"spec": {"image": "y", "new": "n"}})).await.unwrap().object;
    assert_eq!((&patched["apiVersion"], &patched["spec"]["new"]), (&json!("example.dev/v2"), &json!("dflt")));
    assert_eq!(patched, bench.get(&newer, "a").await.unwrap());
}
