//! Namespaces.

use super::*;
use crate::registry::Operation;

fn namespaces(bench: &Bench) -> Scope {
    bench.scope("", "v1", "namespaces", None)
}

#[tokio::test]
async fn a_namespace_is_made_complete() {
    let bench = Bench::new().await;
    let scope = namespaces(&bench);
    for name in ["default", "kube-system", "essaim-system", "ns"] {
        let namespace = bench.get(&scope, name).await.unwrap();
        assert_eq!(
            (&namespace["status"]["phase"], &namespace["spec"]["finalizers"]),
            (&json!("Active"), &json!(["kubernetes"]))
        );
        assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], name);
    }
    assert_eq!(refused(bench.create(&scope, json!({"metadata": {"name": "a.b"}})).await).0, 422);
    let emptied = bench
        .merge(&scope, "ns", json!({"spec": {"finalizers": []}, "metadata": {"labels": null}}))
        .await
        .unwrap()
        .object;
    assert_eq!(emptied["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(emptied["metadata"]["labels"]["kubernetes.io/metadata.name"], "ns");
}

#[tokio::test]
async fn objects_need_a_namespace() {
    let bench = Bench::new().await;
    let nowhere = Scope { namespace: Some("nowhere".into()), ..bench.widgets() };
    assert_eq!(
        refused(bench.create(&nowhere, widget("a", "x")).await),
        (404, "namespaces \"nowhere\" not found".into())
    );
}

#[tokio::test]
async fn the_first_namespaces_stay() {
    let bench = Bench::new().await;
    let error = bench.delete(&namespaces(&bench), "default").await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (403, "namespaces \"default\" is forbidden: this namespace may not be deleted")
    );
}

#[tokio::test]
async fn a_namespace_takes_its_contents_along() {
    let mut bench = Bench::new().await;
    bench.create(&bench.maps(), json!({"metadata": {"name": "m"}})).await.unwrap();
    let mut held = widget("a", "x");
    held["metadata"]["finalizers"] = json!(["example.dev/hold"]);
    bench.create(&bench.widgets(), held).await.unwrap();
    let Deleted::Pending(marked) = bench.delete(&namespaces(&bench), "ns").await.unwrap() else { panic!("too fast") };
    assert_eq!(marked.value().unwrap()["status"]["phase"], "Terminating");

    let late = bench.create(&bench.widgets(), widget("b", "x")).await.unwrap_err();
    assert_eq!((late.code, late.causes[0].reason.as_str()), (403, "NamespaceTerminating"));
    assert!(
        late.message.contains("unable to create new content in namespace ns because it is being terminated"),
        "{}",
        late.message
    );

    bench.run();
    bench.gone(&bench.maps(), "m").await;
    bench
        .wait_until(async || {
            let namespace = bench.get(&namespaces(&bench), "ns").await.unwrap();
            namespace["status"]["conditions"][0]["message"]
                .as_str()
                .is_some_and(|text| text.contains("example.dev/hold"))
        })
        .await;
    bench.merge(&bench.widgets(), "a", json!({"metadata": {"finalizers": null}})).await.unwrap();
    bench.gone(&namespaces(&bench), "ns").await;
    bench.create(&namespaces(&bench), json!({"metadata": {"name": "ns"}})).await.unwrap();
    bench.create(&bench.widgets(), widget("b", "x")).await.unwrap();
}

/// Lets no ConfigMap go.
struct Keeper;

impl Admission for Keeper {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
        let keeps = request.operation == Operation::Delete && request.kind == "ConfigMap";
        if keeps { Err(ApiError::forbidden("kept")) } else { Ok(Admitted::unchanged()) }
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_holds_up_nothing_else_and_is_named() {
    let mut bench = Bench::with(vec![Arc::new(Keeper)]).await;
    bench.create(&bench.maps(), json!({"metadata": {"name": "kept"}})).await.unwrap();
    bench.create(&bench.widgets(), widget("a", "x")).await.unwrap();
    bench.run();
    let namespaces = bench.scope("", "v1", "namespaces", None);
    bench.delete(&namespaces, "ns").await.unwrap();
    bench.gone(&bench.widgets(), "a").await;
    bench
        .wait_until(async || {
            let namespace = bench.get(&namespaces, "ns").await.unwrap();
            let conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|one| {
                one["type"] == "NamespaceDeletionContentFailure" && one["status"] == "True" && one["message"] == "kept"
            })
        })
        .await;
    bench.get(&bench.maps(), "kept").await.unwrap();
}
