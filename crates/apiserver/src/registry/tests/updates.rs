//! Updates, subresources, patches.

use super::*;

async fn standing(bench: &Bench) -> Value {
    Value::clone(&bench.create(&bench.widgets(), widget("a", "one")).await.unwrap().object)
}

#[tokio::test]
async fn an_update_needs_the_revision_that_stands_there() {
    let bench = Bench::new().await;
    let (scope, mut object) = (bench.widgets(), standing(&bench).await);
    let blind = bench.update(&scope, widget("a", "two")).await;
    let (code, message) = refused(blind);
    assert_eq!(code, 422);
    assert!(
        message.contains("metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"),
        "{message}"
    );
    let mut zero = widget("a", "two");
    zero["metadata"]["resourceVersion"] = "0".into();
    assert_eq!(refused(bench.update(&scope, zero).await).0, 422, "0 is no revision, so this update is as blind");
    object["spec"]["image"] = "two".into();
    let written = bench.update(&scope, object.clone()).await.unwrap();
    assert_eq!((generation(&written.object), written.created), (2, false));
    let (code, message) = refused(bench.update(&scope, object).await);
    assert_eq!(code, 409);
    assert_eq!(
        message,
        "Operation cannot be fulfilled on widgets.example.dev \"a\": the object has been modified; please apply your changes to the \
         latest version and try again"
    );
    let mut absent = widget("b", "x");
    absent["metadata"]["resourceVersion"] = "1".into();
    assert_eq!(refused(bench.update(&scope, absent).await).0, 404);
}

#[tokio::test]
async fn built_in_kinds_may_be_updated_blindly() {
    let bench = Bench::new().await;
    let map = |value: &str| json!({"metadata": {"name": "a"}, "data": {"k": value}});
    bench.create(&bench.maps(), map("1")).await.unwrap();
    assert_eq!(bench.update(&bench.maps(), map("2")).await.unwrap().object["data"]["k"], "2");
}

#[tokio::test]
async fn a_write_that_changes_nothing_writes_nothing() {
    let bench = Bench::new().await;
    let (scope, object) = (bench.widgets(), standing(&bench).await);
    bench.pass(60);
    let before = bench.registry.store.revision();
    for _ in 0..2 {
        assert_eq!(*bench.update(&scope, object.clone()).await.unwrap().object, object);
        assert_eq!(*bench.merge(&scope, "a", json!({"spec": {"image": "one"}})).await.unwrap().object, object);
    }
    assert_eq!(bench.registry.store.revision(), before);
}

