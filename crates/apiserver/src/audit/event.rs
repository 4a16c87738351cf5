//! One line of the audit log. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Trail;
use crate::auth::Target;

/// When in the life of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The head of the answer stands, and its body goes on for long.
    ResponseStarted,
    /// The answer stands.
    ResponseComplete,
}

/// What is to be written.
pub(super) struct Entry {
    pub(super) trail: Arc<Trail>,
    pub(super) stage: Stage,
    pub(super) code: u16,
    /// Empty if the request did not fail.
    pub(super) reason: &'static str,
    pub(super) at: Timestamp,
}

impl Entry {
    /// The `Event` of `audit.k8s.io/v1`.
    pub(super) fn to_event(&self) -> Value {
        let trail = &*self.trail;
        let stage = match self.stage {
            Stage::ResponseStarted => "ResponseStarted",
            Stage::ResponseComplete => "ResponseComplete",
        };
        let mut status = json!({"metadata": {}, "code": self.code});
        if !self.reason.is_empty() {
            status["status"] = "Failure".into();
            status["reason"] = self.reason.into();
        }
        let verb = trail.what.get().map_or(&trail.method, |what| &what.verb);
        let mut event = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": trail.id, "stage": stage,
            "requestURI": trail.uri, "verb": verb, "user": {}, "sourceIPs": trail.source.iter().collect::<Vec<_>>(),
            "responseStatus": status, "requestReceivedTimestamp": micros(trail.received), "stageTimestamp": micros(self.at),
        });
        if !trail.agent.is_empty() {
            event["userAgent"] = trail.agent.as_str().into();
        }
        if let Some((user, other)) = trail.who.get() {
            event["user"] = json!(user);
            if let Some(other) = other {
                event["impersonatedUser"] = json!(other);
            }
        }
        if let Some(object) = object_ref(trail) {
            event["objectRef"] = object;
        }
        if let Some(allowed) = trail.allowed.get() {
            let decision = if *allowed { "allow" } else { "forbid" };
            event["annotations"] = json!({"authorization.k8s.io/decision": decision});
        }
        event
    }
}

fn object_ref(trail: &Trail) -> Option<Value> {
    let what = trail.what.get()?;
    let Target::Resource { group, resource, subresource, name } = &what.target else { return None };
    let name = if name.is_empty() { trail.name.get().map_or("", String::as_str) } else { name };
    let version = trail.version.get().map_or("", String::as_str);
    let fields = [
        ("resource", resource.as_str()),
        ("namespace", &what.namespace),
        ("name", name),
        ("apiGroup", group),
        ("apiVersion", version),
        ("subresource", subresource),
    ];
    let fields = fields.into_iter().filter(|(_, text)| !text.is_empty());
    Some(Value::Object(fields.map(|(key, text)| (key.to_owned(), text.into())).collect::<Map<_, _>>()))
}

fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
