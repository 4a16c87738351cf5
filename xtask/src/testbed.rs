//! The throw-away site: a real Docker Swarm of three engines on this machine, and what notebooks need around it.
//!
//! ```no_run
//! # fn main() -> Result<(), xtask::Error> {
//! let site = xtask::testbed::Site::up()?; // makes it, or repairs it, or finds it up
//! site.cut("engine2")?;                   // a machine drops off the network …
//! site.heal("engine2")?;                  // … and comes back
//! # Ok(())
//! # }
//! ```
//!
//! Where a Swarm is there already (`DOCKER_HOST`, or this machine's own Docker, is a Swarm manager), that one is used:
//! it gets the images and the network, and its machines are left alone.

mod builder;
mod command;
mod docker;
mod door;
mod engine;
mod existing;
mod images;
mod layout;
mod lock;
mod network;
mod node;
mod process;
mod recipe;
mod resolver;
mod shared;
mod status;
mod swarm;
mod traces;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

pub use command::Command;
pub use layout::{BRIDGE_ADDRESS, BUSYBOX_IMAGE, LABEL, NETWORK, NOTEBOOK_IMAGE, RUN, STATE, directory_file, shared};
pub use node::Node;
pub use status::Part;

use crate::debian::{self, Need};
use crate::error::Error;
use crate::progress;
use crate::settings::Settings;
use docker::Docker;
use layout::{ENGINES, Engine, LOCK};
use lock::Lock;

/// What the site is made with, and the Debian packages that bring it.
const NEEDS: [Need; 6] = [
    Need { program: "dockerd", packages: &["docker.io"] },
    // In its own package since Debian 13.
    Need { program: "docker", packages: &["docker.io", "docker-cli"] },
    Need { program: "ip", packages: &["iproute2"] },
    Need { program: "iptables", packages: &["iptables"] },
    Need { program: "dnsmasq", packages: &["dnsmasq-base"] },
    Need { program: "mmdebstrap", packages: &["mmdebstrap"] },
];

/// A site that is up, or was when it was attached to.
#[derive(Debug, Clone)]
pub struct Site {
    manager: Docker,
    is_ours: bool,
    settings: Settings,
}

impl Site {
    /// Makes the site, or repairs what is missing of it; where all is up, only looks.
    ///
    /// Guarantees: on return all engines answer, all nodes are ready, all images are loaded.
    /// Two calls at once, also from two processes, follow one another.
    /// It also undoes faults (`cut`, `kill`): tests that share a site call it once, and [`Site::attach`] afterwards.
    pub fn up() -> Result<Self, Error> {
        let settings = Settings::from_environment();
        if let Some(manager) = foreign(&settings) {
            progress::say(&format!("using the Swarm that is here already: {}", manager.host()));
            existing::ensure(&settings, &manager)?;
            return Ok(Self { manager, is_ours: false, settings });
        }
        require_root()?;
        let _lock = Lock::take(Path::new(LOCK))?;
        debian::require(&NEEDS)?;
        shared::ensure()?;
        network::ensure()?;
        resolver::ensure()?;
        at_once(&ENGINES, engine::ensure)?;
        swarm::ensure()?;
        images::ensure(&settings, &ENGINES.each_ref().map(engine::docker))?;
        door::ensure()?;
        Ok(Self::throw_away(settings))
    }

    /// The site that is up, faults and all.
    pub fn attach() -> Result<Self, Error> {
        let settings = Settings::from_environment();
        if let Some(manager) = foreign(&settings) {
            return Ok(Self { manager, is_ours: false, settings });
        }
        if is_made() { Ok(Self::throw_away(settings)) } else { Err(Error::NotUp) }
    }

    /// Removes the site. Guarantees: of what `up` made, only installed packages and the cache are left.
    pub fn down() -> Result<(), Error> {
        if let Some(manager) = existing::named(&Settings::from_environment()) {
            return existing::clean(&manager);
        }
        if let Some(manager) = existing::usual() {
            existing::clean(&manager)?;
        }
        if !is_made() {
            return Ok(());
        }
        require_root()?;
        let lock = Lock::take(Path::new(LOCK))?;
        remove_throw_away()?;
        lock.remove()
    }

    fn throw_away(settings: Settings) -> Self {
        Self { manager: engine::docker(layout::manager()), is_ours: true, settings }
    }

