//! Every name, path and address of the throw-away site, and what its three machines pretend to be.

use std::path::{Path, PathBuf};

/// What outlives a process: images, containers, logs, shared directories. Removed by `down`.
pub const STATE: &str = "/var/lib/essaim-testbed";
/// Sockets and pid files. Removed by `down`.
pub const RUN: &str = "/run/essaim-testbed";
/// Only one command changes the site at a time.
pub(crate) const LOCK: &str = "/run/essaim-testbed.lock";

/// The label of all that a test bed makes in a Swarm, so that `down` finds it again.
pub const LABEL: &str = "essaim.dev/testbed=true";

/// The overlay network of the notebooks. /20: the default /24 is full at about 100 services.
pub const NETWORK: &str = "essaim";
pub(crate) const NETWORK_SUBNET: &str = "10.79.0.0/20";
/// Swarm's own networks take their ranges from here, away from the bridge and from `NETWORK_SUBNET`.
pub(crate) const SWARM_POOL: &str = "10.78.0.0/16";

/// The bridge that stands for the machine room's network.
pub(crate) const BRIDGE: &str = "essaim0";
/// This machine's own address on it: how a container reaches a server that runs here.
pub const BRIDGE_ADDRESS: &str = "10.77.0.1";
pub(crate) const BRIDGE_SUBNET: &str = "10.77.0.0/24";
pub(crate) const BRIDGE_PREFIX: &str = "24";

/// The images, on every engine. There is no registry.
pub const NOTEBOOK_IMAGE: &str = "essaim/notebook:testbed";
/// Static busybox, for tests that need no Python.
pub const BUSYBOX_IMAGE: &str = "essaim/busybox:testbed";

/// The cgroup under which all containers run, one directory an engine.
pub(crate) const CGROUP: &str = "essaim-testbed";

/// The directories that hosts of the site share, and that notebooks mount.
pub fn shared() -> PathBuf {
    Path::new(STATE).join("shared")
}

/// The directory file of the demo logins, for `essaim serve --directory file=…`.
pub fn directory_file() -> PathBuf {
    Path::new(STATE).join("directory.yaml")
}

/// A pretended machine: a network namespace with one Docker engine.
pub(crate) struct Engine {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) labels: &'static [(&'static str, &'static str)],
    pub(crate) gpus: u8,
}

/// The first one is the Swarm's manager, and takes tasks as well. No two have the same labels or the same GPUs.
pub(crate) const ENGINES: [Engine; 3] = [
    Engine {
        number: 1,
        name: "engine1",
        labels: &[("usage_type", "computing"), ("compute_engine", "cpu"), ("memory_resource", "medium")],
        gpus: 0,
    },
    Engine {
        number: 2,
        name: "engine2",
        labels: &[
            ("usage_type", "computing"),
            ("compute_engine", "gpu"),
            ("memory_resource", "large"),
            ("gpu_model", "K80"),
        ],
        gpus: 4,
    },
    Engine {
        number: 3,
        name: "engine3",
        labels: &[
            ("usage_type", "training"),
            ("compute_engine", "gpu"),
            ("memory_resource", "small"),
            ("gpu_model", "V100"),
        ],
        gpus: 2,
    },
];

pub(crate) fn manager() -> &'static Engine {
    &ENGINES[0]
}

pub(crate) fn workers() -> &'static [Engine] {
    &ENGINES[1..]
}

impl Engine {
    pub(crate) fn address(&self) -> String {
        format!("10.77.0.1{}", self.number)
    }

    pub(crate) fn network_namespace(&self) -> String {
        format!("essaim-{}", self.name)
    }

    /// This machine's end of the cable; the other end is `eth0` in the namespace.
    pub(crate) fn cable(&self) -> String {
        format!("essaim-v{}", self.number)
    }

    /// Recognisable as invented: no real device has such a number.
    pub(crate) fn gpu_uuids(&self) -> impl Iterator<Item = String> {
        let engine = self.number;
        (0..self.gpus).map(move |gpu| format!("GPU-e55a1e00-0000-4000-8{engine:03}-{gpu:012}"))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.run_file("sock")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.run_file("pid")
    }

    fn run_file(&self, extension: &str) -> PathBuf {
        Path::new(RUN).join(self.name).with_extension(extension)
    }

    pub(crate) fn run_directory(&self) -> PathBuf {
        Path::new(RUN).join(self.name)
    }

    pub(crate) fn state_directory(&self) -> PathBuf {
        Path::new(STATE).join(self.name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        Path::new(STATE).join("logs").join(self.name).with_extension("log")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_engines_share_a_gpu_or_a_set_of_labels() {
        let gpus: Vec<String> = ENGINES.iter().flat_map(Engine::gpu_uuids).collect();
        assert_eq!(gpus.iter().collect::<BTreeSet<_>>().len(), gpus.len());
        assert_eq!(gpus[0], "GPU-e55a1e00-0000-4000-8002-000000000000");
        let labels: BTreeSet<_> = ENGINES.iter().map(|engine| engine.labels).collect();
        assert_eq!(labels.len(), ENGINES.len());
    }
}
