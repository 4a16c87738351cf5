//! The patch types, status and scale.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{Fixture, json_of, send, widget};

const ONE: &str = "/apis/toys.test/v1/namespaces/default/widgets/one";

#[tokio::test]
async fn json_merge_and_apply_patches_change_the_object() {
    let fixture = Fixture::start().await;
    let widgets = fixture.widgets();
    let apply = json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"color": "red", "size": 1}});
    let made = widgets.patch("one", &PatchParams::apply("tester"), &Patch::Apply(&apply)).await.unwrap();
    let again = widgets.patch("one", &PatchParams::apply("tester"), &Patch::Apply(&apply)).await.unwrap();
    assert_eq!(
        made.metadata.resource_version, again.metadata.resource_version,
        "an apply that changes nothing writes nothing"
    );

    let merged =
        widgets.patch("one", &PatchParams::default(), &Patch::Merge(json!({"spec": {"size": null}}))).await.unwrap();
    assert_eq!(merged.data["spec"], json!({"color": "red"}));

    let operations =
        serde_json::from_value(json!([{"op": "replace", "path": "/spec/color", "value": "blue"}])).unwrap();
    let patched = widgets.patch("one", &PatchParams::default(), &Patch::Json::<()>(operations)).await.unwrap();
    assert_eq!(patched.data["spec"]["color"], "blue");

    let conflict = widgets.patch("one", &PatchParams::apply("other"), &Patch::Apply(&apply)).await.unwrap_err();
    assert!(matches!(&conflict, kube::Error::Api(status) if status.code == 409), "{conflict}");
}

#[tokio::test]
async fn a_failed_test_and_a_strategic_patch_are_refused() {
    let fixture = Fixture::start().await;
    fixture.widgets().create(&PostParams::default(), &widget("one", "red")).await.unwrap();
    let test = r#"[{"op": "test", "path": "/spec/color", "value": "green"}]"#;
    let response = send(fixture.router(), "PATCH", ONE, &[("content-type", "application/json-patch+json")], test).await;
    assert_eq!(response.status(), 422);
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    let (status, body) = json_of(send(fixture.router(), "PATCH", ONE, &strategic, "{}").await).await;
    assert_eq!(status, 415);
    assert!(body["message"].as_str().unwrap().contains("application/apply-patch+yaml"));
    let apply = [("content-type", "application/apply-patch+yaml")];
    assert_eq!(send(fixture.router(), "PATCH", ONE, &apply, "{}").await.status(), 422, "apply needs a field manager");
}

#[tokio::test]
async fn status_and_scale_are_apart() {
    let fixture = Fixture::start().await;
    let widgets = fixture.widgets();
    let mut one = widget("one", "red");
    one.data["spec"]["size"] = 1.into();
    widgets.create(&PostParams::default(), &one).await.unwrap();
    let status = json!({"status": {"size": 3}, "spec": {"color": "blue"}});
    let patched = widgets.patch_status("one", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    assert_eq!((&patched.data["status"]["size"], &patched.data["spec"]["color"]), (&json!(3), &json!("red")));
    assert_eq!(patched.metadata.generation, Some(1));
    let scaled = widgets
        .patch_scale("one", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 5}})))
        .await
        .unwrap();
    assert_eq!(scaled.spec.and_then(|spec| spec.replicas), Some(5));
    assert_eq!(widgets.get("one").await.unwrap().data["spec"]["size"], 5);
}

#[tokio::test]
async fn a_whole_number_written_as_a_float_changes_nothing() {
    let fixture = Fixture::start().await;
    let widgets = fixture.widgets();
    let mut one = widget("one", "red");
    one.data["spec"]["size"] = 3.into();
    let made = widgets.create(&PostParams::default(), &one).await.unwrap();
    let merge = [("content-type", "application/merge-patch+json")];
    let (code, patched) =
        json_of(send(fixture.router(), "PATCH", ONE, &merge, r#"{"spec": {"size": 3.0}}"#).await).await;
    assert_eq!((code, &patched["spec"]["size"], &patched["metadata"]["generation"]), (200, &json!(3), &json!(1)));
    assert_eq!(patched["metadata"]["resourceVersion"].as_str(), made.metadata.resource_version.as_deref());
    send(fixture.router(), "PATCH", ONE, &merge, r#"{"spec": {"size": 2e3}}"#).await;
    let scale = widgets.get_scale("one").await.unwrap();
    assert_eq!(scale.spec.and_then(|spec| spec.replicas), Some(2000));
}
