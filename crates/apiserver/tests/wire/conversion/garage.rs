//! A kind with two versions of different shape, and the webhook that knows both.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::body::Body;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::hook::{Hook, Reply};
use crate::support::{Fixture, SOON, get, json_of, send};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// What the webhook does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Honest,
    Dead,
    WrongUid,
    WrongCount,
    Renames,
    WrongVersion,
    Refuses,
    Mumbles,
    /// Changes metadata that is not its own, and adds what the schema does not know.
    Meddles,
}

struct State {
    mood: Mutex<Mood>,
    questions: AtomicUsize,
    largest: AtomicUsize,
}

/// A server that serves gates.
pub(super) struct Garage {
    fixture: Fixture,
    hook: Hook,
    state: Arc<State>,
}

/// A watch, event by event.
pub(super) struct Watching {
    body: Body,
    text: Vec<u8>,
}

impl Garage {
    /// Gates are stored in this version.
    pub(super) async fn open(storage: &str) -> Self {
        let garage = Self::without_webhook().await;
        garage.take_webhook().await;
        garage.store_in(storage).await;
        garage
    }

    /// Stored in the second version; nobody converts.
    pub(super) async fn without_webhook() -> Self {
        let (questions, largest) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let state = Arc::new(State { mood: Mutex::new(Mood::Honest), questions, largest });
        let asked = state.clone();
        let hook = Hook::start(move |_, review| asked.answer(review)).await;
        let garage = Self { fixture: Fixture::start().await, hook, state };
        let made = send(garage.fixture.router(), "POST", DEFINITIONS, &[], definition().to_string()).await;
        let (code, made) = json_of(made).await;
        assert_eq!(code, 201, "{made}");
        garage
    }

