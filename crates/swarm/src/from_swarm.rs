//! From Docker's JSON back to a [`ServiceSpec`].
//!
//! Total: any service can be read, also one that essaim did not make. Whatever a [`ServiceSpec`] cannot say ends in its `foreign`.

use std::collections::BTreeMap;

use essaim_backend::swarm::{HostPort, Mount, Propagation, SecretFile, ServiceSpec};
use serde_json::Value;

use crate::foreign;

/// Reads Docker's `ServiceSpec`; `networks` gives names for the ids that Docker keeps.
pub(crate) fn from_swarm(raw: &Value, networks: &BTreeMap<String, String>) -> ServiceSpec {
    let container = &raw["TaskTemplate"]["ContainerSpec"];
    let resources = &raw["TaskTemplate"]["Resources"];
    let mut spec = ServiceSpec {
        name: text(&raw["Name"]),
        labels: labels(&raw["Labels"]),
        container_labels: labels(&container["Labels"]),
        image: without_added_digest(&text(&container["Image"])),
        command: texts(&container["Command"]),
        args: texts(&container["Args"]),
        env: texts(&container["Env"]).iter().map(|entry| variable(entry)).collect(),
        hostname: text(&container["Hostname"]),
        user: text(&container["User"]),
        groups: sorted(texts(&container["Groups"])),
        working_dir: text(&container["Dir"]),
        mounts: sorted(items(&container["Mounts"]).iter().map(mount).collect()),
        secrets: sorted(items(&container["Secrets"]).iter().map(secret).collect()),
        constraints: sorted(texts(&raw["TaskTemplate"]["Placement"]["Constraints"])),
        memory_bytes: positive(&resources["Limits"]["MemoryBytes"]),
        nano_cpus: positive(&resources["Limits"]["NanoCPUs"]),
        networks: sorted(
            items(&raw["TaskTemplate"]["Networks"]).iter().map(|network| network_name(network, networks)).collect(),
        ),
        host_port: items(&raw["EndpointSpec"]["Ports"]).iter().find_map(host_port),
        force_update: raw["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or_default(),
        foreign: BTreeMap::new(),
    };
    spec.foreign = foreign::settings(raw, &spec, networks);
    spec
}

/// Labels of anything that Docker keeps.
pub(crate) fn labels(raw: &Value) -> BTreeMap<String, String> {
    raw.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// `name:tag@sha256:…` without what follows the tag. An image that is named by its digest alone was asked for that way and stays.
pub(crate) fn without_added_digest(image: &str) -> String {
    match image.split_once('@') {
        Some((name, _)) if has_tag(name) => name.to_owned(),
        _ => image.to_owned(),
    }
}

/// Whether an image name without a digest ends in a tag; a colon before a slash belongs to a port.
pub(crate) fn has_tag(name: &str) -> bool {
    name.rsplit_once('/').map_or(name, |(_, last)| last).contains(':')
}

fn text(raw: &Value) -> String {
    raw.as_str().unwrap_or_default().to_owned()
}

fn items(raw: &Value) -> &[Value] {
    raw.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn texts(raw: &Value) -> Vec<String> {
    items(raw).iter().map(text).collect()
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

fn positive(raw: &Value) -> Option<i64> {
    raw.as_i64().filter(|number| *number != 0)
}

fn variable(entry: &str) -> (String, String) {
    let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
    (name.to_owned(), value.to_owned())
}

fn mount(raw: &Value) -> Mount {
    Mount {
        target: text(&raw["Target"]),
        source: text(&raw["Source"]),
        read_only: raw["ReadOnly"].as_bool().unwrap_or_default(),
        propagation: match raw["BindOptions"]["Propagation"].as_str() {
            Some("rslave") => Propagation::Rslave,
            _ => Propagation::Rprivate,
        },
    }
}

fn secret(raw: &Value) -> SecretFile {
    let number = |raw: &Value| raw.as_str().and_then(|digits| digits.parse().ok()).unwrap_or_default();
    SecretFile {
        file: text(&raw["File"]["Name"]),
        secret: text(&raw["SecretName"]),
        uid: number(&raw["File"]["UID"]),
        gid: number(&raw["File"]["GID"]),
        mode: raw["File"]["Mode"].as_u64().and_then(|mode| u32::try_from(mode).ok()).unwrap_or_default(),
    }
}

fn network_name(raw: &Value, names: &BTreeMap<String, String>) -> String {
    let target = text(&raw["Target"]);
    names.get(&target).cloned().unwrap_or(target)
}

fn host_port(raw: &Value) -> Option<HostPort> {
    let target = u16::try_from(raw["TargetPort"].as_u64()?).ok()?;
    (raw["PublishMode"] == "host").then_some(HostPort { target })
}

#[cfg(test)]
mod tests;
