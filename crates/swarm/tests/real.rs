//! The contract on a real Swarm, and a look into its containers.
//!
//! `ESSAIM_TEST_DOCKER_HOST` names a manager (`unix:///…` or `tcp://…`); without it these tests do nothing, with one that cannot be used
//! they fail. The image of `ESSAIM_TEST_IMAGE` (busybox) must be on every machine, the directory of `ESSAIM_TEST_DIRECTORY` too, and
//! `ESSAIM_TEST_NETWORK` must be an overlay network.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "part of tests, which tell by panicking")]

mod support {
    pub(crate) mod engine;
}

use std::{collections::BTreeMap, time::Duration};

use essaim_api::names::label;
use essaim_backend::swarm::{
    Action, HostPort, Mount, Owner, Propagation, SecretContent, SecretFile, ServiceSpec, Swarm as _, TaskState,
};
use essaim_swarm::{Options, Swarm};
use essaim_testkit::swarm_contract::{self, Site};
use jiff::Timestamp;
use serde_json::{Value, json};
use support::engine::Engine;

const CONTRACT: &str = "zz-essaim-contract";
const INSIDE: &str = "zz-essaim-inside";

fn setting(name: &str, default: &str) -> String {
    setting_if_any(name).unwrap_or_else(|| default.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the test is its own composition root")]
fn setting_if_any(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "the test is its own composition root")]
fn connect(engine: &Engine, service_name: fn(&Owner) -> String) -> Swarm {
    Swarm::connect(Some(&engine.0), Options::new(Timestamp::now, service_name)).unwrap()
}

/// The manager to test on, if one is named; it must be usable then.
async fn engine() -> Option<Engine> {
    let Some(host) = setting_if_any("ESSAIM_TEST_DOCKER_HOST") else {
        eprintln!("not run: ESSAIM_TEST_DOCKER_HOST names no manager");
        return None;
    };
    let engine = Engine(host);
    engine.check().await;
    Some(engine)
}

#[tokio::test]
async fn the_contract_holds_on_a_real_swarm() {
    let Some(engine) = engine().await else { return };
    engine.sweep(CONTRACT).await;
    let swarm = connect(&engine, |owner| swarm_contract::service_name(CONTRACT, owner));
    let (image, network) =
        (setting("ESSAIM_TEST_IMAGE", "essaim/busybox:testbed"), setting("ESSAIM_TEST_NETWORK", "essaim"));
    let site = Site {
        image: &image,
        network: &network,
        directory: &setting("ESSAIM_TEST_DIRECTORY", "/tmp"),
        prefix: CONTRACT,
        hands: &engine,
    };
    swarm_contract::run(&swarm, &site).await;
    engine.sweep(CONTRACT).await;
}

/// What was asked for is what the container has, as the engine and the container itself say.
#[tokio::test]
async fn everything_in_a_specification_arrives_in_the_container() {
    let Some(engine) = engine().await else { return };
    engine.sweep(INSIDE).await;
    let swarm = connect(&engine, |_| INSIDE.to_owned());
    let owner = Owner { uid: format!("{INSIDE}-uid"), namespace: "alice".into(), name: "inside".into() };
    let spec = spec(&owner);
    let secret = Action::CreateSecret {
        name: INSIDE.into(),
        labels: spec.labels.clone(),
        content: SecretContent(b"s3cret".to_vec()),
    };
    swarm.apply(&owner, &secret).await.unwrap();
    swarm.apply(&owner, &Action::CreateService(Box::new(spec.clone()))).await.unwrap();
    let container = container(&engine, &swarm, &owner).await;
    let seen = engine.get(&format!("/containers/{container}/json")).await;
    check_configuration(&seen);
    check_host_configuration(&seen["HostConfig"]);
    check_mounts(&seen["HostConfig"]);
    let said = engine.exec(&container, "id -u; id -g; id -G; hostname; pwd; stat -c '%a %u %g' /run/secrets/token; cat /run/secrets/token; grep Cap /proc/self/status").await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..6], ["5001", "5100", "5100 5200 5300", "inside-host", "/data", "400 5001 5100"], "{said}");
    assert!(lines[6].starts_with("s3cretCapInh"), "{said}");
    assert!(lines[7..].iter().all(|line| line.ends_with("0000000000000000")), "no capabilities: {said}");
    let service = swarm.observe(&owner, Duration::ZERO).await.unwrap().services.remove(0);
    swarm.apply(&owner, &Action::RemoveService { id: service.id }).await.unwrap();
    engine.sweep(INSIDE).await;
}

