//! Docker's HTTP API, as far as essaim uses it.

use std::{borrow::Cow, io, net::SocketAddr, sync::Arc};

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    Fault, Shared,
    server::{Answer, Asked, HangUp, Server},
    world::{Place, Refusal, Secret, Service, State, Task, Wanted, World},
};

/// Listens as a manager.
pub(super) async fn serve(address: SocketAddr, world: Shared) -> io::Result<Server> {
    Server::listen(address, move |asked| {
        let world = world.clone();
        async move { answer(&world, &asked).await }
    })
    .await
}

async fn answer(world: &Shared, asked: &Asked) -> Result<Answer, HangUp> {
    let fault = world.now().fault;
    match fault {
        None => {}
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::NoLeader) => {
            let refusal = Refusal::new(503, "rpc error: code = Unknown desc = The swarm does not have a leader.");
            return Ok(refused(&refusal));
        }
    }
    let mut world = world.now();
    Ok(route(&mut world, asked).unwrap_or_else(|refusal| refused(&refusal)))
}

fn refused(refusal: &Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::new(status, &json!({ "message": refusal.message }))
}

fn route(world: &mut World, asked: &Asked) -> Result<Answer, Refusal> {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let path = percent_decoded(path);
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    // `/v1.41/services` and `/services` are the same.
    let segments = match segments.split_first() {
        Some((first, rest)) if first.starts_with("v1.") => rest,
        _ => &segments,
    };
    let filters = Filters::parse(query);
    *world.requests.entry(kind(&asked.method, segments).to_owned()).or_default() += 1;
    Ok(match (asked.method.as_str(), segments) {
        ("GET", ["version"]) => ok(
            json!({ "Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64" }),
        ),
        ("GET" | "HEAD", ["_ping"]) => ok(json!("OK")),
        ("GET", ["info"]) => {
            ok(json!({ "Name": "fake", "Swarm": { "LocalNodeState": "active", "ControlAvailable": true } }))
        }
        ("GET", ["services"]) => {
            let services = world.services.iter();
            let fitting =
                services.filter(|(id, service)| filters.fit(id, &service.spec["Name"], &service.spec["Labels"]));
            let versioned = fitting.map(|(id, service)| (id.as_str(), service.index, (id, service)));
            listing(world, versioned, |(id, service)| service_json(world, id, service))
        }
        ("GET", ["tasks"]) => {
            let fitting = world.tasks.iter().filter(|task| filters.fit_task(world, task));
            let versioned = fitting.map(|task| (task.id.as_str(), task.index, task));
            listing(world, versioned, |task| task_json(world, task))
        }
        ("GET", ["nodes"]) => ok(world.nodes.iter().map(|place| node_json(world, place)).collect()),
        ("GET", ["secrets"]) => ok(world
            .secrets
            .iter()
            .filter(|(id, secret)| filters.fit(id, &json!(secret.name), &secret.labels))
            .map(|(id, secret)| secret_json(world, id, secret))
            .collect()),
        ("GET", ["networks"]) => ok(world
            .networks
            .iter()
            .map(|(id, name)| json!({ "Id": id, "Name": name, "Scope": "swarm", "Driver": "overlay" }))
            .collect()),
        ("POST", ["services", "create"]) => {
            Answer::new(StatusCode::CREATED, &json!({ "ID": world.create_service(body(asked)?)? }))
        }
        ("POST", ["secrets", "create"]) => {
            Answer::new(StatusCode::CREATED, &json!({ "ID": world.create_secret(&body(asked)?)? }))
        }
        ("GET", ["services", name]) => {
            let id = world.service_id(name).ok_or_else(|| not_found("service", name))?;
            let service = world.services.get(&id).ok_or_else(|| not_found("service", name))?;
            ok(service_json(world, &id, service))
        }
        ("GET", ["secrets", name]) => {
            let found = world.secrets.iter().find(|(id, secret)| id == name || secret.name == *name);
            let (id, secret) = found.ok_or_else(|| not_found("secret", name))?;
            ok(secret_json(world, id, secret))
        }
        ("POST", ["services", name, "update"]) => {
            let id = world.service_id(name).ok_or_else(|| not_found("service", name))?;
            let version = parameter(query, "version").and_then(|version| version.parse().ok());
            let version = version.ok_or_else(|| Refusal::new(400, "invalid service version"))?;
            world.update_service(&id, version, body(asked)?)?;
            ok(json!({ "Warnings": null }))
        }
        ("DELETE", ["services", name]) => {
            world.remove_service(name).then(|| ok(Value::Null)).ok_or_else(|| not_found("service", name))?
        }
        ("DELETE", ["secrets", id]) => {
            world.remove_secret(id)?;
            Answer::new(StatusCode::NO_CONTENT, &Value::Null)
        }
        _ => {
            return Err(Refusal::new(404, "page not found"));
        }
    })
}

