//! The peer that cannot be beaten: the same service, made straight through Docker's API, and the same URL polled.

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};

use super::arena::Arena;
use super::figures::timed;
use super::http::Peer;
use crate::error::Error;

/// Spoken by every engine from 20.10 on.
const API: &str = "/v1.41";
/// The name of the service and of its secret.
const NAME: &str = "essaim-bench-bare";
/// How often the peer looks; it costs Docker and Jupyter a fraction of a millisecond each.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest that a start may take.
const LIMIT: Duration = Duration::from_mins(3);

/// The service that essaim made, ready to be made again by hand.
pub(super) struct Bare {
    manager: Peer,
    template: Value,
    node_address: String,
    base: String,
}

impl Bare {
    /// Takes over the specification of the service that essaim runs for this login's server at the moment.
    pub(super) fn like(arena: &Arena, login: &str) -> Result<Self, Error> {
        let manager = arena.manager()?;
        let made = arena.run(manager.ask("GET", &format!("{API}/services/jns-{login}_lab"), None))?;
        let mut template = made.json()["Spec"].take();
        template["Name"] = NAME.into();
        // Without essaim's labels, so that essaim takes no notice of it.
        template["Labels"] = json!({});
        template["TaskTemplate"]["ContainerSpec"]["Labels"] = json!({});
        let (node_address, base) = (arena.node.address.clone(), format!("/user/{login}/lab/"));
        Ok(Self { manager, template, node_address, base })
    }

    /// Starts it: from before the first call until the first answer of Jupyter.
    pub(super) fn start(&self, arena: &Arena) -> Result<Duration, Error> {
        let (result, time) = timed(|| arena.run(async { tokio::time::timeout(LIMIT, self.spawn()).await }));
        let in_vain = |_| Error::Waited { what: NAME.into(), limit: LIMIT, see: "docker service ps".into() };
        result.map_err(in_vain)?.map(|()| time)
    }

    /// Removes it, and waits until its container is gone.
    pub(super) fn stop(&self, arena: &Arena) -> Result<(), Error> {
        arena.run(self.remove(&format!("/services/{NAME}")))?;
        arena.wait_until_gone(&format!("name={NAME}"))?;
        arena.run(self.remove(&format!("/secrets/{NAME}")))
    }

    async fn spawn(&self) -> Result<(), Error> {
        let secret = json!({"Name": NAME, "Labels": {}, "Data": "dGhyb3ctYXdheQ=="});
        let secret = self.manager.ask("POST", &format!("{API}/secrets/create"), Some(&secret)).await?;
        let mut spec = self.template.clone();
        let file = &mut spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0];
        file["SecretID"] = secret.json()["ID"].take();
        file["SecretName"] = NAME.into();
        self.manager.ask("POST", &format!("{API}/services/create"), Some(&spec)).await?;
        let jupyter = Peer::web(format!("{}:{}", self.node_address, poll(|| self.port()).await?));
        let url = format!("{}api", self.base);
        poll(async || {
            // Refused until Jupyter listens.
            let answer = jupyter.exchange("GET", &url, None).await;
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .await
    }

    /// The port of the host, once the container runs.
    async fn port(&self) -> Result<Option<u64>, Error> {
        let filter = format!("%7B%22service%22%3A%5B%22{NAME}%22%5D%7D"); // {"service":["…"]}
        let tasks = self.manager.ask("GET", &format!("{API}/tasks?filters={filter}"), None).await?.json();
        Ok(tasks[0]["Status"]["PortStatus"]["Ports"][0]["PublishedPort"].as_u64())
    }

    async fn remove(&self, path: &str) -> Result<(), Error> {
        self.manager.ask("DELETE", &format!("{API}{path}"), None).await.map(drop)
    }
}

/// Looks again and again until there is something; the caller bounds it.
async fn poll<T, F: Future<Output = Result<Option<T>, Error>>>(look: impl Fn() -> F) -> Result<T, Error> {
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
