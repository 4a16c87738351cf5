//! Joins the engines to one Swarm: membership, node labels, the notebooks' network.

use std::collections::BTreeMap;
use std::time::Duration;

use super::docker::Docker;
use super::engine;
use super::layout::{ENGINES, Engine, LABEL, NETWORK, NETWORK_SUBNET, SWARM_POOL, manager, workers};
use super::node::{self, Node};
use crate::error::Error;
use crate::wait;

/// A node that was away shows as ready again within one or two heartbeats of 5 s.
const READY: Duration = Duration::from_mins(1);

pub(crate) fn ensure() -> Result<(), Error> {
    let docker = engine::docker(manager());
    let nodes = leading(&docker)?;
    for worker in workers() {
        ensure_joined(&docker, worker, &nodes)?;
    }
    let nodes = if all_ready(&nodes) { nodes } else { wait_for_all(&docker)? };
    for engine in &ENGINES {
        ensure_labels(&docker, engine, &nodes)?;
    }
    ensure_network(&docker)
}

/// Makes the network unless there is one of that name.
pub(crate) fn ensure_network(docker: &Docker) -> Result<(), Error> {
    if has_network(docker)? {
        return Ok(());
    }
    let create = ["network", "create", "--driver=overlay", "--attachable", "--label", LABEL];
    docker.command(create).args(["--subnet", NETWORK_SUBNET, NETWORK]).run()
}

pub(crate) fn has_network(docker: &Docker) -> Result<bool, Error> {
    // Not by a filter of `network ls`: its name filter takes patterns for local networks only.
    let found = docker.inspect("network", NETWORK, "{{.Driver}}/{{.Scope}}")?;
    Ok(found.is_some_and(|found| found == "overlay/swarm"))
}

fn init(docker: &Docker) -> Result<(), Error> {
    let address = manager().address();
    docker
        .command(["swarm", "init", "--default-addr-pool", SWARM_POOL, "--default-addr-pool-mask-length=24"])
        .args(["--advertise-addr", &address, "--listen-addr", &format!("{address}:2377")])
        .run()
}

/// The nodes, as soon as the manager leads; it makes the Swarm if it has none.
fn leading(docker: &Docker) -> Result<Vec<Node>, Error> {
    if let Ok(nodes) = node::list(docker) {
        return Ok(nodes);
    }
    if docker.membership()?.is_none() {
        init(docker)?;
    }
    // After a restart it needs a moment before it leads, and answers with errors until then.
    let see = manager().log();
    wait::until("the Swarm's manager to lead", READY, &see.display(), || Ok(node::list(docker).ok()))
}

fn ensure_joined(docker: &Docker, worker: &Engine, nodes: &[Node]) -> Result<(), Error> {
    if is_ready(worker, nodes) {
        return Ok(());
    }
    let own = engine::docker(worker);
    if let Some(membership) = own.membership()? {
        if nodes.iter().any(|node| node.id == membership.node) {
            return Ok(());
        }
        // It remembers a Swarm that is gone.
        own.run(&["swarm", "leave", "--force"])?;
    }
    for lost in nodes.iter().filter(|node| node.name == worker.name) {
        docker.run(&["node", "rm", "--force", &lost.id])?;
    }
    let token = docker.text(&["swarm", "join-token", "--quiet", "worker"])?;
    let address = worker.address();
    own.command(["swarm", "join", "--token", &token, "--advertise-addr", &address])
        .args(["--listen-addr", &format!("{address}:2377"), &format!("{}:2377", manager().address())])
        .run()
}

fn wait_for_all(docker: &Docker) -> Result<Vec<Node>, Error> {
    let see = format!("{} and its neighbours", manager().log().display());
    wait::until("all nodes of the Swarm to be ready", READY, &see, || {
        let nodes = node::list(docker)?;
        Ok(all_ready(&nodes).then_some(nodes))
    })
}

fn all_ready(nodes: &[Node]) -> bool {
    ENGINES.iter().all(|engine| is_ready(engine, nodes))
}

fn is_ready(engine: &Engine, nodes: &[Node]) -> bool {
    nodes.iter().any(|node| node.name == engine.name && node.is_ready())
}

fn ensure_labels(docker: &Docker, engine: &Engine, nodes: &[Node]) -> Result<(), Error> {
    let Some(node) = nodes.iter().find(|node| node.name == engine.name) else {
        return Ok(());
    };
    let wanted = labels(engine);
    let additions: Vec<String> = wanted
        .iter()
        .filter(|(key, value)| node.labels.get(*key) != Some(value))
        .map(|(key, value)| format!("--label-add={key}={value}"))
        .collect();
    if additions.is_empty() {
        return Ok(());
    }
    docker.command(["node", "update"]).args(additions).args([&node.id]).run()
}

/// The labels that the engine's node should carry.
pub(crate) fn labels(engine: &Engine) -> BTreeMap<String, String> {
    engine.labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