fn spec(owner: &Owner) -> ServiceSpec {
    let labels =
        [(label::OWNER_UID, owner.uid.as_str()), (label::OWNER_NAMESPACE, "alice"), (label::OWNER_NAME, "inside")];
    let container_labels: BTreeMap<String, String> =
        labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut labels = container_labels.clone();
    labels.insert(label::MANAGED_BY.into(), label::MANAGER.into());
    let directory = setting("ESSAIM_TEST_DIRECTORY", "/tmp");
    let mount = |target: &str, read_only, propagation| Mount {
        target: target.into(),
        source: directory.clone(),
        read_only,
        propagation,
    };
    ServiceSpec {
        name: INSIDE.into(),
        labels,
        container_labels,
        image: setting("ESSAIM_TEST_IMAGE", "essaim/busybox:testbed"),
        command: vec!["httpd".into()],
        args: ["-f", "-p", "8888"].map(str::to_owned).into(),
        env: [("HOME".to_owned(), "/data".to_owned())].into(),
        hostname: "inside-host".into(),
        user: "5001:5100".into(),
        groups: vec!["5200".into(), "5300".into()],
        working_dir: "/data".into(),
        mounts: vec![mount("/cvmfs", true, Propagation::Rslave), mount("/data", false, Propagation::Rprivate)],
        secrets: vec![SecretFile { file: "token".into(), secret: INSIDE.into(), uid: 5001, gid: 5100, mode: 0o400 }],
        // On the manager, whose engine we can ask about its containers.
        constraints: vec!["node.role==manager".into()],
        memory_bytes: Some(64 << 20),
        nano_cpus: Some(500_000_000),
        networks: vec![setting("ESSAIM_TEST_NETWORK", "essaim")],
        host_port: Some(HostPort { target: 8888 }),
        force_update: 0,
        foreign: BTreeMap::new(),
    }
}

async fn container(engine: &Engine, swarm: &Swarm, owner: &Owner) -> String {
    for _ in 0..600 {
        let observed = swarm.observe(owner, Duration::ZERO).await.unwrap();
        let task = observed.services.first().and_then(|service| service.tasks.first());
        if let Some(task) = task.filter(|task| task.state == TaskState::Running) {
            let raw = engine.get(&format!("/tasks/{}", task.id)).await;
            return raw["Status"]["ContainerStatus"]["ContainerID"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the service does not run");
}

fn check_configuration(seen: &Value) {
    let config = &seen["Config"];
    assert_eq!(config["User"], "5001:5100");
    assert_eq!(config["Hostname"], "inside-host");
    assert_eq!(config["WorkingDir"], "/data");
    assert_eq!(config["Entrypoint"], json!(["httpd"]));
    assert_eq!(config["Cmd"], json!(["-f", "-p", "8888"]));
    assert!(config["Env"].as_array().unwrap().contains(&json!("HOME=/data")));
    assert_eq!(config["Labels"][label::OWNER_NAME], "inside");
    assert_eq!(config["Labels"][label::MANAGED_BY], Value::Null, "labels of the service stay with the service");
    let port = &seen["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"];
    assert!(port.as_str().is_some_and(|port| port.parse::<u16>().is_ok()), "{port}");
}

fn check_host_configuration(host: &Value) {
    assert_eq!(host["GroupAdd"], json!(["5200", "5300"]));
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert_eq!(host["CapAdd"], Value::Null);
    assert_eq!(host["Init"], true);
    assert_eq!(host["Memory"], 64 << 20);
    assert_eq!(host["NanoCpus"], 500_000_000);
    assert_eq!(host["RestartPolicy"]["Name"], "");
}

fn check_mounts(host: &Value) {
    let mounts = host["Mounts"].as_array().unwrap();
    let mount = |target: &str| mounts.iter().find(|mount| mount["Target"] == target).unwrap();
    assert_eq!(mount("/cvmfs")["ReadOnly"], true);
    assert_eq!(mount("/cvmfs")["BindOptions"]["Propagation"], "rslave");
    assert_eq!(mount("/data")["ReadOnly"], Value::Null);
    assert_eq!(mount("/data")["BindOptions"]["Propagation"], "rprivate");
}
