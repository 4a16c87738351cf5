//! Validating webhooks, asked over TLS on loopback about requests of a real client.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]

mod asked;
mod failures;
mod kind;

use std::sync::{Arc, Mutex};

use axum::Router;
use essaim_apiserver::Options;
use http::Response;
use serde_json::{Value, json};

use crate::hook::{Hook, Reply};
use crate::support::{Fixture, clock, json_of, send};
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const WIDGETS: &str = "/apis/toys.test/v1/namespaces/default/widgets";
const NAME: &str = "sizes.toys.test";

/// A server, a webhook, and what the webhook was asked.
struct Site {
    fixture: Fixture,
    hook: Hook,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Site {
    /// The webhook gives these fields of a response for each request, besides the right uid.
    async fn answering(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        Self::replying(move |review| {
            let mut response = answer(&review["request"]);
            response["uid"] = review["request"]["uid"].clone();
            Reply::Json(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
        })
        .await
    }

    /// The webhook does anything.
    async fn replying(reply: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(Options::new(clock()), reply).await
    }

    async fn with(options: Options, reply: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        let hook = Hook::start(move |path, review| {
            assert!(path.starts_with("/ask?timeout="), "{path}");
            notes.lock().unwrap().push(review["request"].clone());
            reply(review)
        })
        .await;
        Self { fixture: Fixture::with(options).await, hook, asked }
    }

    /// Puts the webhook to work for every operation on widgets, unless `fields` say otherwise.
    async fn configure(&self, fields: Value) {
        let (status, answer) = self.try_configure(fields).await;
        assert_eq!(status, 201, "{answer}");
    }

    async fn try_configure(&self, fields: Value) -> (u16, Value) {
        let mut webhook = json!({
            "name": NAME, "clientConfig": self.hook.config(), "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "rules": [{"operations": ["*"], "apiGroups": ["toys.test"], "apiVersions": ["*"], "resources": ["widgets", "widgets/*"]}],
        });
        webhook.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let configuration = json!({"metadata": {"name": "site"}, "webhooks": [webhook]});
        json_of(send(self.root(), "POST", CONFIGURATIONS, &[], configuration.to_string()).await).await
    }

    fn root(&self) -> Router {
        self.fixture.router()
    }

    async fn create(&self, name: &str) -> (u16, Value) {
        json_of(self.post(&widget(name)).await).await
    }

    async fn post(&self, widget: &Value) -> Response<axum::body::Body> {
        send(self.root(), "POST", WIDGETS, &[], widget.to_string()).await
    }

    async fn merge(&self, path: &str, patch: &Value) -> (u16, Value) {
        let headers = [("content-type", "application/merge-patch+json")];
        json_of(send(self.root(), "PATCH", path, &headers, patch.to_string()).await).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        json_of(send(self.root(), "DELETE", path, &[], String::new()).await).await
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn widget(name: &str) -> Value {
    json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"color": "red", "size": 1}})
}

fn allow(_: &Value) -> Value {
    json!({"allowed": true})
}

/// The texts of the warnings of an answer.
fn warnings(response: &Response<axum::body::Body>) -> Vec<String> {
    let headers = response.headers().get_all("warning").iter();
    headers.map(|value| value.to_str().unwrap().trim_start_matches("299 - ").trim_matches('"').to_owned()).collect()
}