    /// Whether this is the throw-away site, with machines to break, demo logins and shared directories.
    pub fn is_throw_away(&self) -> bool {
        self.is_ours
    }

    /// The manager's address, for `DOCKER_HOST` and `essaim serve --swarm`.
    pub fn docker_host(&self) -> &str {
        self.manager.host()
    }

    /// The `docker` command against the manager: its standard output.
    pub fn docker(&self, arguments: &[&str]) -> Result<String, Error> {
        self.manager.text(arguments)
    }

    /// The `docker` command against the named node's own engine; where the site is not ours, the manager's is all there is.
    pub fn docker_on(&self, node: &str, arguments: &[&str]) -> Result<String, Error> {
        if self.is_ours { engine::docker(self.own(node)?).text(arguments) } else { self.manager.text(arguments) }
    }

    /// The address of the named node's own engine, as its agent would use it.
    pub fn engine_host(&self, node: &str) -> Result<String, Error> {
        Ok(engine::docker(self.own(node)?).host().to_owned())
    }

    /// All nodes, ordered by name.
    pub fn nodes(&self) -> Result<Vec<Node>, Error> {
        node::list(&self.manager)
    }

    /// Every part, and whether it is up.
    pub fn status(&self) -> Vec<Part> {
        if self.is_ours { status::throw_away(&self.settings) } else { status::existing(&self.settings, &self.manager) }
    }

    /// Pulls the node's network cable; what runs there runs on. Swarm notices after some 15 s.
    pub fn cut(&self, node: &str) -> Result<(), Error> {
        network::cut(self.own(node)?)
    }

    /// Plugs the cable in again.
    pub fn heal(&self, node: &str) -> Result<(), Error> {
        network::connect(self.own(node)?)
    }

    /// Kills the node's dockerd, as a crash would: its containers run on until [`Site::start`].
    pub fn kill(&self, node: &str) -> Result<(), Error> {
        engine::kill(self.own(node)?)
    }

    /// Ends the node's dockerd and all its containers at once.
    pub fn power_off(&self, node: &str) -> Result<(), Error> {
        engine::power_off(self.own(node)?)
    }

    /// Starts the node's dockerd again with the directories that it had, and waits until it answers.
    ///
    /// The containers of before do not survive it, as after a reboot; whether they come back is Swarm's to decide.
    /// The engines' gossip needs up to some 10 s more before traffic flows between all of them again.
    pub fn start(&self, node: &str) -> Result<(), Error> {
        let engine = self.own(node)?;
        let _lock = Lock::take(Path::new(LOCK))?;
        engine::ensure(engine)?;
        if engine.number == layout::manager().number {
            swarm::ensure()?;
            door::ensure()?;
        }
        Ok(())
    }

    fn own(&self, node: &str) -> Result<&'static Engine, Error> {
        if !self.is_ours {
            return Err(Error::NotOurs(node.to_owned()));
        }
        ENGINES.iter().find(|engine| engine.name == node).ok_or_else(|| Error::NoSuchNode(node.to_owned()))
    }
}

/// The Swarm to use instead of a throw-away one; one that is made already stays the one to use.
fn foreign(settings: &Settings) -> Option<Docker> {
    existing::named(settings).or_else(|| if is_made() { None } else { existing::usual() })
}

fn is_made() -> bool {
    Path::new(STATE).exists()
}

fn require_root() -> Result<(), Error> {
    let process = "/proc/self";
    let owner = fs::metadata(process).map_err(Error::file("look at", process))?.uid();
    if owner == 0 { Ok(()) } else { Err(Error::NotRoot) }
}

fn remove_throw_away() -> Result<(), Error> {
    builder::discard()?;
    door::remove_cable()?;
    at_once(&ENGINES, engine::power_off)?;
    resolver::stop()?;
    network::remove()?;
    engine::remove_cgroups()?;
    shared::unmount()?;
    traces::remove()?;
    for directory in [RUN, STATE] {
        if Path::new(directory).exists() {
            fs::remove_dir_all(directory).map_err(Error::file("remove", directory))?;
        }
    }
    Ok(())
}

/// Does the same to all at once; a panic in a thread goes on here.
fn at_once<I: Sync, T: Send>(items: &[I], act: impl Fn(&I) -> Result<T, Error> + Sync) -> Result<Vec<T>, Error> {
    let act = &act;
    thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(move || act(item))).collect();
        let join =
            |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        threads.into_iter().map(join).collect()
    })
}
