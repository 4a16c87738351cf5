//! What is up and what is not, part by part, without changing anything.

use super::docker::Docker;
use super::layout::{ENGINES, Engine, NETWORK, manager};
use super::node::{self, Node};
use super::{door, engine, images, network, resolver, swarm};
use crate::settings::Settings;

/// One line of the report.
pub struct Part {
    /// What was looked at.
    pub name: String,
    /// What was seen, in words.
    pub seen: String,
    /// Whether that is as it should be.
    pub is_up: bool,
}

impl Part {
    fn new(name: impl Into<String>, is_up: bool, seen: impl Into<String>) -> Self {
        Self { name: name.into(), seen: seen.into(), is_up }
    }
}

/// Looks at every part of the throw-away site.
pub(crate) fn throw_away(settings: &Settings) -> Vec<Part> {
    let mut parts = vec![Part::new("name server", resolver::is_up(), up_or_down(resolver::is_up()))];
    parts.extend(ENGINES.iter().map(machine));
    if !ENGINES.iter().any(engine::is_alive) {
        return parts;
    }
    let docker = engine::docker(manager());
    parts.extend(nodes(&docker));
    parts.push(overlay(&docker));
    parts.push(Part::new("way into the network", door::is_open(), if door::is_open() { "open" } else { "shut" }));
    parts.extend(
        ENGINES
            .iter()
            .filter(|engine| engine::is_alive(engine))
            .flat_map(|engine| held_images(settings, engine.name, &engine::docker(engine))),
    );
    parts
}

/// Looks at what the test bed added to a Swarm that was there before.
pub(crate) fn existing(settings: &Settings, docker: &Docker) -> Vec<Part> {
    let mut parts = match node::list(docker) {
        Ok(nodes) => nodes.iter().map(|node| node_part(node, true)).collect(),
        Err(error) => vec![Part::new("nodes", false, error.to_string())],
    };
    parts.push(overlay(docker));
    parts.extend(held_images(settings, docker.host(), docker));
    parts
}

fn machine(engine: &Engine) -> Part {
    let (running, connected) = (engine::is_alive(engine), network::is_connected(engine));
    let seen = format!(
        "dockerd {}, cable {}, unix://{}",
        up_or_down(running),
        if connected { "connected" } else { "cut" },
        engine.socket().display()
    );
    Part::new(format!("machine {}", engine.name), running && connected, seen)
}

fn nodes(docker: &Docker) -> Vec<Part> {
    let nodes = match node::list(docker) {
        Ok(nodes) => nodes,
        Err(error) => return vec![Part::new("nodes", false, error.to_string())],
    };
    let expected = ENGINES.iter().map(|engine| {
        let Some(node) = nodes.iter().find(|node| node.name == engine.name) else {
            return Part::new(format!("node {}", engine.name), false, "not in the Swarm");
        };
        // More labels than ours are the business of whoever tests with them.
        let labelled = swarm::labels(engine).iter().all(|(key, value)| node.labels.get(key) == Some(value));
        node_part(node, labelled)
    });
    expected.collect()
}

fn node_part(node: &Node, labelled: bool) -> Part {
    let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let seen = format!(
        "{} {} {}, labels {}{}, {} GPUs {}",
        node.address,
        node.state,
        node.availability,
        labels.join(","),
        if labelled { "" } else { " (incomplete)" },
        node.gpus.len(),
        node.gpus.join(" ")
    );
    Part::new(format!("node {}", node.name), node.is_ready() && labelled, seen.trim_end())
}

fn overlay(docker: &Docker) -> Part {
    let present = swarm::has_network(docker).unwrap_or(false);
    Part::new(format!("network {NETWORK}"), present, if present { "present" } else { "missing" })
}

fn held_images(settings: &Settings, place: &str, docker: &Docker) -> Vec<Part> {
    let wanted = match images::wanted(settings) {
        Ok(wanted) => wanted,
        Err(error) => return vec![Part::new("images", false, error.to_string())],
    };
    let held = wanted.iter().map(|want| {
        let (present, seen) = match images::has(docker, want) {
            Ok(true) => (true, format!("recipe {}", want.hash)),
            Ok(false) => (false, "missing, or made after an older recipe".to_owned()),
            Err(error) => (false, error.to_string()),
        };
        Part::new(format!("image {} on {place}", want.recipe.tag), present, seen)
    });
    held.collect()
}

fn up_or_down(is_up: bool) -> &'static str {
    if is_up { "up" } else { "down" }
}