#[tokio::test]
async fn identity_and_server_fields_cannot_be_changed() {
    let bench = Bench::new().await;
    let (scope, object) = (bench.widgets(), standing(&bench).await);
    let with = |field: &str, value: &str| {
        let mut object = object.clone();
        object["metadata"][field] = value.into();
        object
    };
    assert_eq!(refused(bench.update(&scope, with("uid", "other")).await).0, 409);
    // Clients read the time as a time and write it as theirs do.
    for spelling in ["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.000Z"] {
        let again = bench.update(&scope, with("creationTimestamp", spelling)).await.unwrap().object;
        assert_eq!(again["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
    }
    assert_eq!(refused(bench.update(&scope, with("creationTimestamp", "2020-01-01T00:00:00Z")).await).0, 422);
    let renamed =
        seen(bench.registry.update(&scope, "a", Part::Main, document(with("name", "b")), &by("tester")).await);
    assert_eq!(refused(renamed).0, 400);
    assert_eq!(refused(bench.update(&scope, with("deletionTimestamp", START)).await).0, 422);
}

#[tokio::test]
async fn status_has_a_door_of_its_own() {
    let bench = Bench::new().await;
    let (scope, mut object) = (bench.widgets(), standing(&bench).await);
    object["status"] = json!({"phase": "Ready"});
    object["spec"]["image"] = "two".into();
    object["metadata"]["labels"] = json!({"a": "b"});
    let written = bench.update_part(&scope, Part::Status, object.clone()).await.unwrap().object;
    assert_eq!((&written["status"]["phase"], &written["spec"]["image"]), (&json!("Ready"), &json!("one")));
    assert_eq!((generation(&written), written["metadata"].get("labels")), (1, None));
    let managers = written["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().any(|entry| entry["subresource"] == "status"), "{managers:?}");

    let mut object = Value::clone(&written);
    object["status"]["phase"] = "Forged".into();
    object["metadata"]["labels"] = json!({"a": "b"});
    let written = bench.update(&scope, object).await.unwrap().object;
    assert_eq!((&written["status"]["phase"], generation(&written)), (&json!("Ready"), 1));
    assert_eq!(written["metadata"]["labels"]["a"], "b");
}

#[tokio::test]
async fn without_the_subresource_status_counts() {
    let bench = Bench::new().await;
    bench.create(&bench.gadgets(), gadget("g")).await.unwrap();
    let written = bench.merge(&bench.gadgets(), "g", json!({"status": {"x": 1}})).await.unwrap().object;
    assert_eq!((generation(&written), &written["status"]["x"]), (2, &json!(1)));
}

#[tokio::test]
async fn scale_reads_and_writes_the_numbers() {
    let bench = Bench::new().await;
    let (scope, object) = (bench.widgets(), standing(&bench).await);
    let scale = bench.registry.get(&scope, "a", Part::Scale).await.unwrap().value().unwrap();
    assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
    assert_eq!((&scale["spec"]["replicas"], revision(&scale)), (&json!(1), revision(&object)));

    let mut wanted = Value::clone(&scale);
    wanted["spec"]["replicas"] = 3.into();
    let written = bench.update_part(&scope, Part::Scale, wanted.clone()).await.unwrap();
    assert_eq!((&written.object["kind"], &written.object["spec"]["replicas"]), (&json!("Scale"), &json!(3)));
    assert_eq!(generation(&bench.get(&scope, "a").await.unwrap()), 2);
    assert_eq!(refused(bench.update_part(&scope, Part::Scale, wanted).await).0, 409);

    let patch = Patch::Merge(document(json!({"spec": {"replicas": 4}})));
    let patched = seen(bench.registry.patch(&scope, "a", Part::Scale, patch, &by("tester")).await).unwrap();
    assert_eq!(patched.object["spec"]["replicas"], 4);
    let negative = Patch::Merge(document(json!({"spec": {"replicas": -1}})));
    assert_eq!(refused(seen(bench.registry.patch(&scope, "a", Part::Scale, negative, &by("tester")).await)).0, 422);
    let many = Patch::Merge(document(json!({"spec": {"replicas": 11}})));
    assert_eq!(refused(seen(bench.registry.patch(&scope, "a", Part::Scale, many, &by("tester")).await)).0, 422);
}

#[tokio::test]
async fn patches_are_retried_unless_they_name_a_revision() {
    let bench = Bench::new().await;
    let (scope, object) = (bench.widgets(), standing(&bench).await);
    let patches = (0..4).map(|at| {
        let (bench, scope) = (&bench, &scope);
        async move { bench.merge(scope, "a", json!({"metadata": {"labels": {format!("l{at}"): "x"}}})).await }
    });
    for outcome in futures::future::join_all(patches).await {
        outcome.unwrap();
    }
    let labels = bench.get(&scope, "a").await.unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels.as_object().unwrap().len(), 4);
    let stale = json!({"metadata": {"resourceVersion": revision(&object)}, "spec": {"image": "two"}});
    assert_eq!(refused(bench.merge(&scope, "a", stale).await).0, 409);
}

#[tokio::test]
async fn a_json_patch_is_an_optimistic_lock() {
    let bench = Bench::new().await;
    let (scope, object) = (bench.widgets(), standing(&bench).await);
    let patch = |revision: &str| {
        let operations = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": revision},
            {"op": "add", "path": "/metadata/finalizers", "value": ["example.dev/x"]},
        ]);
        Patch::Json(serde_json::from_value(operations).unwrap())
    };
    let written =
        seen(bench.registry.patch(&scope, "a", Part::Main, patch(revision(&object)), &by("kopf")).await).unwrap();
    assert_eq!(written.object["metadata"]["finalizers"], json!(["example.dev/x"]));
    let late = seen(bench.registry.patch(&scope, "a", Part::Main, patch(revision(&object)), &by("kopf")).await);
    assert_eq!(refused(late).0, 422);
}

