//! The round trip: what is sent, stored by Docker, and read again.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{docker::ApiVersion, to_swarm::to_swarm};

/// As an engine stores what it is sent: ids for names, zeros left out or written, defaults filled in.
fn stored(spec: &ServiceSpec, version: ApiVersion) -> (Value, BTreeMap<String, String>) {
    let secrets = spec.secrets.iter().map(|file| (file.secret.clone(), format!("id-of-{}", file.secret))).collect();
    let mut raw = to_swarm(spec, &secrets, version);
    let networks = spec.networks.iter().map(|name| (format!("id-of-{name}"), name.clone())).collect();
    for network in raw["TaskTemplate"]["Networks"].as_array_mut().unwrap() {
        network["Target"] = json!(format!("id-of-{}", network["Target"].as_str().unwrap()));
    }
    raw["TaskTemplate"]["ContainerSpec"]["Isolation"] = json!("default");
    raw["TaskTemplate"]["ContainerSpec"]["DNSConfig"] = json!({});
    raw["TaskTemplate"]["Runtime"] = json!("container");
    raw["TaskTemplate"]["RestartPolicy"]["MaxAttempts"] = json!(0);
    raw["UpdateConfig"]["MaxFailureRatio"] = json!(0);
    if version < ApiVersion(1, 44) {
        raw["TaskTemplate"]["ContainerSpec"]["Privileges"] = json!({ "CredentialSpec": null, "SELinuxContext": null });
    }
    (raw, networks)
}

fn minimal() -> ServiceSpec {
    from_swarm(&json!({ "Name": "s", "TaskTemplate": { "ContainerSpec": { "Image": "i:1" } } }), &BTreeMap::new())
}

fn plain() -> ServiceSpec {
    ServiceSpec { foreign: BTreeMap::new(), ..minimal() }
}

fn foreign_after(edit: impl FnOnce(&mut Value)) -> BTreeMap<String, String> {
    let (mut raw, networks) = stored(&plain(), ApiVersion(1, 41));
    edit(&mut raw);
    from_swarm(&raw, &networks).foreign
}

fn sole(path: &str, value: &str) -> BTreeMap<String, String> {
    [(path.to_owned(), value.to_owned())].into()
}

/// What hands do to Docker's `ServiceSpec`.
type Edit = fn(&mut Value);

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9é ./:_=-]{0,12}"
}

fn key() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_./-]{0,12}"
}

prop_compose! {
    fn mount()(target in key(), source in key(), read_only: bool, slave: bool) -> Mount {
        Mount { target, source, read_only, propagation: if slave { Propagation::Rslave } else { Propagation::Rprivate } }
    }
}

prop_compose! {
    fn secret_file()(file in key(), secret in key(), uid: u32, gid: u32, mode in 0_u32..0o1000) -> SecretFile {
        SecretFile { file, secret, uid, gid, mode }
    }
}

prop_compose! {
    fn container()(
        command in prop::collection::vec(word(), 0..3),
        args in prop::collection::vec(word(), 0..4),
        env in prop::collection::btree_map("[A-Z_]{1,8}", word(), 0..5),
        container_labels in prop::collection::btree_map(key(), word(), 0..3),
        hostname in word(), user in "[0-9]{1,5}:[0-9]{1,5}", working_dir in word(),
        groups in prop::collection::btree_set("[1-9][0-9]{0,4}", 0..4),
        mounts in prop::collection::btree_set(mount(), 0..4),
        secrets in prop::collection::btree_set(secret_file(), 0..3),
    ) -> ServiceSpec {
        ServiceSpec {
            command, args, env, container_labels, hostname, user, working_dir,
            groups: groups.into_iter().collect(),
            mounts: mounts.into_iter().collect(),
            secrets: secrets.into_iter().collect(),
            ..plain()
        }
    }
}

prop_compose! {
    fn spec()(
        container in container(),
        labels in prop::collection::btree_map(key(), word(), 0..4),
        constraints in prop::collection::btree_set(key(), 0..3),
        networks in prop::collection::btree_set("[a-z]{1,8}", 0..3),
        memory_bytes in prop::option::of(1_i64..1 << 40),
        nano_cpus in prop::option::of(1_i64..1 << 40),
        port in prop::option::of(1_u16..),
        force_update: u64,
    ) -> ServiceSpec {
        ServiceSpec {
            labels, memory_bytes, nano_cpus, force_update,
            constraints: constraints.into_iter().collect(),
            networks: networks.into_iter().collect(),
            host_port: port.map(|target| HostPort { target }),
            ..container
        }
    }
}

