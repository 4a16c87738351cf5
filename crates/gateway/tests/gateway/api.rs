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
use tokio::sync::watch;

/// What happened; the revision is the number of events.
#[derive(Clone, Default)]
struct Log {
    events: Vec<Value>,
    /// Watches cannot start before this revision any more.
    compacted: usize,
    restarts: usize,
}

#[derive(Clone)]
pub(crate) struct FakeApi(Arc<Inner>);

struct Inner {
    servers: Mutex<BTreeMap<(String, String), Value>>,
    namespaces: Mutex<BTreeSet<String>>,
    log: watch::Sender<Log>,
    reviews: AtomicUsize,
    patches: Mutex<Vec<(String, Value)>>,
}

impl FakeApi {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            servers: Mutex::default(),
            namespaces: Mutex::default(),
            log: watch::Sender::default(),
            reviews: AtomicUsize::new(0),
            patches: Mutex::default(),
        }))
    }

    pub(crate) fn client(&self) -> kube::Client {
        let router = Router::new()
            .route("/apis/essaim.dev/v1alpha1/notebookservers", get(list_or_watch))
            .route(
                "/apis/essaim.dev/v1alpha1/namespaces/{namespace}/notebookservers/{name}",
                axum::routing::patch(patch),
            )
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review_token))
            .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(review_right))
            .route("/api/v1/namespaces", post(make_namespace))
            .with_state(self.clone());
        kube::Client::new(router, "default")
    }

    /// Writes a server and tells the watchers.
    pub(crate) fn put(&self, namespace: &str, name: &str, suspend: bool, status: &Value) {
        self.0.log.send_modify(|log| self.write(log, namespace, name, suspend, status));
    }

    /// Ends all watches, as a restart of the API does.
    pub(crate) fn restart(&self) {
        self.0.log.send_modify(|log| log.restarts += 1);
    }

    /// Writes a server, and restarts without any memory of what happened: who watched must list again.
    pub(crate) fn put_and_forget(&self, namespace: &str, name: &str, suspend: bool, status: &Value) {
        self.0.log.send_modify(|log| {
            self.write(log, namespace, name, suspend, status);
            log.compacted = log.events.len();
            log.restarts += 1;
        });
    }

    fn write(&self, log: &mut Log, namespace: &str, name: &str, suspend: bool, status: &Value) {
        let object = json!({
            "apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServer",
            "metadata": {"namespace": namespace, "name": name, "uid": format!("uid-{namespace}-{name}"), "generation": 1,
                         "resourceVersion": (log.events.len() + 1).to_string()},
            "spec": {"class": "standard", "suspend": suspend}, "status": status,
        });
        self.0.servers.lock().unwrap().insert((namespace.to_owned(), name.to_owned()), object.clone());
        log.events.push(json!({"type": "MODIFIED", "object": object}));
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
        return watch_from(query["resourceVersion"].parse().unwrap(), api.log.subscribe());
    }
    let revision = api.log.borrow().events.len().to_string();
    let items: Vec<Value> = api.servers.lock().unwrap().values().cloned().collect();
    let list = json!({"apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServerList", "metadata": {"resourceVersion": revision}, "items": items});
    Json(list).into_response()
}

fn watch_from(revision: usize, log: watch::Receiver<Log>) -> Response {
    let restarts = log.borrow().restarts;
    if revision < log.borrow().compacted {
        let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "message": "too old", "code": 410});
        return Json(json!({"type": "ERROR", "object": gone})).into_response();
    }
    let events = stream::unfold((revision, log), move |(revision, mut log)| async move {
        let news = log.wait_for(|log| log.restarts != restarts || log.events.len() > revision).await.ok()?.clone();
        let event = news.events.get(revision).filter(|_| news.restarts == restarts)?;
        Some((Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n"))), (revision + 1, log)))
    });
    Body::from_stream(events.boxed()).into_response()
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
        Some(login) => {
            json!({"authenticated": true, "user": {"username": login, "groups": ["physics", "system:authenticated"]}})
        }
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