    pub(super) async fn take_webhook(&self) {
        let webhook = json!({"conversionReviewVersions": ["v1"], "clientConfig": self.hook.config()});
        let conversion = json!({"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}});
        let (code, changed) = self.change_definition(conversion).await;
        assert_eq!(code, 200, "{changed}");
    }

    pub(super) async fn store_in(&self, storage: &str) {
        let mut versions = definition()["spec"]["versions"].clone();
        for version in versions.as_array_mut().unwrap() {
            version["storage"] = (version["name"] == storage).into();
        }
        let (code, changed) = self.change_definition(json!({"spec": {"versions": versions}})).await;
        assert_eq!(code, 200, "{changed}");
    }

    pub(super) async fn change_definition(&self, patch: Value) -> (u16, Value) {
        let path = format!("{DEFINITIONS}/gates.garage.test");
        let headers = [("content-type", "application/merge-patch+json")];
        json_of(send(self.fixture.router(), "PATCH", &path, &headers, patch.to_string()).await).await
    }

    /// Returns when it and all gates are gone.
    pub(super) async fn remove_definition(&self) {
        let path = format!("{DEFINITIONS}/gates.garage.test");
        send(self.fixture.router(), "DELETE", &path, &[], Body::empty()).await;
        self.until_404(&path).await;
    }

    pub(super) fn is(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// How many were asked.
    pub(super) fn questions(&self) -> usize {
        self.state.questions.load(Ordering::SeqCst)
    }

    /// How many objects the largest of them held.
    pub(super) fn largest(&self) -> usize {
        self.state.largest.load(Ordering::SeqCst)
    }

    pub(super) async fn get(&self, version: &str, name: &str) -> (u16, Value) {
        get(self.fixture.router(), &path(version, &format!("/{name}"))).await
    }

    pub(super) async fn list(&self, version: &str, query: &str) -> (u16, Value) {
        get(self.fixture.router(), &path(version, &format!("?{query}"))).await
    }

    pub(super) async fn post(&self, version: &str, object: Value) -> (u16, Value) {
        self.send("POST", version, "", "application/json", object).await
    }

    pub(super) async fn put(&self, version: &str, name: &str, object: Value) -> (u16, Value) {
        self.send("PUT", version, &format!("/{name}"), "application/json", object).await
    }

    pub(super) async fn patch(&self, version: &str, name: &str, kind: &str, patch: Value) -> (u16, Value) {
        self.send("PATCH", version, &format!("/{name}"), kind, patch).await
    }

    pub(super) async fn delete(&self, version: &str, name: &str) -> (u16, Value) {
        self.send("DELETE", version, &format!("/{name}"), "application/json", json!({})).await
    }

    pub(super) async fn send(&self, method: &str, version: &str, rest: &str, kind: &str, body: Value) -> (u16, Value) {
        let headers = [("content-type", kind)];
        json_of(send(self.fixture.router(), method, &path(version, rest), &headers, body.to_string()).await).await
    }

    pub(super) async fn as_table(&self, version: &str) -> Value {
        let headers = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
        json_of(send(self.fixture.router(), "GET", &path(version, ""), &headers, Body::empty()).await).await.1
    }

    /// From now on.
    pub(super) async fn watch(&self, version: &str, query: &str) -> Watching {
        let now = self.list("v2", "limit=1").await.1["metadata"]["resourceVersion"].clone();
        let now = now.as_str().map(|now| format!("resourceVersion={now}")).unwrap();
        let path = path(version, &format!("?watch=1&timeoutSeconds=600&{now}&{query}"));
        let response = send(self.fixture.router(), "GET", &path, &[], Body::empty()).await;
        assert_eq!(response.status(), 200);
        Watching { body: response.into_body(), text: Vec::new() }
    }

    pub(super) async fn until_gone(&self, version: &str, name: &str) {
        self.until_404(&path(version, &format!("/{name}"))).await;
    }

    async fn until_404(&self, path: &str) {
        let gone = async {
            while get(self.fixture.router(), path).await.0 != 404 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, gone).await.unwrap();
    }
}

impl Watching {
    pub(super) async fn next(&mut self) -> Value {
        tokio::time::timeout(SOON, self.line()).await.unwrap().unwrap()
    }

    pub(super) async fn ended(mut self) -> bool {
        tokio::time::timeout(SOON, self.line()).await.unwrap().is_none()
    }

    async fn line(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            self.text.extend_from_slice(&frame.into_data().unwrap());
        }
    }
}

impl State {
    fn answer(&self, review: &Value) -> Reply {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let request = &review["request"];
        let objects = request["objects"].as_array().unwrap();
        self.largest.fetch_max(objects.len(), Ordering::SeqCst);
        assert_eq!(
            (&review["kind"], &review["apiVersion"]),
            (&json!("ConversionReview"), &json!("apiextensions.k8s.io/v1"))
        );
        let wanted = request["desiredAPIVersion"].as_str().unwrap();
        let mut converted: Vec<Value> = objects.iter().map(|object| convert(object, wanted)).collect();
        let mut response = json!({"uid": request["uid"], "result": {"status": "Success"}});
        match *self.mood.lock().unwrap() {
            Mood::Honest => {}
            Mood::Dead => return Reply::HangUp,
            Mood::WrongUid => response["uid"] = "other".into(),
            Mood::WrongCount => converted.push(converted[0].clone()),
            Mood::Renames => converted[0]["metadata"]["name"] = "liar".into(),
            Mood::WrongVersion => converted[0]["apiVersion"] = "garage.test/v3".into(),
            Mood::Refuses => response["result"] = json!({"status": "Failure", "message": "not today"}),
            Mood::Mumbles => response = Value::Null,
            Mood::Meddles => {
                converted[0]["spec"]["surprise"] = true.into();
                let metadata = converted[0]["metadata"].as_object_mut().unwrap();
                metadata.insert("labels".into(), json!({"by": "webhook"}));
                metadata.insert("finalizers".into(), json!(["garage.test/never"]));
                metadata.insert("generation".into(), 77.into());
                metadata.remove("creationTimestamp");
                metadata.remove("managedFields");
            }
        }
        if response.is_object() {
            response["convertedObjects"] = converted.into();
        }
        Reply::Json(json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response}))
    }
}

