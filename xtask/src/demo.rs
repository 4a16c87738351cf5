//! `cargo xtask demo`: the platform's main job, for real, from nothing to nothing.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::jupyter::Caller;
use crate::platform::{self, Options, Platform};
use crate::progress::say;
use crate::testbed::{Site, directory_file};
use crate::{leftovers, repository, wait};

/// What the cell computes and prints: it needs a live kernel, the user's identity and the manifest's environment.
const CELL: &str = "import os, socket; print(6 * 7, os.getuid(), os.environ['GREETING'], socket.gethostname())";
/// What alice's kernel must print.
const EXPECTED: &str = "42 5001 bonjour jns-alice";

/// Runs the demo. A site that was up before stays up; one that the demo made goes, unless `keep`.
///
/// # Errors
/// The first step that failed.
pub fn run(keep: bool) -> Result<(), Error> {
    let mut steps = Steps::default();
    let was_up = Site::attach().is_ok();
    let site = steps.run("a Swarm of three engines, with images", Site::up)?;
    let binary = steps.run("build essaim", || platform::build(false))?;
    let directory = repository::target().join("demo");
    if directory.exists() {
        std::fs::remove_dir_all(&directory).map_err(Error::file("remove", &directory))?;
    }
    let options = Options {
        binary,
        swarm: site.docker_host().to_owned(),
        directory: directory_file(),
        logins: vec!["alice".into()],
        arguments: Vec::new(),
    };
    let mut essaim = steps.run("essaim serve: API, controllers, gateway", || Platform::start(options, &directory))?;
    let examples = repository::root().join("examples/first-notebook/");
    steps.run("kubectl apply -f examples/first-notebook/", || {
        essaim.kubectl(&["apply", "-f", &examples.to_string_lossy()])
    })?;
    steps.run("the server is Ready", || {
        essaim.kubectl(&["wait", "--for=condition=Ready", "nbs/lab", "-n", "alice", "--timeout=120s"])
    })?;
    let caller = Caller::with_token(essaim.gateway(), &platform::token("alice"));
    let printed =
        steps.run("a cell runs through the gateway's WebSocket", || caller.run_cell("/user/alice/lab/", CELL))?;
    say(&format!("  the cell printed: {}", printed.trim()));
    if printed.trim() != EXPECTED {
        return Err(Error::Notebook(format!("the cell printed {printed:?} instead of {EXPECTED:?}")));
    }
    if keep {
        return steps.keep(&essaim);
    }
    let uid = essaim.kubectl(&["get", "nbs/lab", "-n", "alice", "-o", "jsonpath={.metadata.uid}"])?;
    steps.run("kubectl delete", || essaim.kubectl(&["delete", "nbs/lab", "-n", "alice", "--timeout=60s"]))?;
    steps.run("no service, secret, network or container left", || nothing_left(&site, &uid))?;
    essaim.stop()?;
    if !was_up {
        steps.run("the site is taken down", Site::down)?;
    }
    steps.tell();
    Ok(())
}

fn nothing_left(site: &Site, uid: &str) -> Result<(), Error> {
    let label = format!("{}={uid}", leftovers::OWNER_UID);
    wait::until("everything of the server to be gone", Duration::from_secs(30), &"docker service ls", || {
        Ok(leftovers::find(site, &label)?.is_empty().then_some(()))
    })
}

/// The steps done, with their times.
#[derive(Default)]
struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Says the step, does it, notes its time.
    fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        say(&format!("[{}] {name}", self.done.len() + 1));
        let start = now();
        let result = step()?;
        self.done.push((name.to_owned(), now() - start));
        Ok(result)
    }

    fn tell(&self) {
        say("time per step:");
        for (name, time) in &self.done {
            say(&format!("{:8.2} s  {name}", time.as_secs_f64()));
        }
    }

    /// Waits for Ctrl-C with everything running.
    fn keep(&self, essaim: &Platform) -> Result<(), Error> {
        self.tell();
        say(&format!("open http://{}/ and log in with the token {}", essaim.gateway(), platform::token("alice")));
        say(&format!("export KUBECONFIG={}", essaim.kubeconfig().display()));
        say("Ctrl-C ends essaim; `cargo xtask testbed down` takes the site away");
        loop {
            std::thread::park();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's tool tells real times; nothing is decided from them")]
fn now() -> Instant {
    Instant::now()
}
