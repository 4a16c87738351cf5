//! Where the bench takes place: the site, to ourselves as far as machines go; an essaim; one node that everything is pinned to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::figures::timed;
use super::http::Peer;
use crate::error::Error;
use crate::platform::{self, Options, Platform};
use crate::progress::say;
use crate::testbed::{NOTEBOOK_IMAGE, Node, Site};
use crate::{repository, wait};

/// All containers of a bench run on this node, so that every start finds the same image and the same caches.
const NODE: &str = "engine2";
/// The label that no other node has.
pub(super) const NODE_LABEL: (&str, &str) = ("gpu_model", "K80");
/// How many servers start at once.
pub(super) const MANY: usize = 10;
/// Longest that a start may take.
const START: &str = "--timeout=180s";
/// Longest that a container takes to be gone.
const GONE: Duration = Duration::from_mins(2);

/// Dropping it ends essaim and lets the tests that hurt machines go on.
pub(super) struct Arena {
    pub(super) site: Site,
    pub(super) node: Node,
    pub(super) essaim: Platform,
    folder: PathBuf,
    runtime: tokio::runtime::Runtime,
    _turn: File,
}

impl Arena {
    /// Brings the site up where it is not, builds essaim and starts it with an empty store.
    pub(super) fn enter(binary: Option<&Path>) -> Result<Self, Error> {
        say("waiting for tests that hurt machines");
        let turn = take_turn()?;
        let site = Site::attach().or_else(|_| Site::up())?;
        let node = site.nodes()?.into_iter().find(|node| node.name == NODE);
        let node = node.filter(|_| site.is_throw_away()).ok_or_else(|| Error::NoSuchNode(NODE.into()))?;
        sweep(&site)?; // what an interrupted bench left
        let binary = if let Some(binary) = binary {
            binary.to_owned()
        } else {
            say("building essaim (release; minutes, if it was not built before)");
            platform::build(true)?
        };
        let folder = fresh(&repository::target().join("bench/run"))?;
        let directory = write_directory(&folder)?;
        let swarm = site.docker_host().to_owned();
        let logins = vec!["u01".to_owned()];
        let options = Options { binary, swarm, directory, logins, arguments: Vec::new() };
        let essaim = Platform::start(options, &folder.join("essaim"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::file("start", "an asynchronous runtime"))?;
        Ok(Self { site, node, essaim, folder, runtime, _turn: turn })
    }

    /// Runs asynchronous work to its end.
    pub(super) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Docker's API of the Swarm's manager.
    pub(super) fn manager(&self) -> Result<Peer, Error> {
        Peer::docker(self.site.docker_host())
    }

    /// A directory for the files of one part of the bench.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        fresh(&self.folder.join(name))
    }

