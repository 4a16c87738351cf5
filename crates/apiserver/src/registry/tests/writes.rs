//! Creation.

use std::sync::Arc;

use super::*;
use crate::registry::Operation;

#[tokio::test]
async fn the_server_sets_metadata_and_defaults() {
    let bench = Bench::new().await;
    let mut body = widget("a", "one");
    body["metadata"]["uid"] = "mine".into();
    body["metadata"]["generation"] = 7.into();
    body["metadata"]["creationTimestamp"] = Value::Null;
    body["status"] = json!({"phase": "Forged"});
    let written = bench.create(&bench.widgets(), body).await.unwrap();
    let object = &written.object;
    assert!(written.created && written.warnings.is_empty());
    assert_eq!(object["metadata"]["namespace"], "ns");
    assert_eq!(object["metadata"]["creationTimestamp"], START);
    assert_ne!(object["metadata"]["uid"], "mine");
    assert_eq!((generation(object), &object["spec"]["replicas"], object.get("status")), (1, &json!(1), None));
    assert_eq!(object["metadata"]["managedFields"][0]["manager"], "tester");
    assert_eq!(bench.get(&bench.widgets(), "a").await.unwrap(), written.object);
}

#[tokio::test]
async fn names_are_checked_and_taken_once() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    bench.create(&scope, widget("a", "x")).await.unwrap();
    let again = bench.create(&scope, widget("a", "x")).await.unwrap_err();
    assert_eq!(
        (again.code, again.reason, again.message.as_str()),
        (409, "AlreadyExists", "widgets.example.dev \"a\" already exists")
    );
    let upper = bench.create(&scope, widget("A", "x")).await.unwrap_err();
    assert_eq!((upper.code, upper.causes[0].field.as_str()), (422, "metadata.name"));
    assert!(upper.message.starts_with(
        "Widget.example.dev \"A\" is invalid: metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"
    ));
    let nameless = bench.create(&scope, widget("", "x")).await.unwrap_err();
    assert!(
        nameless.message.contains("metadata.name: Required value: name or generateName is required"),
        "{}",
        nameless.message
    );
}

#[tokio::test]
async fn names_are_generated() {
    let bench = Bench::new().await;
    let mut body = widget("", "x");
    body["metadata"] = json!({"generateName": "job-"});
    let one = bench.create(&bench.widgets(), body.clone()).await.unwrap();
    let two = bench.create(&bench.widgets(), body).await.unwrap();
    let name = |written: &Seen| written.object["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name(&one).starts_with("job-") && name(&one).len() == 9);
    assert_ne!(name(&one), name(&two));
}

#[tokio::test]
async fn a_body_for_another_place_is_refused() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let with = |change: fn(&mut Value)| {
        let mut body = widget("a", "x");
        change(&mut body);
        body
    };
    for (body, code, words) in [
        (
            with(|body| body["apiVersion"] = "example.dev/v2".into()),
            400,
            "does not match the expected API version (example.dev/v1)",
        ),
        (with(|body| body["kind"] = "Gadget".into()), 400, "cannot be handled as a Widget"),
        (with(|body| body["kind"] = Value::Null), 400, "Object 'Kind' is missing"),
        (
            with(|body| body["metadata"]["namespace"] = "other".into()),
            400,
            "namespace of the provided object does not match",
        ),
        (with(|body| body["metadata"]["resourceVersion"] = "5".into()), 400, "resourceVersion should not be set"),
        (
            with(|body| body["metadata"]["labels"] = json!({"a": 1})),
            400,
            "metadata.labels.a must be a string, found number",
        ),
        (with(|body| body["metadata"]["labels"] = json!({"a b": "c"})), 422, "metadata.labels: Invalid value: \"a b\""),
        (with(|body| body["metadata"]["finalizers"] = json!(["x"])), 422, "nor is it fully qualified"),
        (
            with(|body| body["metadata"]["ownerReferences"] = json!([{"kind": "X"}])),
            422,
            "metadata.ownerReferences.uid",
        ),
        (
            with(|body| body["metadata"]["annotations"] = json!({"a": "x".repeat(300_000)})),
            422,
            "may not be more than 262144 bytes",
        ),
        (with(|body| body["spec"] = json!({})), 422, "spec.image: Required value"),
        (with(|body| body["spec"]["replicas"] = 11.into()), 422, "at most ten"),
        (
            with(|body| body["spec"]["image"] = "x".repeat(1_600_000).into()),
            413,
            "larger than the limit of 1556480 bytes",
        ),
        (json!(["no object"]), 400, "must be an object"),
    ] {
        let (found, message) = refused(bench.create(&scope, body).await);
        assert!(found == code && message.contains(words), "{found} {message} instead of {code} {words}");
    }
}

