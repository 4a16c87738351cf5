//! Recorded decisions: each file of `tests/scenarios` is an object, its surroundings and an observation; the plan for it is recorded as text
//! beside it. Time is data.
//!
//! A second check runs for every scenario: carrying the plan's service out and planning again plans nothing more for the same facts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{collections::BTreeMap, fmt::Write as _, path::Path, sync::Arc};

use essaim_api::{NotebookClassSpec, NotebookServer};
use essaim_backend::{
    directory::Account,
    swarm::{Action, Node, Observed, Secret, Service, ServiceSpec, Task},
};
use essaim_plan::{
    key::SiteKey,
    notebook::{ClassLookup, Look, Lookups, Plan, Probe, Reach, Reason, Site, Valid, Wanted, decide, validate},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// One file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scenario {
    /// What it shows, in a sentence.
    shows: String,
    /// Merged over the ordinary server.
    #[serde(default)]
    server: Value,
    /// Merged over the ordinary class; `missing` takes it away.
    #[serde(default)]
    class: Value,
    /// `unknown`: the directory knows no such login. `silent`: it does not answer.
    #[serde(default)]
    account: Option<String>,
    /// The service on the Swarm, if there is one.
    #[serde(default)]
    service: Option<OnSwarm>,
    /// Containers whose service is gone.
    #[serde(default)]
    leftover: Vec<Task>,
    /// True: the token's secret exists.
    #[serde(default)]
    secret: bool,
    /// What Jupyter said.
    #[serde(default)]
    probe: Option<Probe>,
    /// Machines that do not answer.
    #[serde(default)]
    unreachable: Vec<String>,
    /// `unknown`: the manager does not answer. `off`: there is none.
    #[serde(default)]
    swarm: Option<String>,
    #[serde(default = "noon")]
    now: Timestamp,
}

/// A service as essaim would have made it, with differences.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OnSwarm {
    /// The server that it was made from, merged over the ordinary one; the scenario's own server if absent.
    #[serde(default)]
    made_from: Option<Value>,
    /// A hand edit, merged over its specification.
    #[serde(default)]
    edit: Value,
    #[serde(default)]
    tasks: Vec<Task>,
}

fn noon() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

#[test]
fn every_scenario_gives_its_recorded_plan() {
    insta::glob!("scenarios/*.yaml", |path| {
        let scenario = read(path);
        let (valid, look) = stage(&scenario);
        let plan = decide(&valid, &look, scenario.now);
        insta::assert_snapshot!(tell(&scenario, &plan));
        assert_calm_after(&valid, &look, &plan, scenario.now);
    });
}

