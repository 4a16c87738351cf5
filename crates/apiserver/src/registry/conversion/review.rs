//! ConversionReview: what a webhook is asked, and what is believed of its answer.
//!
//! A webhook may change everything but which object it is: kind, name, namespace and uid must come back as they were. Of `metadata`
//! only labels and annotations count, the rest is that of the original.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::registry::{
    metadata, names,
    object::{meta, top},
};

const API_VERSION: &str = "apiextensions.k8s.io/v1";
const KIND: &str = "ConversionReview";

/// Objects and the version that they are wanted in.
pub(super) struct Question {
    uid: String,
    to: String,
    objects: Vec<Value>,
}

impl Question {
    pub(super) fn new(objects: Vec<Value>, to: &str) -> Self {
        Self { uid: Uuid::new_v4().to_string(), to: to.to_owned(), objects }
    }

    /// The document that is sent.
    pub(super) fn body(&self) -> Value {
        let request = json!({"uid": self.uid, "desiredAPIVersion": self.to, "objects": self.objects});
        json!({"kind": KIND, "apiVersion": API_VERSION, "request": request})
    }

    /// The converted objects, or what the client is to be told.
    pub(super) fn read(&self, mut answer: Value) -> Result<Vec<Value>, String> {
        let converted = self.objects_of(&mut answer).map_err(|why| self.failed(&why))?;
        if converted.len() != self.objects.len() {
            let (found, wanted) = (converted.len(), self.objects.len());
            return Err(self.said(&format!("returned {found} objects, expected {wanted}")));
        }
        let restored = self.objects.iter().zip(converted).enumerate().map(|(at, (original, converted))| {
            self.check(original, &converted)
                .map_err(|why| self.said(&format!("returned invalid converted object at index {at}: {why}")))?;
            restored(original, converted)
                .map_err(|why| self.said(&format!("returned invalid metadata in object at index {at}: {why}")))
        });
        restored.collect()
    }

    /// The message for a question that was not answered.
    pub(super) fn failed(&self, why: &str) -> String {
        self.said(&format!("failed: {why}"))
    }

    fn said(&self, what: &str) -> String {
        let first = self.objects.first().unwrap_or(&Value::Null);
        format!("conversion webhook for {} {what}", described(first))
    }

    fn objects_of(&self, answer: &mut Value) -> Result<Vec<Value>, String> {
        if (top(answer, "apiVersion"), top(answer, "kind")) != (API_VERSION, KIND) {
            return Err(format!("expected webhook response of {API_VERSION}, Kind={KIND}, got {}", described(answer)));
        }
        let response = answer.get_mut("response").filter(|response| response.is_object());
        let response = response.ok_or("no response provided")?;
        if top(response, "uid") != self.uid {
            return Err(format!("expected response.uid={:?}, got {:?}", self.uid, top(response, "uid")));
        }
        let result = response.get("result").unwrap_or(&Value::Null);
        match (top(result, "status"), top(result, "message")) {
            ("Success", _) => {}
            (status, "") => return Err(format!("response.result.status was '{status}', not 'Success'")),
            (_, message) => return Err(message.chars().take(LONGEST_MESSAGE).collect()),
        }
        match response.get_mut("convertedObjects").map(Value::take) {
            Some(Value::Array(objects)) => Ok(objects),
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(_) => Err("response.convertedObjects is no list".into()),
        }
    }

    fn check(&self, original: &Value, converted: &Value) -> Result<(), String> {
        let (wanted, got) = (&self.to, top(converted, "apiVersion"));
        if got != wanted {
            return Err(format!("invalid groupVersion (expected {wanted}, received {got})"));
        }
        let (wanted, got) = (top(original, "kind"), top(converted, "kind"));
        if got != wanted {
            return Err(format!("invalid kind (expected {wanted}, received {got})"));
        }
        for (field, name) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
            let (wanted, got) = (meta(original, field), meta(converted, field));
            if got != wanted {
                return Err(format!("must have the same {name}: {wanted} != {got}"));
            }
        }
        Ok(())
    }
}

/// So much of what a webhook says is passed on.
const LONGEST_MESSAGE: usize = 4096;

/// `example.com/v1, Kind=Widget`
fn described(object: &Value) -> String {
    format!("{}, Kind={}", top(object, "apiVersion"), top(object, "kind"))
}

/// The converted object with the metadata of the original, but for labels and annotations.
fn restored(original: &Value, mut converted: Value) -> Result<Value, String> {
    let before = original.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut after = before.clone();
    let Some(Value::Object(given)) = converted.get_mut("metadata") else {
        return Err("missing metadata in converted object".into());
    };
    for field in ["labels", "annotations"] {
        match given.remove(field) {
            None | Some(Value::Null) => drop(after.remove(field)),
            Some(Value::Object(texts)) if texts.is_empty() => drop(after.remove(field)),
            Some(Value::Object(texts)) if texts.values().all(Value::is_string) => {
                after.insert(field.into(), Value::Object(texts));
            }
            Some(_) => return Err(format!("metadata.{field} must be a map of strings in converted object")),
        }
    }
    let changed = |field: &str| before.get(field) != after.get(field);
    let mut errors = Vec::new();
    if changed("labels") {
        errors.extend(names::labels("metadata.labels", after.get("labels")));
    }
    if changed("annotations") {
        errors.extend(metadata::annotations(after.get("annotations")));
    }
    if !errors.is_empty() {
        return Err(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    *given = Map::new();
    converted["metadata"] = Value::Object(after);
    Ok(converted)
}

#[cfg(test)]
mod tests;