#[tokio::test]
async fn who_owns_what_counts_towards_the_size_and_a_deletion_always_has_room() {
    let bench = Bench::new().await;
    // 29 bytes a field in the data, and for the note of its owner about as many again.
    let data: serde_json::Map<_, _> =
        (0..40_000).map(|field| (format!("field-{field:05}"), "x".repeat(12).into())).collect();
    let body = json!({"metadata": {"name": "m"}, "data": data});
    assert!(body.to_string().len() < 1_200_000);
    let (code, message) = refused(bench.create(&bench.maps(), body).await);
    assert!(code == 413 && message.contains("larger than the limit of 1556480 bytes"), "{code} {message}");

    let scope = bench.widgets();
    let mut length = 1_556_480;
    let made = loop {
        let mut body = widget("m", &"x".repeat(length));
        body["metadata"]["finalizers"] = json!(["example.dev/held"]);
        match bench.create(&scope, body).await {
            Err(error) if error.code == 413 => length -= 8,
            answer => break answer.unwrap(),
        }
    };
    assert!(made.created && length > 1_556_480 - 1_024);
    let grown = bench.merge(&scope, "m", json!({"metadata": {"labels": {"eight": "bytes"}}})).await;
    assert_eq!(refused(grown).0, 413);
    let foreground = DeleteOptions { propagation_policy: Some("Foreground".into()), ..DeleteOptions::default() };
    let pending = bench.registry.delete(&scope, "m", &foreground).await.unwrap();
    assert!(matches!(pending, Deleted::Pending(_)));
}

#[tokio::test]
async fn unknown_and_duplicate_fields() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let mut value = widget("a", "x");
    value["spec"]["foo"] = 1.into();
    value["metadata"]["bar"] = 1.into();
    let body = Document { value, duplicates: vec!["spec.image".into()] };
    let error = seen(bench.registry.create(&scope, body.clone(), &strict()).await).unwrap_err();
    assert_eq!(error.code, 400);
    assert_eq!(
        error.message,
        r#"strict decoding error: unknown field "metadata.bar", unknown field "spec.foo", duplicate field "spec.image""#
    );
    let written = seen(bench.registry.create(&scope, body.clone(), &dry()).await).unwrap();
    let warnings =
        [r#"unknown field "metadata.bar""#, r#"unknown field "spec.foo""#, r#"duplicate field "spec.image""#];
    assert_eq!(written.warnings, warnings);
    assert_eq!(written.object["spec"].get("foo"), None);
    let ignore = WriteOptions { field_validation: FieldValidation::Ignore, ..by("tester") };
    assert!(seen(bench.registry.create(&scope, body, &ignore).await).unwrap().warnings.is_empty());
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let bench = Bench::new().await;
    let before = bench.registry.store.revision();
    let written = seen(bench.registry.create(&bench.widgets(), document(widget("a", "x")), &dry()).await).unwrap();
    assert!(written.object["metadata"]["uid"].is_string());
    assert_eq!(written.object["metadata"].get("resourceVersion"), None);
    assert_eq!(bench.registry.store.revision(), before);
    assert_eq!(bench.get(&bench.widgets(), "a").await.unwrap_err().message, "widgets.example.dev \"a\" not found");
    bench.create(&bench.widgets(), widget("a", "x")).await.unwrap();
    let taken = seen(bench.registry.create(&bench.widgets(), document(widget("a", "x")), &dry()).await).unwrap_err();
    assert_eq!(taken.reason, "AlreadyExists");
}

/// Fills in an image, and refuses the word "forbidden".
struct ImageRule;

impl Admission for ImageRule {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
        if request.kind != "Widget" {
            return Ok(Admitted::unchanged());
        }
        match request.object["spec"]["image"].as_str() {
            Some("forbidden") => Err(ApiError::forbidden("no such image")),
            None if request.operation == Operation::Create => {
                let mut object = request.object.clone();
                object["spec"]["image"] = "default".into();
                Ok(Admitted::with(object))
            }
            _ => Ok(Admitted::unchanged()),
        }
    }
}

