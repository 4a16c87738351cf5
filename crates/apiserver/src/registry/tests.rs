//! Behaviour of the registry over a real store, with a toy kind.

mod apply;
mod definitions;
mod deletions;
mod garbage;
mod kinds;
mod lists;
mod namespaces;
mod quotas;
mod races;
mod updates;
mod watches;
mod writes;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use essaim_store::{Embedded, Store};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Admission, AdmissionRequest, Admitted, DeleteOptions, Deleted, Document, FieldValidation, List, ListOptions, Part,
    Patch, Quota, Registry, Scope, Selectors, WatchEvent, WatchOptions, WatchStream, WriteOptions, Written,
};
use crate::{
    ApiError, UserInfo,
    wire::{FieldSelector, LabelSelector},
};

/// A registry over a new store, with the namespace `ns` and the kinds Widget (two versions) and Gadget (cluster-scoped).
struct Bench {
    registry: Arc<Registry>,
    now: Arc<Mutex<Timestamp>>,
    tasks: JoinSet<()>,
    /// Goes last.
    _directory: Option<tempfile::TempDir>,
}

const START: &str = "2026-01-01T00:00:00Z";

impl Bench {
    async fn new() -> Self {
        Self::with(Vec::new()).await
    }

    async fn with(admission: Vec<Arc<dyn Admission>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path().join("store"), essaim_store::Options::default()).unwrap();
        Self { _directory: Some(directory), ..Self::over(store, admission, Vec::new()).await }
    }

    /// Over a store that may have all of this already.
    async fn over(store: Arc<dyn Store>, admission: Vec<Arc<dyn Admission>>, quotas: Vec<Arc<dyn Quota>>) -> Self {
        let now = Arc::new(Mutex::new(START.parse::<Timestamp>().unwrap()));
        let clock = now.clone();
        let registry = Registry::new(store, Arc::new(move || *clock.lock().unwrap()), admission).with_quotas(quotas);
        let registry = Arc::new(registry);
        registry.open().await.unwrap();
        let bench = Self { registry, now, tasks: JoinSet::new(), _directory: None };
        let namespace = json!({"metadata": {"name": "ns"}});
        for (scope, object) in [
            (bench.definitions(), widget_definition()),
            (bench.definitions(), gadget_definition()),
            (bench.scope("", "v1", "namespaces", None), namespace),
        ] {
            match bench.create(&scope, object).await {
                Err(error) if error.reason != "AlreadyExists" => panic!("{error}"),
                _ => {}
            }
        }
        bench
    }

    /// Starts the registry's own tasks.
    fn run(&mut self) {
        self.registry.spawn_tasks(&mut self.tasks, &CancellationToken::new());
    }

    fn pass(&self, seconds: i64) {
        *self.now.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    fn scope(&self, group: &str, version: &str, plural: &str, namespace: Option<&str>) -> Scope {
        let resource = self.registry.catalogue.find(group, version, plural).unwrap();
        Scope { resource, namespace: namespace.map(str::to_owned) }
    }

    fn definitions(&self) -> Scope {
        self.scope("apiextensions.k8s.io", "v1", "customresourcedefinitions", None)
    }

    fn widgets(&self) -> Scope {
        self.scope("example.dev", "v1", "widgets", Some("ns"))
    }

    fn gadgets(&self) -> Scope {
        self.scope("example.dev", "v1", "gadgets", None)
    }

    fn maps(&self) -> Scope {
        self.scope("", "v1", "configmaps", Some("ns"))
    }

    async fn create(&self, scope: &Scope, value: Value) -> Result<Seen, ApiError> {
        seen(self.registry.create(scope, document(value), &by("tester")).await)
    }

    async fn update(&self, scope: &Scope, value: Value) -> Result<Seen, ApiError> {
        self.update_part(scope, Part::Main, value).await
    }

    async fn update_part(&self, scope: &Scope, part: Part, value: Value) -> Result<Seen, ApiError> {
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        seen(self.registry.update(scope, &name, part, document(value), &by("tester")).await)
    }

    async fn merge(&self, scope: &Scope, name: &str, value: Value) -> Result<Seen, ApiError> {
        seen(self.registry.patch(scope, name, Part::Main, Patch::Merge(document(value)), &by("tester")).await)
    }

    async fn get(&self, scope: &Scope, name: &str) -> Result<Arc<Value>, ApiError> {
        self.registry.get(scope, name, Part::Main).await?.value()
    }

    async fn delete(&self, scope: &Scope, name: &str) -> Result<Deleted, ApiError> {
        self.registry.delete(scope, name, &DeleteOptions::default()).await
    }

    async fn list(&self, scope: &Scope) -> List {
        self.registry.list(scope, ListOptions::default()).await.unwrap()
    }

    async fn watch(&self, scope: &Scope, options: WatchOptions) -> Events {
        Events { stream: self.registry.watch(scope, options).await.unwrap(), waiting: Vec::new().into_iter() }
    }

    /// Waits until the object is gone.
    async fn gone(&self, scope: &Scope, name: &str) {
        self.wait_until(async || self.get(scope, name).await.is_err_and(|error| error.code == 404)).await;
    }

    async fn wait_until(&self, holds: impl AsyncFn() -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("the condition did not come true");
    }
}

