//! A network for three machines: a bridge on this machine, and for each of them a namespace with a cable into it.
//!
//! Whoever holds the room has it alone; what a holder that was killed left behind goes before it is made anew.

use std::fs::File;
use std::path::Path;

use crate::error::Error;
use crate::program::{self, Program};

/// What everything of this room is called, and how it begins.
const NAME: &str = "essaim-fire";
const BRIDGE: &str = "essaim-fire0";
const NETWORK: &str = "10.79.0";
pub(super) const MACHINES: usize = 3;

/// The network, as long as it is held.
#[derive(Debug)]
pub(super) struct Room {
    /// Held from before the network is made until after it is gone.
    _turn: File,
}

impl Room {
    /// Waits for whoever has it, and makes it anew.
    pub(super) fn make() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("{NAME}.lock"));
        let turn = File::options().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
        turn.lock().map_err(Error::file("lock", &path))?;
        remove()?;
        let room = Self { _turn: turn };
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{NETWORK}.1/24"), "dev", BRIDGE])?;
        ip(&["link", "set", BRIDGE, "up"])?;
        // Bridged traffic may pass through that chain, and a Docker on this machine makes it refuse.
        for rule in rules() {
            iptables("--insert", &rule).run()?;
        }
        (0..MACHINES).try_for_each(furnish)?;
        Ok(room)
    }

    /// A program that begins to run on a machine: the process is its own, nothing stands in between.
    pub(super) fn enter(machine: usize) -> [String; 3] {
        ["netns".into(), "exec".into(), namespace(machine)]
    }

    /// Pulls the cable of a machine, or plugs it in.
    pub(super) fn plug(machine: usize, plugged: bool) -> Result<(), Error> {
        ip(&["link", "set", &cable(machine), if plugged { "up" } else { "down" }])
    }

    /// Parts two machines, which both still reach this one, or lets them meet again.
    pub(super) fn part(one: usize, other: usize, parted: bool) -> Result<(), Error> {
        let action = if parted { "add" } else { "del" };
        for (from, to) in [(one, other), (other, one)] {
            let to = format!("{}/32", address(to));
            ip(&["-n", &namespace(from), "route", action, "blackhole", &to])?;
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(error) = remove() {
            crate::progress::say(&format!("could not remove the network {BRIDGE}: {error}"));
        }
    }
}

/// The address of a machine.
pub(super) fn address(machine: usize) -> String {
    format!("{NETWORK}.{}", 11 + machine)
}

fn namespace(machine: usize) -> String {
    format!("{NAME}-{machine}")
}

fn cable(machine: usize) -> String {
    format!("{NAME}-v{machine}")
}

fn furnish(machine: usize) -> Result<(), Error> {
    let (namespace, cable) = (namespace(machine), cable(machine));
    ip(&["netns", "add", &namespace])?;
    ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
    ip(&["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
    ip(&["link", "set", &cable, "master", BRIDGE, "up"])?;
    ip(&["-n", &namespace, "addr", "add", &format!("{}/24", address(machine)), "dev", "eth0"])?;
    ip(&["-n", &namespace, "link", "set", "eth0", "up"])
}

/// Removes all of it; what is absent already is no error.
fn remove() -> Result<(), Error> {
    for machine in 0..MACHINES {
        if has_interface(&cable(machine)) {
            ip(&["link", "del", &cable(machine)])?;
        }
        if Path::new("/run/netns").join(namespace(machine)).exists() {
            ip(&["netns", "del", &namespace(machine)])?;
        }
    }
    if has_interface(BRIDGE) {
        ip(&["link", "del", BRIDGE])?;
    }
    if program::find("iptables").is_none() {
        return Ok(());
    }
    for rule in rules() {
        while iptables("--check", &rule).succeeds()? {
            iptables("--delete", &rule).run()?;
        }
    }
    Ok(())
}

fn has_interface(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

fn ip(args: &[&str]) -> Result<(), Error> {
    Program::new("ip").args(args).run()
}

fn rules() -> [[&'static str; 5]; 2] {
    ["--in-interface", "--out-interface"].map(|side| ["FORWARD", side, BRIDGE, "--jump", "ACCEPT"])
}

fn iptables(action: &str, rule: &[&str]) -> Program {
    Program::new("iptables").args(["--wait", "5", action]).args(rule)
}