/// One field of the first version is two of the second; two others have other names.
fn convert(object: &Value, wanted: &str) -> Value {
    let mut converted = object.clone();
    converted["apiVersion"] = wanted.into();
    assert_ne!(object["apiVersion"], wanted, "nobody asks for what is there");
    let Some(spec) = converted["spec"].as_object_mut() else { return converted };
    if wanted == "garage.test/v2" {
        if let Some(Value::String(both)) = spec.remove("hostPort") {
            let (host, port) = both.split_once(':').unwrap_or((&both, "0"));
            spec.insert("host".into(), host.into());
            spec.insert("port".into(), port.parse::<u16>().unwrap_or_default().into());
        }
        rename(spec, "replicas", "size");
        if let Some(open) = object["status"]["open"].as_bool() {
            converted["status"] = json!({"state": if open { "open" } else { "closed" }});
        }
        return converted;
    }
    let (host, port) = (spec.remove("host"), spec.remove("port"));
    if host.is_some() || port.is_some() {
        let host = host.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let port = port.as_ref().and_then(Value::as_u64).unwrap_or_default();
        spec.insert("hostPort".into(), format!("{host}:{port}").into());
    }
    rename(spec, "size", "replicas");
    if let Some(state) = object["status"]["state"].as_str() {
        converted["status"] = json!({"open": state == "open"});
    }
    converted
}

fn rename(map: &mut serde_json::Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = map.remove(from) {
        map.insert(to.into(), value);
    }
}

fn path(version: &str, rest: &str) -> String {
    format!("/apis/garage.test/{version}/namespaces/default/gates{rest}")
}

/// A gate of the first version.
pub(super) fn gate(name: &str, host_port: &str) -> Value {
    json!({
        "apiVersion": "garage.test/v1", "kind": "Gate", "metadata": {"name": name}, "spec": {"hostPort": host_port, "replicas": 2},
    })
}

/// A gate of the second version.
pub(super) fn gate_v2(name: &str, host: &str, port: u16) -> Value {
    json!({
        "apiVersion": "garage.test/v2", "kind": "Gate", "metadata": {"name": name}, "spec": {"host": host, "port": port, "size": 2},
    })
}

fn definition() -> Value {
    let version = |name: &str, spec: Value, status: Value, replicas: &str, selectable: &[&str]| {
        let fields: Vec<_> = selectable.iter().map(|field| json!({"jsonPath": format!(".spec.{field}")})).collect();
        let columns = selectable.iter().map(|field| {
            let kind = spec[field]["type"].clone();
            json!({"name": field, "type": kind, "jsonPath": format!(".spec.{field}")})
        });
        let columns: Vec<_> = columns.collect();
        json!({
            "name": name, "served": true, "storage": name == "v2",
            "selectableFields": fields, "additionalPrinterColumns": columns,
            "subresources": {"status": {}, "scale": {
                "specReplicasPath": format!(".spec.{replicas}"), "statusReplicasPath": ".status.replicas",
            }},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": spec},
                "status": {"type": "object", "properties": status},
            }}},
        })
    };
    let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
    let first = json!({"hostPort": text, "replicas": number, "color": text, "note": text});
    let second = json!({
        "host": text, "port": number, "size": number, "color": {"type": "string", "default": "grey"}, "note": text,
    });
    let versions = [
        version("v1", first, json!({"open": {"type": "boolean"}, "replicas": number}), "replicas", &["hostPort"]),
        version("v2", second, json!({"state": text, "replicas": number}), "size", &["host", "port"]),
    ];
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gates.garage.test"},
        "spec": {
            "group": "garage.test", "scope": "Namespaced", "names": {"plural": "gates", "kind": "Gate"}, "versions": versions,
        },
    })
}
