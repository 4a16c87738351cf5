//! Server-side apply.

use super::*;

async fn apply(bench: &Bench, manager: &str, body: Value, force: bool) -> Result<Seen, ApiError> {
    let name = body["metadata"]["name"].as_str().unwrap().to_owned();
    let options = WriteOptions { force, ..by(manager) };
    seen(bench.registry.patch(&bench.widgets(), &name, Part::Main, Patch::Apply(document(body)), &options).await)
}

fn with_parts(parts: &Value) -> Value {
    let mut body = widget("a", "one");
    body["spec"]["parts"] = parts.clone();
    body
}

#[tokio::test]
async fn apply_creates_then_merges_then_removes() {
    let bench = Bench::new().await;
    let created =
        apply(&bench, "one", with_parts(&json!([{"name": "x", "weight": 1}, {"name": "y"}])), false).await.unwrap();
    assert!(created.created);
    assert_eq!(created.object["spec"]["replicas"], 1);
    let entry = &created.object["metadata"]["managedFields"][0];
    assert_eq!((&entry["manager"], &entry["operation"]), (&json!("one"), &json!("Apply")));

    let mut other = with_parts(&json!([{"name": "z", "weight": 3}]));
    other["spec"].as_object_mut().unwrap().remove("image");
    let merged = apply(&bench, "two", other, false).await.unwrap();
    assert!(!merged.created);
    assert_eq!(merged.object["spec"]["parts"].as_array().unwrap().len(), 3);

    let fewer = apply(&bench, "one", with_parts(&json!([{"name": "x", "weight": 1}])), false).await.unwrap();
    assert_eq!(fewer.object["spec"]["parts"], json!([{"name": "x", "weight": 1}, {"name": "z", "weight": 3}]));
}

#[tokio::test]
async fn applying_the_same_again_writes_nothing() {
    let bench = Bench::new().await;
    let first = apply(&bench, "one", widget("a", "one"), false).await.unwrap().object;
    bench.pass(60);
    let before = bench.registry.store.revision();
    assert_eq!(apply(&bench, "one", widget("a", "one"), false).await.unwrap().object, first);
    assert_eq!(bench.registry.store.revision(), before);
}

#[tokio::test]
async fn conflicts_name_the_owner_and_force_takes_over() {
    let bench = Bench::new().await;
    apply(&bench, "one", widget("a", "one"), false).await.unwrap();
    let error = apply(&bench, "two", widget("a", "two"), false).await.unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.image");
    assert_eq!(
        (error.causes[0].reason.as_str(), error.causes[0].field.as_str()),
        ("FieldManagerConflict", ".spec.image")
    );
    let forced = apply(&bench, "two", widget("a", "two"), true).await.unwrap().object;
    assert_eq!(forced["spec"]["image"], "two");
}

#[tokio::test]
async fn apply_refuses_what_makes_no_sense() {
    let bench = Bench::new().await;
    let with = |change: fn(&mut Value)| {
        let mut body = widget("a", "one");
        change(&mut body);
        body
    };
    for (body, code) in [
        (with(|body| body["metadata"]["managedFields"] = json!([{}])), 400),
        (with(|body| body["apiVersion"] = "example.dev/v2".into()), 400),
        (with(|body| body["spec"]["unknown"] = 1.into()), 400),
        (with(|body| body["metadata"]["uid"] = "someone".into()), 409),
        (with(|body| body["spec"]["replicas"] = 11.into()), 422),
    ] {
        assert_eq!(refused(apply(&bench, "one", body.clone(), false).await).0, code, "{body}");
    }
    assert_eq!(refused(apply(&bench, "", widget("a", "one"), false).await).0, 422);
    apply(&bench, "one", widget("a", "one"), false).await.unwrap();
    let stale = with(|body| body["metadata"]["resourceVersion"] = "1".into());
    assert_eq!(refused(apply(&bench, "one", stale, false).await).0, 409);
}

#[tokio::test]
async fn status_is_applied_at_its_own_door() {
    let bench = Bench::new().await;
    let mut body = widget("a", "one");
    body["status"] = json!({"phase": "Ready"});
    let main = apply(&bench, "one", body.clone(), false).await.unwrap().object;
    assert_eq!(main.get("status"), None);
    body["spec"]["image"] = "two".into();
    let patch = Patch::Apply(document(body));
    let status =
        seen(bench.registry.patch(&bench.widgets(), "a", Part::Status, patch, &by("two")).await).unwrap().object;
    assert_eq!((&status["status"]["phase"], &status["spec"]["image"]), (&json!("Ready"), &json!("one")));
    let again = apply(&bench, "one", widget("a", "three"), false).await.unwrap().object;
    assert_eq!((&again["status"]["phase"], &again["spec"]["image"]), (&json!("Ready"), &json!("three")));
}

#[tokio::test]
async fn scale_is_applied_too() {
    let bench = Bench::new().await;
    apply(&bench, "one", widget("a", "one"), false).await.unwrap();
    let scale =
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, "spec": {"replicas": 4}});
    let patch = Patch::Apply(document(scale));
    let written = seen(bench.registry.patch(&bench.widgets(), "a", Part::Scale, patch, &by("scaler")).await).unwrap();
    assert_eq!((&written.object["kind"], &written.object["spec"]["replicas"]), (&json!("Scale"), &json!(4)));
    assert_eq!(bench.get(&bench.widgets(), "a").await.unwrap()["spec"]["replicas"], 4);
}

#[tokio::test]
async fn kubectl_moves_from_client_side_to_server_side_apply() {
    let bench = Bench::new().await;
    let mut body = widget("a", "one");
    let last = body.to_string();
    body["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    seen(bench.registry.create(&bench.widgets(), document(body), &by("kubectl-client-side-apply")).await).unwrap();
    let moved = apply(&bench, "kubectl", widget("a", "two"), false).await.unwrap().object;
    assert_eq!(moved["spec"]["image"], "two");
}
