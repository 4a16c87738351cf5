//! What of essaim is on the Swarm: for checks that nothing is left.

use crate::error::Error;
use crate::testbed::Site;

/// The label on everything that essaim makes.
const OURS: &str = "label=essaim.dev/managed-by=essaim";
/// The label on its containers.
const CONTAINERS: &str = "label=essaim.dev/owner-uid";

/// Services, secrets, networks and containers of essaim's, one line each; empty when nothing is left.
///
/// # Errors
/// An engine did not answer: that is not "nothing".
pub fn find(site: &Site) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for (what, arguments) in [
        ("service", ["service", "ls", "--filter", OURS, "--format", "{{.Name}}"]),
        ("secret", ["secret", "ls", "--filter", OURS, "--format", "{{.Name}}"]),
        ("network", ["network", "ls", "--filter", OURS, "--format", "{{.Name}}"]),
    ] {
        found.extend(site.docker(&arguments)?.lines().map(|name| format!("{what} {name}")));
    }
    for node in site.nodes()? {
        let containers =
            site.docker_on(&node.name, &["ps", "--all", "--filter", CONTAINERS, "--format", "{{.Names}}"])?;
        found.extend(containers.lines().map(|name| format!("container {name} on {}", node.name)));
    }
    Ok(found)
}