/// Does something to its end from within a rule, which cannot wait.
fn aside<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let runtime = tokio::runtime::Handle::current();
    std::thread::scope(|scope| scope.spawn(|| runtime.block_on(work)).join().unwrap())
}

/// The answer to a write, to be looked into.
#[derive(Debug)]
struct Seen {
    object: Arc<Value>,
    created: bool,
    warnings: Vec<String>,
}

fn seen(written: Result<Written, ApiError>) -> Result<Seen, ApiError> {
    let Written { object, created, warnings } = written?;
    Ok(Seen { object: object.value()?, created, warnings })
}

/// The objects of a list, to be looked into.
fn values(list: &List) -> Vec<Arc<Value>> {
    list.items.iter().map(|item| item.value().unwrap()).collect()
}

/// The events of a watch, one by one.
struct Events {
    stream: WatchStream,
    waiting: std::vec::IntoIter<WatchEvent>,
}

impl Events {
    async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.waiting.next() {
                return Some(event);
            }
            let batch = tokio::time::timeout(Duration::from_hours(3), self.stream.next()).await.expect("no event came");
            self.waiting = batch?.into_iter();
        }
    }

    /// The next event as a word: `ADDED a`, `BOOKMARK`, `ERROR 410`, `END`.
    async fn word(&mut self) -> String {
        match self.next().await {
            None => "END".into(),
            Some(WatchEvent::Object(kind, object)) => {
                format!("{kind} {}", object.value().unwrap()["metadata"]["name"].as_str().unwrap())
            }
            Some(WatchEvent::Bookmark(_, true)) => "BOOKMARK initial".into(),
            Some(WatchEvent::Bookmark(_, false)) => "BOOKMARK".into(),
            Some(WatchEvent::Error(error)) => format!("ERROR {}", error.code),
        }
    }

    async fn object(&mut self) -> (&'static str, Arc<Value>) {
        match self.next().await {
            Some(WatchEvent::Object(kind, object)) => (kind, object.value().unwrap()),
            other => panic!("no object: {other:?}"),
        }
    }
}

fn document(value: Value) -> Document {
    Document { value, duplicates: Vec::new() }
}

fn by(manager: &str) -> WriteOptions {
    let user = Some(Arc::new(UserInfo { name: "ada".into(), ..UserInfo::default() }));
    WriteOptions { field_manager: manager.into(), user, ..WriteOptions::default() }
}

fn strict() -> WriteOptions {
    WriteOptions { field_validation: FieldValidation::Strict, ..by("tester") }
}

fn dry() -> WriteOptions {
    WriteOptions { dry_run: true, ..by("tester") }
}

fn labels(text: &str) -> Selectors {
    Selectors { labels: LabelSelector::parse(text).unwrap(), ..Selectors::default() }
}

fn fields(text: &str) -> Selectors {
    Selectors { fields: FieldSelector::parse(text).unwrap(), ..Selectors::default() }
}

fn widget(name: &str, image: &str) -> Value {
    json!({"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"image": image}})
}

fn gadget(name: &str) -> Value {
    json!({"apiVersion": "example.dev/v1", "kind": "Gadget", "metadata": {"name": name}, "size": 1})
}

fn revision(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap()
}

/// The code and message of a refusal.
fn refused(outcome: Result<Seen, ApiError>) -> (u16, String) {
    let error = outcome.expect_err("the write should have been refused");
    (error.code, error.message)
}

fn widget_definition() -> Value {
    let schema = json!({"openAPIV3Schema": {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {"type": "string"},
                    "replicas": {"type": "integer", "default": 1, "minimum": 0},
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
                        "type": "object", "required": ["name"],
                        "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}},
                    }},
                },
                "x-kubernetes-validations": [{"rule": "self.replicas <= 10", "message": "at most ten"}],
            },
            "status": {"type": "object", "properties": {
                "phase": {"type": "string"}, "replicas": {"type": "integer"}, "selector": {"type": "string"},
            }},
        },
    }});
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "schema": schema,
            "selectableFields": [{"jsonPath": ".spec.image"}],
            "subresources": {"status": {}, "scale": {
                "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector",
            }},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.dev"},
        "spec": {
            "group": "example.dev", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [version("v1", true), version("v2", false)],
        },
    })
}

/// Without subresources: its status is a field like any other.
fn gadget_definition() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {
        "size": {"type": "integer"}, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "gadgets.example.dev"},
        "spec": {
            "group": "example.dev", "scope": "Cluster", "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
}
