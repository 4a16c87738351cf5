//! The machine room's network: a bridge on this machine, and for each engine a network namespace with a cable into it.
//!
//! ```text
//!   this machine                       namespace essaim-engine2
//!   essaim0 10.77.0.1 ── essaim-v2 ~~~ eth0 10.77.0.12
//! ```
//!
//! All engines have a namespace of their own, the manager too: so Docker's firewall rules, bridges and kernel settings
//! never touch this machine's own, a Docker that runs here already is left in peace, and the manager can be cut off as well.

use std::fs;
use std::path::Path;

use super::layout::{BRIDGE, BRIDGE_ADDRESS, BRIDGE_PREFIX, ENGINES, Engine};
use super::traces;
use crate::error::Error;
use crate::program::{self, Program};

/// Where `ip netns` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";

/// Makes what is missing, and reconnects cables that were cut.
pub(crate) fn ensure() -> Result<(), Error> {
    if !has_interface(BRIDGE) {
        make_bridge()?;
    }
    accept_bridged_traffic()?;
    traces::note_if_new(Path::new(NAMESPACES))?;
    for engine in &ENGINES {
        if !has_namespace(engine) {
            ip(&["netns", "add", &engine.network_namespace()])?;
            ip(&["-n", &engine.network_namespace(), "link", "set", "lo", "up"])?;
        }
        if !has_interface(&engine.cable()) {
            lay_cable(engine)?;
        }
        if !is_connected(engine) {
            connect(engine)?;
        }
    }
    Ok(())
}

/// Removes all of it; what is absent already is no error.
pub(crate) fn remove() -> Result<(), Error> {
    for engine in &ENGINES {
        if has_interface(&engine.cable()) {
            ip(&["link", "del", &engine.cable()])?;
        }
        if has_namespace(engine) {
            ip(&["netns", "del", &engine.network_namespace()])?;
        }
    }
    if has_interface(BRIDGE) {
        ip(&["link", "del", BRIDGE])?;
    }
    if program::find("iptables").is_none() {
        return Ok(());
    }
    for rule in forward_rules() {
        while iptables("--check", &rule).succeeds()? {
            iptables("--delete", &rule).run()?;
        }
    }
    Ok(())
}

/// Pulls the engine's cable: nothing goes in or out any more, while all that runs there runs on.
pub(crate) fn cut(engine: &Engine) -> Result<(), Error> {
    ip(&["link", "set", &engine.cable(), "down"])
}

/// Plugs it in again.
pub(crate) fn connect(engine: &Engine) -> Result<(), Error> {
    ip(&["link", "set", &engine.cable(), "up"])
}

/// Whether namespace and cable exist and the cable is plugged in.
pub(crate) fn is_connected(engine: &Engine) -> bool {
    let state = fs::read_to_string(format!("/sys/class/net/{}/operstate", engine.cable()));
    has_namespace(engine) && state.is_ok_and(|state| state.trim() == "up")
}

pub(crate) fn has_interface(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

pub(crate) fn namespace_file(engine: &Engine) -> String {
    format!("{NAMESPACES}/{}", engine.network_namespace())
}

pub(crate) fn ip(args: &[&str]) -> Result<(), Error> {
    Program::new("ip").args(args).run()
}

fn has_namespace(engine: &Engine) -> bool {
    Path::new(&namespace_file(engine)).exists()
}

fn make_bridge() -> Result<(), Error> {
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["addr", "add", &format!("{BRIDGE_ADDRESS}/{BRIDGE_PREFIX}"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

/// No default route in there: what has no way out should fail at once, not time out.
fn lay_cable(engine: &Engine) -> Result<(), Error> {
    let (cable, namespace) = (engine.cable(), engine.network_namespace());
    ip(&["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
    ip(&["link", "set", &cable, "master", BRIDGE])?;
    let address = format!("{}/{BRIDGE_PREFIX}", engine.address());
    ip(&["-n", &namespace, "addr", "add", &address, "dev", "eth0"])?;
    ip(&["-n", &namespace, "link", "set", "eth0", "up"])
}

/// Where a Docker runs already it has set the FORWARD policy to DROP, and bridged traffic passes through that chain.
fn accept_bridged_traffic() -> Result<(), Error> {
    for rule in forward_rules() {
        if !iptables("--check", &rule).succeeds()? {
            iptables("--insert", &rule).run()?;
        }
    }
    Ok(())
}

fn forward_rules() -> [[&'static str; 5]; 2] {
    ["--in-interface", "--out-interface"].map(|side| ["FORWARD", side, BRIDGE, "--jump", "ACCEPT"])
}

fn iptables(action: &str, rule: &[&str]) -> Program {
    Program::new("iptables").args(["--wait", "5", action]).args(rule)
}