fn read(path: &Path) -> Scenario {
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn site() -> Site {
    Site { key: SiteKey::try_new(vec![7; 32]).unwrap(), reach: Reach::HostPorts }
}

fn merged(mut base: Value, over: &Value) -> Value {
    if !over.is_null() {
        json_patch::merge(&mut base, over);
    }
    base
}

fn server(over: &Value) -> NotebookServer {
    let ordinary = json!({
        "apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServer",
        "metadata": {"namespace": "user01", "name": "lab", "uid": "11111111-2222-3333-4444-555555555555", "generation": 1,
                     "finalizers": ["essaim.dev/swarm-service"]},
        "spec": {"class": "cpu"},
    });
    serde_json::from_value(merged(ordinary, over)).unwrap()
}

fn lookups(scenario: &Scenario) -> Lookups {
    let class = json!({
        "images": [{"name": "lab", "image": "jupyter:2026.11"}],
        "placement": {"usage_type": "computing"},
        "resources": {"memory": {"default": "2Gi", "max": "8Gi"}},
        "mounts": [{"source": "/pbs/home/{initial}/{login}", "target": "/pbs/home/{initial}/{login}"}],
    });
    let class = match scenario.class.as_str() {
        Some("missing") => ClassLookup::Missing,
        _ => ClassLookup::Found(Box::new(
            serde_json::from_value::<NotebookClassSpec>(merged(class, &scenario.class)).unwrap(),
        )),
    };
    let groups = json!([{"name": "atlas", "gid": 5100}, {"name": "cms", "gid": 5200}]);
    let known = json!({"login": "user01", "uid": 5001, "gid": 5100, "groups": groups, "home": "/pbs/home/u/user01"});
    let account = match scenario.account.as_deref() {
        None => Ok(Some(serde_json::from_value::<Account>(known).unwrap())),
        Some("unknown") => Ok(None),
        Some(words) => Err(format!("the directory is {words}")),
    };
    Lookups { class, account }
}

/// The service and secret that a plan on an empty Swarm would make for this server.
fn made(server: &NotebookServer, lookups: &Lookups) -> ServiceSpec {
    match validate(server, lookups, &site()).wanted {
        Wanted::Running(desired) => desired.service,
        other => panic!("a service cannot have been made from this: {other:?}"),
    }
}

fn stage(scenario: &Scenario) -> (Valid, Look) {
    let lookups = lookups(scenario);
    let object = server(&scenario.server);
    let valid = validate(&object, &lookups, &site());
    match scenario.swarm.as_deref() {
        Some("off") => return (valid, Look::Off),
        Some(_) => {
            let why = Reason { reason: "SwarmUnreachable".into(), message: "the manager does not answer".into() };
            return (valid, Look::Unknown(why));
        }
        None => {}
    }
    let services = scenario.service.iter().map(|on_swarm| {
        let origin = on_swarm.made_from.as_ref().map_or_else(|| server(&json!({})), server);
        let spec = made(&origin, &Lookups { class: lookups_class(&lookups), ..lookups.clone() });
        let spec = serde_json::from_value(merged(serde_json::to_value(spec).unwrap(), &on_swarm.edit)).unwrap();
        Service { id: "service-1".into(), version: 42, spec, update: None, tasks: on_swarm.tasks.clone() }
    });
    let observed = Observed {
        taken_at: scenario.now,
        services: services.collect(),
        leftover: scenario.leftover.clone(),
        secrets: scenario.secret.then(|| Secret { id: "secret-1".into(), name: secret_name() }).into_iter().collect(),
        nodes: Arc::new(nodes(&scenario.unreachable)),
    };
    (valid, Look::Seen(Box::new(observed), scenario.probe.clone().unwrap_or(Probe::NotTried)))
}

/// A service was made while its class was still there.
fn lookups_class(lookups: &Lookups) -> ClassLookup {
    match &lookups.class {
        ClassLookup::Found(class) => ClassLookup::Found(class.clone()),
        ClassLookup::Missing => self::lookups(&serde_yaml::from_str("shows: the ordinary class").unwrap()).class,
    }
}

fn secret_name() -> String {
    format!("jns-token-11111111-2222-3333-4444-555555555555-{}", site().key.fingerprint())
}

fn nodes(unreachable: &[String]) -> Vec<Node> {
    let node = |number: i64, usage: &str, memory: i64| Node {
        id: format!("node-{number}"),
        hostname: format!("machine{number}"),
        address: format!("10.0.0.{number}"),
        labels: [("usage_type".to_owned(), usage.to_owned())].into(),
        memory_bytes: memory << 30,
        nano_cpus: 8_000_000_000,
        reachable: !unreachable.contains(&format!("machine{number}")),
        schedulable: true,
    };
    vec![node(1, "computing", 32), node(2, "computing", 64), node(3, "training", 32)]
}

fn tell(scenario: &Scenario, plan: &Plan) -> String {
    let mut text = format!("# {}\n", scenario.shows);
    let _ = writeln!(text, "finalizer: {:?}", plan.finalizer);
    let _ = writeln!(text, "suspend: {}", plan.suspend);
    for action in &plan.actions {
        let _ = writeln!(text, "- {}", tell_action(action));
    }
    for condition in &plan.status.conditions {
        let _ = writeln!(text, "{} {} {}: {}", condition.type_, condition.status, condition.reason, condition.message);
    }
    let _ = writeln!(text, "looks again after: {:#}", plan.wake_up);
    text
}

fn tell_action(action: &Action) -> String {
    let told = |key: &&String| ["restarts", "restarted-at", "generation"].iter().any(|end| key.ends_with(end));
    let tell = |labels: &BTreeMap<String, String>| {
        let told = labels.iter().filter(|(key, _)| told(key));
        let told = told.map(|(key, value)| format!("{}={value}", key.trim_start_matches("essaim.dev/")));
        told.collect::<Vec<_>>().join(" ")
    };
    let spec_line = |spec: &ServiceSpec| {
        format!("{} memory={:?} force={} {}", spec.name, spec.memory_bytes, spec.force_update, tell(&spec.labels))
    };
    match action {
        Action::CreateSecret { name, .. } => format!("create secret {name}"),
        Action::CreateService(spec) => format!("create service {}", spec_line(spec)),
        Action::UpdateService { id, version, spec } => format!("update service {id} at {version}: {}", spec_line(spec)),
        Action::RelabelService { id, version, labels } => {
            format!("relabel service {id} at {version}: {}", tell(labels))
        }
        Action::RemoveService { id } => format!("remove service {id}"),
        Action::RemoveSecret { id } => format!("remove secret {id}"),
    }
}

/// Carries the plan out on a copy of the observation and plans again: nothing more may be planned for the same facts.
fn assert_calm_after(valid: &Valid, look: &Look, plan: &Plan, now: Timestamp) {
    let Look::Seen(observed, probe) = look else { return };
    let mut after = (**observed).clone();
    for action in &plan.actions {
        carry_out(&mut after, action);
    }
    let mut valid = valid.clone();
    valid.has_finalizer = true;
    let again = decide(&valid, &Look::Seen(Box::new(after), probe.clone()), now);
    let follow_up = matches!(valid.wanted, Wanted::Gone | Wanted::Suspended(_));
    assert!(again.actions.is_empty() || follow_up, "planned again: {:?}", again.actions);
}

fn carry_out(observed: &mut Observed, action: &Action) {
    match action {
        Action::CreateSecret { name, .. } => observed.secrets.push(Secret { id: name.clone(), name: name.clone() }),
        Action::CreateService(spec) => {
            let service =
                Service { id: "made".into(), version: 1, spec: (**spec).clone(), update: None, tasks: Vec::new() };
            observed.services.push(service);
        }
        Action::UpdateService { id, spec, .. } => {
            for service in observed.services.iter_mut().filter(|service| service.id == *id) {
                service.spec = (**spec).clone();
                service.version += 1;
            }
        }
        Action::RelabelService { id, labels, .. } => {
            for service in observed.services.iter_mut().filter(|service| service.id == *id) {
                service.spec.labels.clone_from(labels);
                service.version += 1;
            }
        }
        Action::RemoveService { id } => {
            let removed = observed.services.iter().position(|service| service.id == *id).unwrap();
            let tasks = observed.services.remove(removed).tasks;
            observed.leftover.extend(tasks.into_iter().filter(|task| task.state.may_run()));
        }
        Action::RemoveSecret { id } => observed.secrets.retain(|secret| secret.id != *id),
    }
}