/// What a request is counted as.
fn kind(method: &str, segments: &[&str]) -> &'static str {
    match (method, segments) {
        ("GET", ["version"]) => "version",
        ("GET", ["services"]) => "list services",
        ("GET", ["tasks"]) => "list tasks",
        ("GET", ["nodes"]) => "list nodes",
        ("GET", ["secrets"]) => "list secrets",
        ("GET", ["networks"]) => "list networks",
        ("GET", ["services", _]) => "inspect service",
        ("GET", ["secrets", _]) => "inspect secret",
        ("POST", ["services", "create"]) => "create service",
        ("POST", ["services", _, "update"]) => "update service",
        ("POST", ["secrets", "create"]) => "create secret",
        ("DELETE", ["services", _]) => "remove service",
        ("DELETE", ["secrets", _]) => "remove secret",
        _ => "other",
    }
}

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the value for this")]
fn ok(body: Value) -> Answer {
    Answer::new(StatusCode::OK, &body)
}

/// A list of things, each with its id and version. What did not change is not written anew: lists of hundreds are asked for all the time.
fn listing<'a, T>(
    world: &World,
    things: impl Iterator<Item = (&'a str, u64, T)>,
    write: impl Fn(T) -> Value,
) -> Answer {
    let mut written = world.written.borrow_mut();
    let texts = things.map(|(id, version, thing)| {
        let text = written.get(id).filter(|(of, _)| *of == version).map(|(_, text)| Arc::clone(text));
        text.unwrap_or_else(|| {
            let text: Arc<str> = write(thing).to_string().into();
            written.insert(id.to_owned(), (version, Arc::clone(&text)));
            text
        })
    });
    let texts: Vec<Arc<str>> = texts.collect();
    Answer { status: StatusCode::OK, body: format!("[{}]", texts.join(",")) }
}

fn not_found(kind: &str, name: &str) -> Refusal {
    Refusal::new(404, format!("{kind} {name} not found"))
}

fn body(asked: &Asked) -> Result<Value, Refusal> {
    serde_json::from_slice(&asked.body).map_err(|error| Refusal::new(400, error.to_string()))
}

fn service_json(world: &World, id: &str, service: &Service) -> Value {
    let mut raw = json!({
        "ID": id,
        "Version": { "Index": service.index },
        "CreatedAt": world.calendar(service.created),
        "UpdatedAt": world.calendar(service.created),
        "Spec": service.spec,
        "Endpoint": { "Spec": {} },
    });
    if let Some(state) = service.update {
        raw["UpdateStatus"] = json!({ "State": state, "Message": if state == "updating" { "update in progress" } else { "update completed" } });
    }
    raw
}

fn secret_json(world: &World, id: &str, secret: &Secret) -> Value {
    let created = world.calendar(secret.created);
    let spec = json!({ "Name": secret.name, "Labels": secret.labels });
    json!({ "ID": id, "Version": { "Index": secret.index }, "CreatedAt": created, "UpdatedAt": created, "Spec": spec })
}