#[tokio::test]
async fn admission_comes_before_validation() {
    let bench = Bench::with(vec![Arc::new(ImageRule)]).await;
    let scope = bench.widgets();
    let mut body = widget("a", "");
    body["spec"] = json!({});
    assert_eq!(bench.create(&scope, body).await.unwrap().object["spec"], json!({"image": "default", "replicas": 1}));
    assert_eq!(refused(bench.create(&scope, widget("b", "forbidden")).await), (403, "no such image".into()));
    assert_eq!(refused(bench.merge(&scope, "a", json!({"spec": {"image": "forbidden"}})).await).0, 403);
}

#[tokio::test]
async fn owners_and_finalizers_that_are_named_twice_count_once() {
    let bench = Bench::new().await;
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"});
    let mut body = widget("a", "x");
    body["metadata"]["ownerReferences"] = json!([owner, owner]);
    body["metadata"]["finalizers"] = json!(["example.dev/one", "example.dev/two", "example.dev/one"]);
    let written = bench.create(&bench.widgets(), body).await.unwrap().object;
    assert_eq!(written["metadata"]["ownerReferences"], json!([owner]));
    assert_eq!(written["metadata"]["finalizers"], json!(["example.dev/one", "example.dev/two"]));
    let add = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "example.dev/two"}]);
    let patch = Patch::Json(serde_json::from_value(add).unwrap());
    let patched = seen(bench.registry.patch(&bench.widgets(), "a", Part::Main, patch, &by("tester")).await).unwrap();
    assert_eq!(revision(&patched.object), revision(&written));
}

#[tokio::test]
async fn nulls_among_texts_are_empty_texts() {
    let bench = Bench::new().await;
    let map =
        json!({"metadata": {"name": "m", "labels": {"a": null}, "annotations": {"b": null}}, "data": {"c": null}});
    let written = bench.create(&bench.maps(), map).await.unwrap().object;
    assert_eq!((&written["metadata"]["labels"], &written["data"]), (&json!({"a": ""}), &json!({"c": ""})));
    assert_eq!(written["metadata"]["annotations"], json!({"b": ""}));
}

#[tokio::test]
async fn a_namespace_on_what_is_in_none_is_passed_over() {
    let bench = Bench::new().await;
    let mut body = gadget("g");
    body["metadata"]["namespace"] = "default".into();
    let written = bench.create(&bench.gadgets(), body).await.unwrap().object;
    assert_eq!(written["metadata"].get("namespace"), None);
}

#[tokio::test]
async fn objects_say_what_they_are_and_are_called() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let mut unversioned = widget("a", "x");
    unversioned.as_object_mut().unwrap().remove("apiVersion");
    assert_eq!(refused(bench.create(&scope, unversioned).await).0, 400);
    let apply = Patch::Apply(document(json!({"apiVersion": "example.dev/v1", "spec": {"image": "x"}})));
    let applied = bench.registry.patch(&scope, "a", Part::Main, apply, &by("tester")).await;
    assert_eq!(applied.map(drop).map_err(|error| error.code), Err(400));
    assert_eq!(refused(bench.update(&scope, widget("a", "x")).await).0, 404, "nothing is there to be replaced");
    bench.create(&scope, widget("a", "x")).await.unwrap();
    assert_eq!(refused(bench.update(&scope, widget("a", "x")).await).0, 422);
    assert_eq!(refused(bench.merge(&scope, "a", json!({"metadata": null})).await).0, 422);
    assert_eq!(refused(bench.merge(&scope, "a", json!({"metadata": {"name": null}})).await).0, 422);
}

#[tokio::test]
async fn clients_decide_neither_when_an_object_goes_nor_twice_how() {
    let bench = Bench::new().await;
    let scope = bench.widgets();
    let mut both = widget("a", "x");
    both["metadata"]["finalizers"] = json!(["orphan", "foregroundDeletion"]);
    assert_eq!(refused(bench.create(&scope, both).await).0, 422);
    bench.create(&scope, widget("a", "x")).await.unwrap();
    let marked = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    assert_eq!(refused(bench.merge(&scope, "a", marked).await).0, 422);
}
