//! A way from this machine into the overlay network, so that a gateway under test, which is no container,
//! reaches tasks by the addresses that Swarm gave them.
//!
//! ```text
//!   this machine                    container essaim-testbed-door on the manager
//!   essaim-door 10.77.1.1 ~~~ door 10.77.1.2 ── masquerade ── eth0, an address of the overlay
//! ```

use std::time::Duration;

use super::docker::Docker;
use super::layout::{BUSYBOX_IMAGE, LABEL, NETWORK, NETWORK_SUBNET, manager};
use super::{engine, network};
use crate::error::Error;
use crate::program::Program;
use crate::wait;

const CONTAINER: &str = "essaim-testbed-door";
const OUTSIDE: &str = "essaim-door";
const INSIDE: &str = "door";
const OUTSIDE_ADDRESS: &str = "10.77.1.1";
const INSIDE_ADDRESS: &str = "10.77.1.2";

/// Docker starts a small container in half a second.
const START: Duration = Duration::from_secs(20);

/// Whether it stands open: the cable goes when its container goes.
pub(crate) fn is_open() -> bool {
    network::has_interface(OUTSIDE) && matches!(pid(&engine::docker(manager())), Ok(Some(_)))
}

pub(crate) fn ensure() -> Result<(), Error> {
    if is_open() {
        return Ok(());
    }
    let docker = engine::docker(manager());
    remove_cable()?;
    // An engine that has just restarted answers "network not found" until it hears from its manager again.
    wait::until_it_succeeds(START, || replace_container(&docker))?;
    let see = manager().log();
    let pid = wait::until("the way into the network", START, &see.display(), || pid(&docker))?;
    lay_cable(pid)
}

fn replace_container(docker: &Docker) -> Result<(), Error> {
    // Fails where there is none, which is as good.
    docker.command(["rm", "--force", CONTAINER]).succeeds()?;
    docker
        .command(["run", "--detach", "--init", "--sysctl=net.ipv4.ip_forward=1", "--name", CONTAINER])
        .args(["--label", LABEL, "--network", NETWORK, BUSYBOX_IMAGE, "sleep", "2147483647"])
        .run()
}

pub(crate) fn remove_cable() -> Result<(), Error> {
    if network::has_interface(OUTSIDE) {
        network::ip(&["link", "del", OUTSIDE])?;
    }
    Ok(())
}

/// The first process of the container, if it runs.
fn pid(docker: &Docker) -> Result<Option<u32>, Error> {
    let pid = docker.inspect("container", CONTAINER, "{{.State.Pid}}")?;
    Ok(pid.and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0))
}

fn lay_cable(pid: u32) -> Result<(), Error> {
    let namespace = format!("/proc/{pid}/ns/net");
    network::ip(&["link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE, "netns", &namespace])?;
    network::ip(&["addr", "add", &format!("{OUTSIDE_ADDRESS}/30"), "dev", OUTSIDE])?;
    network::ip(&["link", "set", OUTSIDE, "up"])?;
    let inside = |args: &[&str]| Program::new("nsenter").args([format!("--net={namespace}")]).args(args).run();
    inside(&["ip", "addr", "add", &format!("{INSIDE_ADDRESS}/30"), "dev", INSIDE])?;
    inside(&["ip", "link", "set", INSIDE, "up"])?;
    // Tasks know no way back to this machine; they answer to the door.
    inside(&["iptables", "-t", "nat", "-A", "POSTROUTING", "-s", OUTSIDE_ADDRESS, "-j", "MASQUERADE"])?;
    network::ip(&["route", "replace", NETWORK_SUBNET, "via", INSIDE_ADDRESS])
}
