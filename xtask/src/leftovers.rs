//! What servers have on the Swarm: for checks that nothing is left. Other platforms may share the Swarm, so callers say whose.

use crate::error::Error;
use crate::testbed::Site;

/// On services, secrets and containers: the uid of the object that they belong to.
pub const OWNER_UID: &str = "essaim.dev/owner-uid";

/// Services, secrets, networks and containers with this label (`KEY` or `KEY=VALUE`), one line each; empty when nothing is left.
///
/// # Errors
/// An engine did not answer: that is not "nothing".
pub fn find(site: &Site, label: &str) -> Result<Vec<String>, Error> {
    let ours = format!("label={label}");
    let mut found = Vec::new();
    for (what, arguments) in [
        ("service", ["service", "ls", "--filter", &ours, "--format", "{{.Name}}"]),
        ("secret", ["secret", "ls", "--filter", &ours, "--format", "{{.Name}}"]),
        ("network", ["network", "ls", "--filter", &ours, "--format", "{{.Name}}"]),
    ] {
        found.extend(site.docker(&arguments)?.lines().map(|name| format!("{what} {name}")));
    }
    for node in site.nodes()? {
        let containers = site.docker_on(&node.name, &["ps", "--all", "--filter", &ours, "--format", "{{.Names}}"])?;
        found.extend(containers.lines().map(|name| format!("container {name} on {}", node.name)));
    }
    Ok(found)
}
