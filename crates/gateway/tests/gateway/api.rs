//! An API that knows what the gateway asks: NotebookServers with a watch, token and access reviews, namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{StreamExt as _, stream};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::broadcast;

#[derive(Clone)]
pub(crate) struct FakeApi(Arc<Inner>);

struct Inner {
    servers: Mutex<BTreeMap<(String, String), Value>>,
    namespaces: Mutex<BTreeSet<String>>,
    events: broadcast::Sender<Option<Value>>,
    reviews: AtomicUsize,
    patches: Mutex<Vec<(String, Value)>>,
}

impl FakeApi {
    pub(crate) fn new() -> Self {
        let (events, _) = broadcast::channel(64);
        Self(Arc::new(Inner {
            servers: Mutex::default(),
            namespaces: Mutex::default(),
            events,
            reviews: AtomicUsize::new(0),
            patches: Mutex::default(),
        }))
    }

    pub(crate) fn client(&self) -> kube::Client {
        let router = Router::new()
            .route("/apis/essaim.dev/v1alpha1/notebookservers", get(list_or_watch))
            .route("/apis/essaim.dev/v1alpha1/namespaces/{namespace}/notebookservers/{name}", axum::routing::patch(patch))
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review_token))
            .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(review_right))
            .route("/api/v1/namespaces", post(make_namespace))
            .with_state(self.clone());
        kube::Client::new(router, "default")
    }

    /// Writes a server and tells the watchers.
    pub(crate) fn put(&self, namespace: &str, name: &str, suspend: bool, status: &Value) {
        let object = json!({
            "apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServer",
            "metadata": {"namespace": namespace, "name": name, "uid": format!("uid-{namespace}-{name}"), "resourceVersion": "7", "generation": 1},
            "spec": {"class": "standard", "suspend": suspend}, "status": status,
        });
        self.0.servers.lock().unwrap().insert((namespace.to_owned(), name.to_owned()), object.clone());
        let _ = self.0.events.send(Some(json!({"type": "MODIFIED", "object": object})));
    }

    /// Ends all watches, as a restart of the API does.
    pub(crate) fn restart(&self) {
        let _ = self.0.events.send(None);
    }

    pub(crate) fn reviews(&self) -> usize {
        self.0.reviews.load(Ordering::Relaxed)
    }

    pub(crate) fn namespaces(&self) -> Vec<String> {
        self.0.namespaces.lock().unwrap().iter().cloned().collect()
    }

    pub(crate) fn patches(&self) -> Vec<(String, Value)> {
        self.0.patches.lock().unwrap().clone()
    }
}

/// A status whose Ready condition says this.
pub(crate) fn ready(status: &str, reason: &str, message: &str, address: Option<&str>) -> Value {
    json!({
        "conditions": [condition("Ready", status, reason, message)],
        "addresses": {"host": address, "overlay": "192.0.2.255:9"},
    })
}

pub(crate) fn suspended(reason: &str, message: &str) -> Value {
    json!({"conditions": [condition("Suspended", "True", reason, message)]})
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": 1,
           "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

async fn list_or_watch(State(FakeApi(api)): State<FakeApi>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    if query.get("watch").is_some_and(|watch| watch == "true" || watch == "1") {
        let events = stream::unfold(api.events.subscribe(), async |mut events| {
            let event = events.recv().await.ok()??;
            Some((Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n"))), events))
        });
        return Body::from_stream(events.boxed()).into_response();
    }
    let items: Vec<Value> = api.servers.lock().unwrap().values().cloned().collect();
    let list = json!({"apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServerList", "metadata": {"resourceVersion": "7"}, "items": items});
    Json(list).into_response()
}

async fn patch(
    State(FakeApi(api)): State<FakeApi>,
    Path((namespace, name)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    api.patches.lock().unwrap().push((format!("{namespace}/{name}"), serde_json::from_slice(&body).unwrap()));
    Json(api.servers.lock().unwrap()[&(namespace, name)].clone()).into_response()
}

/// The token `token-of-X` is X's.
async fn review_token(State(FakeApi(api)): State<FakeApi>, Json(mut review): Json<Value>) -> Json<Value> {
    api.reviews.fetch_add(1, Ordering::Relaxed);
    let token = review["spec"]["token"].as_str().unwrap_or_default();
    review["status"] = match token.strip_prefix("token-of-") {
        Some(login) => json!({"authenticated": true, "user": {"username": login, "groups": ["physics", "system:authenticated"]}}),
        None => json!({"authenticated": false}),
    };
    Json(review)
}

/// Everybody may do everything with NotebookServers in the namespace that bears the login. A teacher may look at alice's.
async fn review_right(State(FakeApi(api)): State<FakeApi>, Json(mut review): Json<Value>) -> Json<Value> {
    api.reviews.fetch_add(1, Ordering::Relaxed);
    let spec = &review["spec"];
    let asked = &spec["resourceAttributes"];
    let own = spec["user"] == asked["namespace"];
    let teacher = spec["user"] == "teacher" && asked["namespace"] == "alice" && asked["subresource"] == "proxy";
    let known = asked["resource"] == "notebookservers" && asked["group"] == "essaim.dev";
    review["status"] = json!({"allowed": known && (own || teacher)});
    Json(review)
}

async fn make_namespace(State(FakeApi(api)): State<FakeApi>, Json(namespace): Json<Value>) -> Response {
    let name = namespace["metadata"]["name"].as_str().unwrap().to_owned();
    if api.namespaces.lock().unwrap().insert(name) {
        return (StatusCode::CREATED, Json(namespace)).into_response();
    }
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "AlreadyExists", "message": "exists", "code": 409});
    (StatusCode::CONFLICT, Json(status)).into_response()
}