#[tokio::test]
async fn unknown_fields_of_a_patch_are_422() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    standing(&bench).await;
    let patch = || Patch::Merge(document(json!({"spec": {"foo": 1}})));
    let error = seen(bench.registry.patch(&scope, "a", Part::Main, patch(), &strict()).await).unwrap_err();
    assert_eq!((error.code, error.causes[0].field.as_str()), (422, "patch"));
    assert!(error.message.contains(r#"strict decoding error: unknown field "spec.foo""#), "{}", error.message);
    let written = seen(bench.registry.patch(&scope, "a", Part::Main, patch(), &by("tester")).await).unwrap();
    assert_eq!(written.warnings, [r#"unknown field "spec.foo""#]);
}

#[tokio::test]
async fn strategic_patches_are_for_built_in_kinds() {
    let bench = Bench::new().await;
    standing(&bench).await;
    let patch = || Patch::Strategic(document(json!({"metadata": {"finalizers": ["example.dev/y"]}})));
    let error =
        seen(bench.registry.patch(&bench.widgets(), "a", Part::Main, patch(), &by("tester")).await).unwrap_err();
    assert_eq!(error.code, 415);
    assert!(
        error
            .message
            .contains("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")
    );
    let map = json!({"metadata": {"name": "m", "finalizers": ["example.dev/x"]}});
    bench.create(&bench.maps(), map).await.unwrap();
    let written = seen(bench.registry.patch(&bench.maps(), "m", Part::Main, patch(), &by("tester")).await).unwrap();
    assert_eq!(written.object["metadata"]["finalizers"], json!(["example.dev/x", "example.dev/y"]));
}

#[tokio::test]
async fn an_invalid_field_that_stays_is_tolerated() {
    let bench = Bench::new().await;
    standing(&bench).await;
    let written = bench.merge(&bench.widgets(), "a", json!({"spec": {"replicas": 11}})).await;
    assert_eq!(refused(written).0, 422);
    let nothing = bench.merge(&bench.widgets(), "b", json!({})).await;
    assert_eq!(refused(nothing).0, 404);
}

#[tokio::test]
async fn the_other_version_shows_the_same_object() {
    let bench = Bench::new().await;
    let object = standing(&bench).await;
    let second = bench.scope("example.dev", "v2", "widgets", Some("ns"));
    let seen = bench.get(&second, "a").await.unwrap();
    assert_eq!(
        (&seen["apiVersion"], &seen["spec"], revision(&seen)),
        (&json!("example.dev/v2"), &object["spec"], revision(&object))
    );
    let mut changed = Value::clone(&seen);
    changed["spec"]["image"] = "two".into();
    assert_eq!(bench.update(&second, changed).await.unwrap().object["apiVersion"], "example.dev/v2");
    let first = bench.get(&bench.widgets(), "a").await.unwrap();
    assert_eq!((&first["apiVersion"], &first["spec"]["image"]), (&json!("example.dev/v1"), &json!("two")));
}

/// Widgets whose replicas are set by whoever scales them first.
async fn without_default(bench: &Bench) -> Scope {
    let definitions = bench.definitions();
    let mut definition = Value::clone(&bench.get(&definitions, "widgets.example.dev").await.unwrap());
    for at in 0..2 {
        let spec = &mut definition["spec"]["versions"][at]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        spec["properties"]["replicas"] = json!({"type": "integer"});
        spec.as_object_mut().unwrap().remove("x-kubernetes-validations");
    }
    bench.update(&definitions, definition).await.unwrap();
    bench.widgets()
}

#[tokio::test]
async fn scale_gives_replicas_to_an_object_without() {
    let bench = Bench::new().await;
    let scope = without_default(&bench).await;
    bench.create(&scope, widget("a", "x")).await.unwrap();
    let unset = bench.registry.get(&scope, "a", Part::Scale).await.unwrap_err();
    assert_eq!((unset.code, unset.message.contains(".spec.replicas")), (500, true));
    let replace: json_patch::Patch =
        serde_json::from_value(json!([{"op": "replace", "path": "/spec/replicas", "value": 4}])).unwrap();
    for (patch, replicas) in [(Patch::Merge(document(json!({"spec": {"replicas": 3}}))), 3), (Patch::Json(replace), 4)]
    {
        let written = seen(bench.registry.patch(&scope, "a", Part::Scale, patch, &by("tester")).await).unwrap();
        assert_eq!(written.object["spec"]["replicas"], replicas);
        assert_eq!(bench.get(&scope, "a").await.unwrap()["spec"]["replicas"], replicas);
    }
}

#[tokio::test]
async fn scale_reads_numbers_that_were_stored_as_floats() {
    let bench = Bench::new().await;
    let scope = without_default(&bench).await;
    let mut body = widget("a", "x");
    body["spec"]["replicas"] = json!(2.0);
    bench.create(&scope, body).await.unwrap();
    let scale = bench.registry.get(&scope, "a", Part::Scale).await.unwrap().value().unwrap();
    assert_eq!(scale["spec"]["replicas"], json!(2));
}

#[tokio::test]
async fn the_scale_of_another_namespace_is_refused() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    bench.create(&scope, widget("a", "x")).await.unwrap();
    let scale = json!({"metadata": {"name": "a", "namespace": "other"}, "spec": {"replicas": 2}});
    assert_eq!(refused(bench.update_part(&scope, Part::Scale, scale).await).0, 400);
}
