//! What exists on the fake Swarm, and what hands do to it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{FakeNode, FakeOptions, Fault, schedule::Next};

/// A refusal in the manager's words.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Refusal { status, message: message.into() }
    }
}

/// Everything.
pub(super) struct World {
    pub(super) options: FakeOptions,
    pub(super) jupyter_port: u16,
    pub(super) fault: Option<Fault>,
    pub(super) requests: BTreeMap<String, u64>,
    pub(super) nodes: Vec<Place>,
    /// By id.
    pub(super) services: BTreeMap<String, Service>,
    pub(super) tasks: Vec<Task>,
    /// Docker's `Secret` by id, with its content.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Names by id.
    pub(super) networks: BTreeMap<String, String>,
    pub(super) most_containers: usize,
    /// What lists said of a service, task, and its version then, by id.
    pub(super) written: RefCell<HashMap<String, (u64, Arc<str>)>>,
    /// Where the instants of tokio lie on the calendar.
    epoch: (Instant, Timestamp),
    pub(super) now: Instant,
    last_index: u64,
    last_id: u64,
}

/// A machine and its condition.
pub(super) struct Place {
    pub(super) id: String,
    pub(super) index: u64,
    pub(super) node: FakeNode,
    pub(super) down: bool,
    pub(super) drained: bool,
}

pub(super) struct Service {
    pub(super) index: u64,
    pub(super) created: Instant,
    /// Docker's `ServiceSpec`, as Docker stores it.
    pub(super) spec: Value,
    pub(super) update: Option<&'static str>,
}

pub(super) struct Secret {
    pub(super) index: u64,
    pub(super) created: Instant,
    pub(super) name: String,
    pub(super) labels: Value,
}

pub(super) struct Task {
    pub(super) id: String,
    pub(super) index: u64,
    pub(super) service: String,
    /// Labels of the service when the task was made; what lists are filtered by.
    pub(super) labels: Value,
    /// Docker's `TaskSpec`.
    pub(super) spec: Value,
    /// Whose container this is: also that of a service which was removed and made again under another id.
    pub(super) owner: String,
    /// The exit code that its program is told to end with.
    pub(super) told_exit_code: Option<i64>,
    pub(super) publishes: bool,
    pub(super) created: Instant,
    pub(super) state: State,
    pub(super) since: Instant,
    pub(super) wanted: Wanted,
    pub(super) error: String,
    pub(super) exit_code: i64,
    pub(super) node: Option<String>,
    pub(super) address: Option<String>,
}

/// What the Swarm wants of a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Runs once its predecessor has stopped.
    Ready,
    Running,
    Shutdown,
    Remove,
}

/// The states that tasks of a fake go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    New,
    Pending,
    Assigned,
    Preparing,
    Ready,
    Starting,
    Running,
    Complete,
    Shutdown,
    Failed,
    Rejected,
}

