//! A server with one toy kind, and ways to talk to it.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]

use std::sync::Arc;

use axum::{Router, body::Body};
use essaim_apiserver::{ApiServer, Clock, Options, UserInfo};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use k8s_openapi as _;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ObjectMeta},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A server in a temporary directory.
pub(crate) struct Fixture {
    pub(crate) server: ApiServer,
    pub(crate) data: tempfile::TempDir,
}

#[expect(clippy::disallowed_methods, reason = "tests of a server that runs in real time")]
pub(crate) fn clock() -> Clock {
    Arc::new(Timestamp::now)
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::with(Options::new(clock())).await
    }

    /// The toy kind is there besides what the options say.
    pub(crate) async fn with(mut options: Options) -> Self {
        options.bootstrap_manifests.push(widgets());
        let data = tempfile::tempdir().unwrap();
        let server = ApiServer::start(store(data.path()), options).await.unwrap();
        Self { server, data }
    }

    /// A router for somebody who may do everything.
    pub(crate) fn router(&self) -> Router {
        self.server.in_process(UserInfo::new("root", ["system:masters"]))
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.router(), "default")
    }

    pub(crate) fn widgets(&self) -> Api<DynamicObject> {
        Api::default_namespaced_with(self.client(), &resource())
    }
}

pub(crate) fn store(directory: &std::path::Path) -> Arc<dyn essaim_store::Store> {
    essaim_store::Embedded::open(directory.join("store.redb"), essaim_store::Options::default()).unwrap()
}

pub(crate) fn resource() -> ApiResource {
    ApiResource {
        group: "toys.test".into(),
        version: "v1".into(),
        api_version: "toys.test/v1".into(),
        kind: "Widget".into(),
        plural: "widgets".into(),
    }
}

/// A kind with everything that the wire has to show: status, scale, columns, a short name.
pub(crate) fn widgets() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.toys.test"},
        "spec": {
            "group": "toys.test", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wg"], "categories": ["all"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                },
                "additionalPrinterColumns": [
                    {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object", "description": "A thing to play with.",
                    "properties": {
                        "spec": {"type": "object", "description": "What it should be.", "properties": {
                            "color": {"type": "string", "description": "Its color.", "enum": ["red", "green", "blue"]},
                            "size": {"type": "integer", "minimum": 0},
                            "tags": {"type": "array", "items": {"type": "string"}},
                        }},
                        "status": {"type": "object", "properties": {
                            "size": {"type": "integer"},
                            "conditions": {"type": "array", "items": {"type": "object", "properties": {
                                "type": {"type": "string"}, "status": {"type": "string"},
                            }}},
                        }},
                    },
                }},
            }],
        },
    })
}

pub(crate) fn widget(name: &str, color: &str) -> DynamicObject {
    let metadata = ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
    let mut widget = DynamicObject::new(name, &resource()).data(json!({"spec": {"color": color}}));
    widget.metadata = metadata;
    widget
}

/// Sends a request by hand.
pub(crate) async fn send(
    router: Router,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.oneshot(request.body(body.into()).unwrap()).await.unwrap()
}

/// The status code and the body as JSON; null if it is none.
pub(crate) async fn json_of(response: Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub(crate) async fn get(router: Router, uri: &str) -> (u16, Value) {
    json_of(send(router, "GET", uri, &[], Body::empty()).await).await
}