fn node_json(world: &World, place: &Place) -> Value {
    let Place { id, index, node, down, drained } = place;
    json!({
        "ID": id,
        "Version": { "Index": index },
        "CreatedAt": world.calendar(world.now),
        "Spec": { "Labels": node.labels, "Role": "worker", "Availability": if *drained { "drain" } else { "active" } },
        "Description": { "Hostname": node.hostname, "Resources": { "NanoCPUs": node.nano_cpus, "MemoryBytes": node.memory_bytes } },
        "Status": { "State": if *down { "down" } else { "ready" }, "Addr": "127.0.0.1" },
    })
}

fn task_json(world: &World, task: &Task) -> Value {
    let mut status =
        json!({ "Timestamp": world.calendar(task.since), "State": state_word(task.state), "PortStatus": {} });
    if !task.error.is_empty() {
        status["Err"] = json!(task.error);
    }
    if task.state >= State::Starting && task.state != State::Rejected && task.node.is_some() {
        status["ContainerStatus"] =
            json!({ "ContainerID": format!("c{}", task.id), "PID": 1, "ExitCode": task.exit_code });
    }
    if task.state == State::Running && task.publishes {
        let port = json!({ "Protocol": "tcp", "TargetPort": 8888, "PublishedPort": world.jupyter_port, "PublishMode": "host" });
        status["PortStatus"] = json!({ "Ports": [port] });
    }
    let networks = task.spec["Networks"].as_array().into_iter().flatten();
    let attachments: Vec<Value> =
        networks.map(|network| json!({ "Network": { "ID": network["Target"] }, "Addresses": task.address.iter().collect::<Vec<_>>() })).collect();
    let mut raw = json!({
        "ID": task.id,
        "Version": { "Index": task.index },
        "CreatedAt": world.calendar(task.created),
        "Labels": {},
        "Spec": task.spec,
        "ServiceID": task.service,
        "Slot": 1,
        "Status": status,
        "DesiredState": wanted_word(task.wanted),
        "NetworksAttachments": attachments,
    });
    if let Some(node) = &task.node {
        raw["NodeID"] = json!(node);
    }
    raw
}

fn state_word(state: State) -> &'static str {
    match state {
        State::New => "new",
        State::Pending => "pending",
        State::Assigned => "assigned",
        State::Preparing => "preparing",
        State::Ready => "ready",
        State::Starting => "starting",
        State::Running => "running",
        State::Complete => "complete",
        State::Shutdown => "shutdown",
        State::Failed => "failed",
        State::Rejected => "rejected",
    }
}

fn wanted_word(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Ready => "ready",
        Wanted::Running => "running",
        Wanted::Shutdown => "shutdown",
        Wanted::Remove => "remove",
    }
}

/// Docker's `filters` parameter.
struct Filters(Value);

impl Filters {
    fn parse(query: &str) -> Self {
        Filters(parameter(query, "filters").and_then(|filters| serde_json::from_str(&filters).ok()).unwrap_or_default())
    }

    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0[key].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    fn fit(&self, id: &str, name: &Value, labels: &Value) -> bool {
        let name = name.as_str().unwrap_or_default();
        let none_or_any = |key: &str, fits: &dyn Fn(&str) -> bool| self.0[key].is_null() || self.values(key).any(fits);
        none_or_any("id", &|wanted| id.starts_with(wanted))
            && none_or_any("name", &|wanted| name.contains(wanted))
            && self.fit_labels(labels)
    }

    fn fit_labels(&self, labels: &Value) -> bool {
        self.values("label").all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => labels[key] == value,
            None => !labels[wanted].is_null(),
        })
    }

    fn fit_task(&self, world: &World, task: &Task) -> bool {
        let service = self.0["service"].is_null()
            || self.values("service").any(|wanted| world.service_id(wanted).is_some_and(|id| id == task.service));
        service && self.fit_labels(&task.labels)
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| percent_decoded(value))
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
