//! From a [`ServiceSpec`] to Docker's JSON.
//!
//! What a spec does not say is fixed here: one replica that Swarm never restarts or moves by itself (essaim decides on replacement),
//! no virtual IP (it loses idle connections after 900 s), no capabilities, an init process that reaps children.

use std::collections::BTreeMap;

use essaim_backend::swarm::{HostPort, Mount, Propagation, SecretFile, ServiceSpec};
use serde_json::{Value, json};

use crate::docker::ApiVersion;

/// How long a container has between SIGTERM and SIGKILL: Jupyter saves its state within seconds.
const STOP_GRACE_PERIOD_NS: u64 = 10_000_000_000;

/// Docker's words for the two propagations that we use.
pub(crate) fn propagation(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Rprivate => "rprivate",
        Propagation::Rslave => "rslave",
    }
}

/// Docker's `ServiceSpec`.
///
/// `secret_ids` gives the id of each secret by name; one that is missing there gets an empty id, which Docker refuses.
pub(crate) fn to_swarm(spec: &ServiceSpec, secret_ids: &BTreeMap<String, String>, version: ApiVersion) -> Value {
    // Taken apart completely, so that a new field cannot be forgotten here. What is foreign is exactly what is not sent.
    let ServiceSpec {
        name,
        labels,
        container_labels,
        image,
        command,
        args,
        env,
        hostname,
        user,
        groups,
        working_dir,
        mounts,
        secrets,
        constraints,
        memory_bytes,
        nano_cpus,
        networks,
        host_port,
        force_update,
        foreign: _,
    } = spec;
    let env: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut container = json!({
        "Image": image,
        "Labels": container_labels,
        "Command": command,
        "Args": args,
        "Env": env,
        "Hostname": hostname,
        "User": user,
        "Groups": groups,
        "Dir": working_dir,
        "Mounts": mounts.iter().map(mount).collect::<Vec<_>>(),
        "Secrets": secrets.iter().map(|file| secret(file, secret_ids)).collect::<Vec<_>>(),
        "Init": true,
        "StopGracePeriod": STOP_GRACE_PERIOD_NS,
        "CapabilityDrop": ["ALL"],
    });
    if version.knows_no_new_privileges() {
        container["Privileges"] = json!({ "NoNewPrivileges": true });
    }
    json!({
        "Name": name,
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": container,
            "Resources": {
                "Limits": { "MemoryBytes": memory_bytes.unwrap_or_default(), "NanoCPUs": nano_cpus.unwrap_or_default() },
                "Reservations": { "MemoryBytes": memory_bytes.unwrap_or_default() },
            },
            "RestartPolicy": { "Condition": "none" },
            "Placement": { "Constraints": constraints },
            "Networks": networks.iter().map(|network| json!({ "Target": network })).collect::<Vec<_>>(),
            "ForceUpdate": force_update,
        },
        "Mode": { "Replicated": { "Replicas": 1 } },
        "UpdateConfig": { "Parallelism": 1, "Order": "stop-first", "FailureAction": "pause" },
        "EndpointSpec": { "Mode": "dnsrr", "Ports": host_port.iter().copied().map(port).collect::<Vec<_>>() },
    })
}

fn mount(mount: &Mount) -> Value {
    let Mount { target, source, read_only, propagation: chosen } = mount;
    json!({
        "Type": "bind",
        "Target": target,
        "Source": source,
        "ReadOnly": read_only,
        "BindOptions": { "Propagation": propagation(*chosen) },
    })
}

fn secret(secret: &SecretFile, ids: &BTreeMap<String, String>) -> Value {
    let SecretFile { file, secret, uid, gid, mode } = secret;
    json!({
        "SecretID": ids.get(secret).map(String::as_str).unwrap_or_default(),
        "SecretName": secret,
        "File": { "Name": file, "UID": uid.to_string(), "GID": gid.to_string(), "Mode": mode },
    })
}

fn port(port: HostPort) -> Value {
    json!({ "Protocol": "tcp", "TargetPort": port.target, "PublishMode": "host" })
}