proptest! {
    #[test]
    fn what_docker_stores_reads_as_what_was_asked_for(spec in spec(), minor in prop::sample::select(vec![41_u16, 44, 47])) {
        let (raw, networks) = stored(&spec, ApiVersion(1, minor));
        prop_assert_eq!(from_swarm(&raw, &networks), spec);
    }

    #[test]
    fn any_service_can_be_read(name in word(), junk in key(), value in word()) {
        let mut raw = json!({ "Name": name });
        raw[&junk] = json!(value);
        let read = from_swarm(&raw, &BTreeMap::new());
        prop_assert_eq!(read.foreign.is_empty(), false);
    }
}

#[test]
fn the_order_of_lists_and_an_added_digest_mean_nothing() {
    let spec = ServiceSpec {
        env: [("A".into(), "1".into()), ("B".into(), "2".into())].into(),
        groups: vec!["10".into(), "9".into()],
        ..plain()
    };
    let (mut raw, networks) = stored(&spec, ApiVersion(1, 41));
    let container = &mut raw["TaskTemplate"]["ContainerSpec"];
    container["Env"] = json!(["B=2", "A=1"]);
    container["Groups"] = json!(["9", "10"]);
    container["Image"] = json!(format!("i:1@sha256:{}", "0".repeat(64)));
    assert_eq!(from_swarm(&raw, &networks), spec);
}

#[test]
fn a_digest_without_a_tag_was_asked_for() {
    assert_eq!(without_added_digest("registry:5000/i@sha256:00"), "registry:5000/i@sha256:00");
    assert_eq!(without_added_digest("registry:5000/i:1@sha256:00"), "registry:5000/i:1");
    assert_eq!(without_added_digest("i"), "i");
}

#[test]
fn nothing_that_is_ours_is_foreign() {
    assert_eq!(foreign_after(|_| {}), BTreeMap::new());
}

#[test]
fn every_hand_edit_without_a_word_of_its_own_is_foreign() {
    let container = "TaskTemplate.ContainerSpec";
    let edits: [(&str, &str, Edit); 10] = [
        ("Mode.Replicated.Replicas", "0", |raw| raw["Mode"]["Replicated"]["Replicas"] = json!(0)),
        ("Mode.Replicated.Replicas", "absent", |raw| raw["Mode"] = json!({ "Global": {} })),
        ("EndpointSpec.Mode", "vip", |raw| raw["EndpointSpec"]["Mode"] = json!("vip")),
        ("RollbackConfig.Parallelism", "2", |raw| raw["RollbackConfig"] = json!({ "Parallelism": 2 })),
        ("TaskTemplate.RestartPolicy.Condition", "any", |raw| {
            raw["TaskTemplate"]["RestartPolicy"]["Condition"] = json!("any");
        }),
        ("TaskTemplate.Placement.MaxReplicas", "1", |raw| raw["TaskTemplate"]["Placement"]["MaxReplicas"] = json!(1)),
        (&format!("{container}.Init"), "false", |raw| raw["TaskTemplate"]["ContainerSpec"]["Init"] = json!(false)),
        (&format!("{container}.Sysctls.net.core.somaxconn"), "1", |raw| {
            raw["TaskTemplate"]["ContainerSpec"]["Sysctls"] = json!({ "net.core.somaxconn": "1" });
        }),
        (&format!("{container}.Privileges.Seccomp.Mode"), "unconfined", |raw| {
            raw["TaskTemplate"]["ContainerSpec"]["Privileges"] = json!({ "Seccomp": { "Mode": "unconfined" } });
        }),
        (&format!("{container}.SomethingNew"), "{\"A\":1}", |raw| {
            raw["TaskTemplate"]["ContainerSpec"]["SomethingNew"] = json!({ "A": 1 });
        }),
    ];
    for (path, value, edit) in edits {
        let found = foreign_after(edit);
        // A new setting that is an object is told by its members.
        let expected = if path.ends_with("SomethingNew") { sole(&format!("{path}.A"), "1") } else { sole(path, value) };
        assert_eq!(found, expected);
    }
}

#[test]
fn a_second_port_and_a_volume_are_foreign() {
    let ports = json!([{ "TargetPort": 80, "PublishMode": "ingress", "Protocol": "tcp" }]);
    assert_eq!(
        foreign_after(|raw| raw["EndpointSpec"]["Ports"] = ports.clone()),
        sole("EndpointSpec.Ports", &ports.to_string())
    );
    let mounts = json!([{ "Type": "volume", "Source": "v", "Target": "/v" }]);
    let found = foreign_after(|raw| raw["TaskTemplate"]["ContainerSpec"]["Mounts"] = mounts.clone());
    assert_eq!(found, sole("TaskTemplate.ContainerSpec.Mounts", &mounts.to_string()));
}

#[test]
fn an_unknown_network_names_itself() {
    let raw = json!({ "TaskTemplate": { "Networks": [{ "Target": "gone" }] } });
    assert_eq!(from_swarm(&raw, &BTreeMap::new()).networks, ["gone"]);
}
