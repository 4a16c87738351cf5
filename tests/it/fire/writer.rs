//! Clients that change, read and list the same few objects, and write down everything.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use super::{
    Random,
    client::{Client, Trouble},
    history::{Answer, Ask, Recorder, Sight, revision},
};

/// So few that clients get in each other's way.
const NAMES: u64 = 10;
/// Between two attempts while nobody answers.
const PAUSE: Duration = Duration::from_millis(10);
/// The objects, of the kind that `spark` defines.
pub(super) const SPARKS: &str = "/apis/fire.test/v1/namespaces/default/sparks";

/// The kind: a schema with a default and a rule, and a status, so that a write goes through everything.
pub(super) fn spark() -> Value {
    let mark = json!({"type": "string", "maxLength": 60});
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["mark"], "properties": {
            "mark": mark, "weight": {"type": "integer", "minimum": 0, "default": 7}, "filler": {"type": "string", "maxLength": 4000},
        }, "x-kubernetes-validations": [{"rule": "self.weight < 10 && self.mark != ''"}]},
        "status": {"type": "object", "properties": {"mark": mark}},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "sparks.fire.test"},
        "spec": {
            "group": "fire.test", "scope": "Namespaced",
            "names": {"plural": "sparks", "singular": "spark", "kind": "Spark", "listKind": "SparkList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// One client.
pub(super) struct Writer {
    number: usize,
    client: Client,
    recorder: Recorder,
    random: Random,
    writes: u64,
    /// Objects as it last saw them.
    seen: HashMap<String, Value>,
}

impl Writer {
    /// `number` is its own among all clients: what it writes carries it.
    pub(super) fn new(number: usize, client: Client, recorder: Recorder) -> Self {
        Self { number, client, recorder, random: Random::new(number), writes: 0, seen: HashMap::new() }
    }

    /// Works until it is over.
    pub(super) async fn run(mut self, over: watch::Receiver<bool>) {
        while !*over.borrow() {
            if self.step().await.is_err() {
                sleep(PAUSE).await;
            }
        }
    }

    /// One request of any kind. An error means that there was no answer.
    async fn step(&mut self) -> Result<(), Trouble> {
        let name = format!("s{}", self.random.below(NAMES));
        match self.random.below(100) {
            0..25 if self.seen.contains_key(&name) => self.put(&name).await.map(drop),
            25..40 => self.patch(&name, "spec").await,
            40..50 => self.patch(&name, "status").await,
            50..70 => self.create(&name).await.map(drop),
            70..80 => self.delete(&name).await,
            80..84 => self.list(0).await,
            84..88 => self.list(3).await,
            _ => self.get(&name).await.map(drop),
        }
    }

    /// Makes an object, and says at which revision.
    pub(super) async fn create(&mut self, name: &str) -> Result<Option<u64>, Trouble> {
        let mark = self.mark();
        let spec = json!({"mark": mark, "filler": "x".repeat(usize::try_from(self.random.below(2_000)).unwrap())});
        let object = json!({"apiVersion": "fire.test/v1", "kind": "Spark", "metadata": {"name": name}, "spec": spec});
        self.write(Ask::Create, name, &mark, "POST", SPARKS, &object).await
    }

    /// Replaces an object as it was last seen, and says at which revision.
    pub(super) async fn put(&mut self, name: &str) -> Result<Option<u64>, Trouble> {
        let mark = self.mark();
        let mut object = self.seen[name].clone();
        object["spec"]["mark"] = mark.as_str().into();
        let ask = Ask::Put(revision(&object["metadata"]));
        self.write(ask, name, &mark, "PUT", &format!("{SPARKS}/{name}"), &object).await
    }

    async fn patch(&mut self, name: &str, part: &str) -> Result<(), Trouble> {
        let mark = self.mark();
        let path = format!("{SPARKS}/{name}{}", if part == "status" { "/status" } else { "" });
        self.write(Ask::Patch, name, &mark, "PATCH", &path, &json!({part: {"mark": mark}})).await.map(drop)
    }

    async fn write(
        &mut self,
        ask: Ask,
        name: &str,
        mark: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Option<u64>, Trouble> {
        let asked = self.recorder.stamp();
        let outcome = self.client.ask(method, path, Some(body)).await;
        let answer = match &outcome {
            Ok((200 | 201, object)) => Answer::Written(self.keep(object)),
            Ok((code @ 400..500, _)) => Answer::Refused(*code),
            Err(Trouble::NotSent) => return Err(Trouble::NotSent),
            Ok(_) | Err(Trouble::Lost) => Answer::Unknown,
        };
        let revision = if let Answer::Written(sight) = &answer { Some(sight.revision) } else { None };
        self.recorder.operation(ask, name, mark, asked, answer);
        outcome.map(|_| revision)
    }

    async fn delete(&mut self, name: &str) -> Result<(), Trouble> {
        let on =
            self.seen.remove(name).map(|object| revision(&object["metadata"])).filter(|_| self.random.below(2) == 0);
        let options = match on {
            Some(on) => {
                json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"resourceVersion": on.to_string()}})
            }
            None => json!({"kind": "DeleteOptions", "apiVersion": "v1"}),
        };
        let asked = self.recorder.stamp();
        let outcome = self.client.ask("DELETE", &format!("{SPARKS}/{name}"), Some(&options)).await;
        let answer = match &outcome {
            Ok((200, status)) => Answer::Deleted(status["details"]["uid"].as_str().unwrap().to_owned()),
            Ok((code @ 400..500, _)) => Answer::Refused(*code),
            Err(Trouble::NotSent) => return Err(Trouble::NotSent),
            Ok(_) | Err(Trouble::Lost) => Answer::Unknown,
        };
        self.recorder.operation(Ask::Delete(on), name, "", asked, answer);
        outcome.map(drop)
    }

    /// Reads an object, and says whether it got an answer that counts.
    pub(super) async fn get(&mut self, name: &str) -> Result<bool, Trouble> {
        let asked = self.recorder.stamp();
        let answer = match self.client.ask("GET", &format!("{SPARKS}/{name}"), None).await? {
            (200, object) => Answer::Found(self.keep(&object)),
            (404, _) => Answer::Absent,
            _ => return Ok(false),
        };
        self.recorder.operation(Ask::Get, name, "", asked, answer);
        Ok(true)
    }

    /// Lists all objects, in pages if there is a limit. A list that does not come to its end is none.
    pub(super) async fn list(&mut self, limit: u64) -> Result<(), Trouble> {
        let (asked, mut items, mut next) = (self.recorder.stamp(), Vec::new(), String::new());
        loop {
            let path = format!("{SPARKS}?limit={limit}&continue={next}");
            let (200, list) = self.client.ask("GET", &path, None).await? else { return Ok(()) };
            items.extend(list["items"].as_array().unwrap().iter().map(Sight::of));
            list["metadata"]["continue"].as_str().unwrap_or_default().clone_into(&mut next);
            if next.is_empty() {
                let answer = Answer::Listed(revision(&list["metadata"]), items);
                self.recorder.operation(Ask::List, "", "", asked, answer);
                return Ok(());
            }
        }
    }

    fn keep(&mut self, object: &Value) -> Sight {
        let sight = Sight::of(object);
        self.seen.insert(sight.name.clone(), object.clone());
        sight
    }

    /// What no other write leaves.
    fn mark(&mut self) -> String {
        self.writes += 1;
        format!("c{}-{}", self.number, self.writes)
    }
}
