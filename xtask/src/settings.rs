//! What the caller's environment decides: read in this one place.

use std::path::{Path, PathBuf};

/// Handed to `docker build`: how a build reaches the package index where it cannot go straight.
const BUILD_VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
];

/// The environment's say.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `DOCKER_HOST`: a Swarm to use instead of a throw-away one.
    pub(crate) docker_host: Option<String>,
    /// `KUBECTL`: the kubectl to use.
    pub(crate) kubectl: Option<PathBuf>,
    /// `ESSAIM_TESTBED_CACHE`: what survives `testbed down`. By default in the repository's `target`.
    pub(crate) cache: PathBuf,
    /// The variables of [`BUILD_VARIABLES`] that are set, as `NAME=value`.
    pub(crate) build_args: Vec<String>,
    /// The CA bundle that this machine's programs trust.
    pub(crate) ca_bundle: PathBuf,
}

impl Settings {
    pub(crate) fn from_environment() -> Self {
        Self {
            docker_host: variable("DOCKER_HOST"),
            kubectl: variable("KUBECTL").map(PathBuf::from),
            cache: variable("ESSAIM_TESTBED_CACHE")
                .map_or_else(|| repository().join("target/testbed-cache"), PathBuf::from),
            build_args: BUILD_VARIABLES
                .iter()
                .filter_map(|name| variable(name).map(|value| format!("{name}={value}")))
                .collect(),
            ca_bundle: variable("SSL_CERT_FILE")
                .unwrap_or_else(|| "/etc/ssl/certs/ca-certificates.crt".to_owned())
                .into(),
        }
    }
}

/// The root of the working copy that this program was built from.
pub(crate) fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

#[expect(clippy::disallowed_methods, reason = "the composition root of xtask: the only reader of the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
