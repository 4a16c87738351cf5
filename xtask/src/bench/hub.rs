//! The peer of the same trade: JupyterHub with dockerspawner's SwarmSpawner, driven through its REST API.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::arena::{Arena, NODE_LABEL, logins};
use super::figures::timed;
use super::http::Peer;
pub(super) use super::hub_parts::{IMAGE, install};
use super::hub_parts::{jupyterhub, proxy, versions};
use crate::error::Error;
use crate::program::Program;
use crate::progress::say;
use crate::testbed::Site;
use crate::{repository, wait};

/// The hub is on its feet in some seconds.
const START: Duration = Duration::from_mins(2);
/// Longest that its stopped servers take to be gone.
const GONE: Duration = Duration::from_mins(2);
/// Longest that it takes to end: it stops what servers it has left.
const END: Duration = Duration::from_mins(1);
/// Guessable, like everything that is thrown away.
const TOKEN: &str = "throw-away-token-of-the-bench";

/// A running hub with its proxy. Dropping it ends both.
pub(super) struct Hub {
    api: Peer,
    process: Child,
}

impl Hub {
    /// Starts it with an empty database, and makes its users.
    pub(super) fn start(arena: &Arena) -> Result<Self, Error> {
        say(&format!("starting {}", versions()?));
        let folder = arena.folder("hub")?;
        let public = free_address("127.0.0.1")?;
        let log_path = folder.join("hub.log");
        let log = File::create(&log_path).map_err(Error::file("create", &log_path))?;
        let process = Command::new(jupyterhub())
            .args(["--config".into(), repository::root().join("deploy/bench/jupyterhub_config.py")])
            .envs(surroundings(arena, &public)?)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|source| Error::Start { command: "jupyterhub".into(), source })?;
        let hub = Self { api: Peer::Web { host: public, token: Some(TOKEN.into()) }, process };
        wait::until("JupyterHub to answer", START, &log_path.display(), || {
            let answer = arena.run(hub.api.exchange("GET", "/hub/api/", None));
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })?;
        let users = json!({"usernames": logins(super::arena::MANY).collect::<Vec<_>>()});
        arena.run(hub.api.ask("POST", "/hub/api/users", Some(&users)))?;
        Ok(hub)
    }

    /// Starts `count` servers, one for each login: from the first request until the last progress stream has ended with `ready`.
    pub(super) fn spawn(&self, arena: &Arena, count: usize) -> Result<Duration, Error> {
        let starts = logins(count).map(|login| self.spawn_one(login));
        let (result, time) = timed(|| arena.run(try_join_all(starts)));
        result?;
        // Through the proxy, as a user would come: otherwise the comparison would not be fair to essaim's Ready.
        for login in logins(count) {
            let answer = arena.run(self.api.ask("GET", &format!("/user/{login}/api"), None))?;
            if answer.json()["version"].is_null() {
                return Err(Error::Claim(format!(
                    "JupyterHub says that {login}'s server is ready, but it does not answer"
                )));
            }
        }
        Ok(time)
    }

    /// Stops the servers, and waits until the Swarm has forgotten them.
    pub(super) fn stop(&self, arena: &Arena, count: usize) -> Result<(), Error> {
        arena.run(try_join_all(logins(count).map(|login| self.stop_one(login))))?;
        wait::until("JupyterHub's services to be gone", GONE, &"docker service ls", || {
            Ok(services(&arena.site)?.is_empty().then_some(()))
        })?;
        arena.wait_until_gone("name=jupyter-u")?;
        for login in logins(count) {
            wait::until("JupyterHub to know that it stopped", GONE, &"its log", || {
                let user = arena.run(self.api.ask("GET", &format!("/hub/api/users/{login}"), None))?.json();
                let idle =
                    user["servers"].as_object().is_none_or(serde_json::Map::is_empty) && user["pending"].is_null();
                Ok(idle.then_some(()))
            })?;
        }
        Ok(())
    }

    async fn spawn_one(&self, login: String) -> Result<(), Error> {
        let path = format!("/hub/api/users/{login}/server");
        self.api.ask("POST", &path, None).await?;
        let events = self.api.ask("GET", &format!("{path}/progress"), None).await?;
        let text = String::from_utf8_lossy(&events.body);
        let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap_or_default();
        let last: Value = serde_json::from_str(last).unwrap_or_default();
        if last["ready"] == true { Ok(()) } else { Err(Error::Exchange { what: path, why: text.into_owned() }) }
    }

    async fn stop_one(&self, login: String) -> Result<(), Error> {
        self.api.ask("DELETE", &format!("/hub/api/users/{login}/server"), None).await.map(drop)
    }
}

impl Drop for Hub {
    /// Asks it to end, because only then does its proxy end with it.
    fn drop(&mut self) {
        // Errors mean that it had ended already.
        let _ = Program::new("kill").args(["-TERM", &self.process.id().to_string()]).run();
        let ended = wait::until("JupyterHub to end", END, &"its log", || {
            self.process.try_wait().map_err(Error::file("wait for", "jupyterhub"))
        });
        if ended.is_err() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn surroundings(arena: &Arena, public: &str) -> Result<Vec<(&'static str, String)>, Error> {
    let (key, value) = NODE_LABEL;
    Ok(vec![
        ("BENCH_PUBLIC", public.to_owned()),
        ("BENCH_HUB", free_address(&own_address(&arena.node.address)?)?),
        ("BENCH_PROXY_API", free_address("127.0.0.1")?),
        ("BENCH_PROXY_COMMAND", proxy().display().to_string()),
        ("BENCH_NODE_ADDRESS", arena.node.address.clone()),
        ("BENCH_CONSTRAINT", format!("node.labels.{key}=={value}")),
        ("BENCH_DOCKER", arena.site.docker_host().to_owned()),
        ("BENCH_IMAGE", IMAGE.to_owned()),
        ("BENCH_TOKEN", TOKEN.to_owned()),
    ])
}

/// The services that SwarmSpawner names after our logins.
fn services(site: &Site) -> Result<String, Error> {
    site.docker(&["service", "ls", "--quiet", "--filter", "name=jupyter-u"])
}

/// This machine's own address, as the node sees it. Nothing is sent.
fn own_address(node: &str) -> Result<String, Error> {
    let found = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect((node, 9))?;
        socket.local_addr()
    });
    Ok(found.map_err(Error::file("find the way to", node))?.ip().to_string())
}

/// An address whose port nobody listens on at the moment.
fn free_address(host: &str) -> Result<String, Error> {
    let bound = TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr());
    Ok(bound.map_err(Error::file("bind a port on", host))?.to_string())
}