impl World {
    pub(super) fn new(options: FakeOptions) -> Self {
        let now = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "the fake engine has a clock of its own, as a real one has")]
        let epoch = (now, Timestamp::now());
        let mut world = World {
            jupyter_port: 0,
            fault: None,
            requests: BTreeMap::new(),
            nodes: Vec::new(),
            services: BTreeMap::new(),
            tasks: Vec::new(),
            secrets: BTreeMap::new(),
            networks: BTreeMap::new(),
            most_containers: 0,
            written: RefCell::default(),
            epoch,
            now,
            last_index: 10,
            last_id: 0,
            options: options.clone(),
        };
        for node in options.nodes {
            let (id, index) = (world.new_id(), world.new_index());
            world.nodes.push(Place { id, index, node, down: false, drained: false });
        }
        for network in options.networks {
            let id = world.new_id();
            world.networks.insert(id, network);
        }
        world
    }

    /// An instant on the calendar, as Docker writes it.
    pub(super) fn calendar(&self, instant: Instant) -> Timestamp {
        let since = SignedDuration::try_from(instant.saturating_duration_since(self.epoch.0)).unwrap_or_default();
        self.epoch.1.checked_add(since).unwrap_or(self.epoch.1)
    }

    pub(super) fn new_index(&mut self) -> u64 {
        self.last_index += 1;
        self.last_index
    }

    pub(super) fn new_id(&mut self) -> String {
        self.last_id += 1;
        format!("fake{:021}", self.last_id)
    }

    pub(super) fn edit_node(&mut self, hostname: &str, edit: impl FnOnce(&mut Place)) {
        let index = self.new_index();
        if let Some(place) = self.nodes.iter_mut().find(|place| place.node.hostname == hostname) {
            edit(place);
            place.index = index;
        }
    }

    pub(super) fn edit_service(&mut self, name: &str, edit: impl FnOnce(&mut Value)) -> bool {
        let Some((id, service)) = self.service_named(name) else { return false };
        let (id, mut spec, index) = (id.clone(), service.spec.clone(), service.index);
        edit(&mut spec);
        self.update_service(&id, index, spec).is_ok()
    }

    pub(super) fn create_service(&mut self, spec: Value) -> Result<String, Refusal> {
        let spec = self.checked(spec)?;
        let name = spec["Name"].as_str().unwrap_or_default();
        if self.service_named(name).is_some() {
            let message = format!(
                "rpc error: code = AlreadyExists desc = name conflicts with an existing object: service {name} already exists"
            );
            return Err(Refusal::new(409, message));
        }
        let (id, index) = (self.new_id(), self.new_index());
        let replicas = spec["Mode"]["Replicated"]["Replicas"].as_u64().unwrap_or(1);
        self.services.insert(id.clone(), Service { index, created: self.now, spec, update: None });
        if replicas > 0 {
            self.new_task(&id, Wanted::Running);
        }
        Ok(id)
    }

    /// As Swarm does it: labels alone restart nothing; anything in the task does, the old container being stopped first.
    pub(super) fn update_service(&mut self, id: &str, version: u64, spec: Value) -> Result<(), Refusal> {
        let spec = self.checked(spec)?;
        let index = self.new_index();
        let service = self.services.get_mut(id).ok_or_else(|| Refusal::new(404, format!("service {id} not found")))?;
        if service.index != version {
            return Err(Refusal::new(500, "rpc error: code = Unknown desc = update out of sequence"));
        }
        let restarts = ["TaskTemplate", "EndpointSpec"].into_iter().any(|part| service.spec[part] != spec[part]);
        let replicas = spec["Mode"]["Replicated"]["Replicas"].as_u64().unwrap_or_default();
        service.spec = spec;
        service.index = index;
        if replicas == 0 {
            self.end_tasks(id, Wanted::Shutdown);
        } else if restarts {
            service.update = Some("updating");
            self.end_tasks(id, Wanted::Shutdown);
            self.new_task(id, Wanted::Ready);
        }
        Ok(())
    }

    pub(super) fn remove_service(&mut self, name_or_id: &str) -> bool {
        let Some(id) = self.service_id(name_or_id) else { return false };
        self.services.remove(&id);
        self.end_tasks(&id, Wanted::Remove);
        self.take_stock();
        true
    }

    pub(super) fn exit_task(&mut self, service: &str, code: i64) -> bool {
        let Some(id) = self.service_id(service) else { return false };
        let (now, index) = (self.now, self.new_index());
        let Some(task) = self.tasks.iter_mut().find(|task| task.service == id && task.state == State::Running) else {
            return false;
        };
        let ended = Next::ended(code, now);
        (task.index, task.state, task.since, task.wanted) = (index, ended.state, ended.since, ended.wanted);
        (task.error, task.exit_code) = (ended.error, code);
        true
    }

    pub(super) fn create_secret(&mut self, raw: &Value) -> Result<String, Refusal> {
        let name = raw["Name"].as_str().unwrap_or_default();
        check_name("secret", name, 64)?;
        if self.secrets.values().any(|secret| secret.name == name) {
            return Err(Refusal::new(
                409,
                format!("rpc error: code = AlreadyExists desc = secret {name} already exists"),
            ));
        }
        let (id, index) = (self.new_id(), self.new_index());
        let labels = if raw["Labels"].is_object() { raw["Labels"].clone() } else { json!({}) };
        self.secrets.insert(id.clone(), Secret { index, created: self.now, name: name.to_owned(), labels });
        Ok(id)
    }

    pub(super) fn remove_secret(&mut self, id: &str) -> Result<(), Refusal> {
        let secret = self.secrets.get(id).ok_or_else(|| Refusal::new(404, format!("secret {id} not found")))?;
        let user = self.services.values().find(|service| secret_ids(&service.spec).any(|used| used == id));
        if let Some(user) = user {
            let (name, service) = (&secret.name, user.spec["Name"].as_str().unwrap_or_default());
            let message = format!(
                "rpc error: code = InvalidArgument desc = secret '{name}' is in use by the following service: {service}"
            );
            return Err(Refusal::new(400, message));
        }
        self.secrets.remove(id);
        Ok(())
    }

    pub(super) fn service_named(&self, name: &str) -> Option<(&String, &Service)> {
        self.services.iter().find(|(_, service)| service.spec["Name"] == name)
    }

    /// The id of a service that is named by either.
    pub(super) fn service_id(&self, name_or_id: &str) -> Option<String> {
        let known = self.services.contains_key(name_or_id).then(|| name_or_id.to_owned());
        known.or_else(|| self.service_named(name_or_id).map(|(id, _)| id.clone()))
    }

    pub(super) fn service_spec(&self, name: &str) -> Option<Value> {
        self.service_named(name).map(|(_, service)| service.spec.clone())
    }

    pub(super) fn service_names(&self) -> Vec<String> {
        self.services.values().filter_map(|service| service.spec["Name"].as_str()).map(str::to_owned).collect()
    }

    pub(super) fn secret_names(&self) -> Vec<String> {
        self.secrets.values().map(|secret| secret.name.clone()).collect()
    }

    /// The specification as Docker stores it.
    fn checked(&self, raw: Value) -> Result<Value, Refusal> {
        let mut spec = without_zeros(raw);
        check_name("service", spec["Name"].as_str().unwrap_or_default(), 63)?;
        if spec["TaskTemplate"]["ContainerSpec"]["Image"].as_str().is_none() {
            return Err(Refusal::new(
                400,
                "rpc error: code = InvalidArgument desc = ContainerSpec: image reference must be provided",
            ));
        }
        if let Some(missing) = secret_ids(&spec).find(|id| !self.secrets.contains_key(*id)) {
            return Err(Refusal::new(
                400,
                format!("rpc error: code = InvalidArgument desc = secret not found: {missing}"),
            ));
        }
        for network in spec["TaskTemplate"]["Networks"].as_array_mut().into_iter().flatten() {
            let target = network["Target"].as_str().unwrap_or_default();
            let known = self.networks.iter().find(|(id, name)| *id == target || *name == target);
            let (id, _) = known.ok_or_else(|| Refusal::new(500, format!("network {target} not found")))?;
            network["Target"] = json!(id);
        }
        // What Engine 20.10 adds by itself, and what it does not know.
        spec["TaskTemplate"]["ContainerSpec"]["Isolation"] = json!("default");
        spec["TaskTemplate"]["ContainerSpec"]["Privileges"] = json!({ "CredentialSpec": null, "SELinuxContext": null });
        spec["TaskTemplate"]["Runtime"] = json!("container");
        if spec["TaskTemplate"]["ForceUpdate"].is_null() {
            spec["TaskTemplate"]["ForceUpdate"] = json!(0);
        }
        Ok(spec)
    }
}