    /// Makes the class of this name and the namespaces of all logins.
    pub(super) fn prepare(&self, class: &str, image: &str) -> Result<(), Error> {
        let (key, value) = NODE_LABEL;
        let spec = json!({
            "images": [{"name": "python", "image": image}],
            "placement": {key: value},
            "resources": {"memory": {"default": "512Mi"}},
        });
        let mut items = vec![
            json!({"apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookClass", "metadata": {"name": class}, "spec": spec}),
        ];
        items.extend(
            logins(MANY).map(|login| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": login}})),
        );
        self.apply("prepare", &items)
    }

    /// A class of the image of the test bed, for the comparison with Docker.
    pub(super) fn prepare_plain(&self) -> Result<(), Error> {
        self.prepare("plain", NOTEBOOK_IMAGE)
    }

    /// Applies objects in one file.
    pub(super) fn apply(&self, name: &str, items: &[serde_json::Value]) -> Result<(), Error> {
        let path = self.write(name, items)?;
        self.essaim.kubectl(&["apply", "-f", &path.to_string_lossy()]).map(drop)
    }

    /// Starts `count` servers of the class, one for each login, and says how long it took until the last was Ready.
    ///
    /// The clock runs from before `kubectl apply` is started until `kubectl wait` (a watch) has ended: both processes are part of it.
    pub(super) fn start(&self, class: &str, count: usize) -> Result<Duration, Error> {
        let servers = logins(count).map(|login| {
            json!({
                "apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServer",
                "metadata": {"name": "lab", "namespace": login, "labels": {"bench": "spawn"}},
                "spec": {"class": class},
            })
        });
        let path = self.write("servers", &servers.collect::<Vec<_>>())?;
        let (result, time) = timed(|| {
            self.essaim.kubectl(&["apply", "-f", &path.to_string_lossy()])?;
            self.essaim.kubectl(&["wait", "nbs", "-A", "-l", "bench=spawn", "--for=condition=Ready", START])
        });
        result.map(|_| time)
    }

    /// Deletes the servers, and waits until their containers are gone.
    pub(super) fn stop(&self) -> Result<(), Error> {
        self.essaim.kubectl(&["delete", "nbs", "-A", "-l", "bench=spawn", "--timeout=120s"])?;
        self.wait_until_gone("label=essaim.dev/owner-name=lab")
    }

    /// Waits until the node has no container that the filter fits.
    pub(super) fn wait_until_gone(&self, filter: &str) -> Result<(), Error> {
        wait::until("the containers to be gone", GONE, &"`docker ps --all` on the node", || {
            let left = self.site.docker_on(NODE, &["ps", "--all", "--quiet", "--filter", filter])?;
            Ok(left.is_empty().then_some(()))
        })
    }

    fn write(&self, name: &str, items: &[serde_json::Value]) -> Result<PathBuf, Error> {
        let path = self.folder.join(format!("{name}.json"));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        fs::write(&path, list.to_string()).map_err(Error::file("write", &path))?;
        Ok(path)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.essaim.kill(); // or it would make again what goes
        if let Err(error) = sweep(&self.site) {
            say(&format!("something of the bench may be left on the Swarm: {error}"));
        }
    }
}

/// Removes what carries the bench's own names and logins, of all three parties.
fn sweep(site: &Site) -> Result<(), Error> {
    for (kind, format) in [
        ("service", "{{.Name}} {{.Name}}"),
        ("secret", "{{.Name}} jns-{{.Label \"essaim.dev/owner-namespace\"}}_"), // as a service of the same owner begins
    ] {
        let listed = site.docker(&[kind, "ls", "--format", format])?;
        for (name, begin) in listed.lines().filter_map(|line| line.split_once(' ')) {
            let of_login = logins(MANY).any(|login| begin.starts_with(&format!("jns-{login}_")));
            if of_login || name.starts_with("essaim-bench-") || name.starts_with("jupyter-u") {
                site.docker(&[kind, "rm", name])?;
            }
        }
    }
    Ok(())
}

/// `u01`, `u02`, …
pub(super) fn logins(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|number| format!("u{number:02}"))
}

/// The bench's own logins, without homes: what is compared is the start, not the storage.
fn write_directory(folder: &Path) -> Result<PathBuf, Error> {
    let users: Vec<_> = logins(MANY)
        .zip(6001..)
        .map(
            |(login, id)| json!({"login": login, "uid": id, "gid": id, "groups": [], "home": format!("/home/{login}")}),
        )
        .collect();
    let text = serde_yaml::to_string(&json!({"users": users})).map_err(Error::Directory)?;
    let path = folder.join("directory.yaml");
    fs::write(&path, text).map_err(Error::file("write", &path))?;
    Ok(path)
}

/// An empty directory.
fn fresh(path: &Path) -> Result<PathBuf, Error> {
    if path.exists() {
        fs::remove_dir_all(path).map_err(Error::file("remove", path))?;
    }
    fs::create_dir_all(path).map_err(Error::file("create", path))?;
    Ok(path.to_owned())
}

/// Shared with ordinary tests; those that cut and kill machines wait for its end.
fn take_turn() -> Result<File, Error> {
    let path = std::env::temp_dir().join("essaim-tests-turn.lock");
    let file = File::options().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
    file.lock_shared().map_err(Error::file("lock", &path))?;
    Ok(file)
}