/// Ids of the secrets that a service uses.
fn secret_ids(spec: &Value) -> impl Iterator<Item = &str> {
    let secrets = spec["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array();
    secrets.into_iter().flatten().map(|secret| secret["SecretID"].as_str().unwrap_or_default())
}

/// Swarm's rule for names: letters and digits, with runs of `-` and `_` between them.
fn check_name(kind: &str, name: &str, limit: usize) -> Result<(), Refusal> {
    let invalid =
        |sentence: &str| Err(Refusal::new(400, format!("rpc error: code = InvalidArgument desc = {sentence}")));
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    if name.len() > limit {
        return invalid(&format!("name must be {limit} characters or fewer"));
    }
    if !name.bytes().all(inner) || !edge(name.bytes().next()) || !edge(name.bytes().last()) {
        return invalid(if kind == "service" {
            "name must be valid as a DNS name component"
        } else {
            "invalid secret name"
        });
    }
    Ok(())
}

/// Docker leaves out members that say nothing, except that an explicit `"Replicas": 0` stays.
fn without_zeros(value: Value) -> Value {
    let zero = |key: &str, value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0) && key != "Replicas",
        Value::String(text) => text.is_empty() && key != "Labels",
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() && key != "Global",
        Value::Bool(true) => false,
    };
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(key, member)| {
                let member = if key == "Labels" { member } else { without_zeros(member) };
                (key, member)
            });
            Value::Object(members.filter(|(key, member)| !zero(key, member)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_zeros).collect()),
        scalar => scalar,
    }
}
