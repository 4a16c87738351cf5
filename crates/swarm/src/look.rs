//! One round of looks at the Swarm: four lists at once, whatever the number of services.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use essaim_api::names::label;
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    calls::Kind,
    docker::{Call, Docker, decode, filters},
    failure::{Failure, LookFailure},
    picture::{Answers, Picture, RawService},
};

/// Looks at the Swarm.
pub(crate) struct Looker {
    docker: Arc<Docker>,
    clock: fn() -> Timestamp,
    /// Names of networks by id; a network never changes its name. An id that Docker does not know (any more) names itself.
    networks: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawNetwork {
    id: String,
    name: String,
}

impl Looker {
    pub(crate) fn new(docker: Arc<Docker>, clock: fn() -> Timestamp) -> Self {
        Looker { docker, clock, networks: Mutex::default() }
    }

    /// Takes a picture, all of it or none.
    pub(crate) async fn look(&self, previous: Option<Arc<Picture>>) -> Result<Picture, LookFailure> {
        let ours = format!("{}={}", label::MANAGED_BY, label::MANAGER);
        let ours = filters(&[("label", &[&ours])]);
        let taken_at = (self.clock)();
        let (services, tasks, nodes, secrets) = futures::try_join!(
            self.list("list services", Kind::ListServices, "/services".to_owned()),
            self.list("list tasks", Kind::ListTasks, format!("/tasks{ours}")),
            self.list("list nodes", Kind::ListNodes, "/nodes".to_owned()),
            self.list("list secrets", Kind::ListSecrets, format!("/secrets{ours}")),
        )?;
        let networks = self.network_names(&services).await?;
        let answers = Answers { taken_at, services, tasks, nodes, secrets };
        // Reading thousands of services takes a while: not on the threads that serve requests.
        let reading = tokio::task::spawn_blocking(move || Picture::new(answers, &networks, previous.as_deref()));
        reading.await.map_err(|error| failed("read the lists", Failure::silence("reading the lists", error)))
    }

    async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        kind: Kind,
        path: String,
    ) -> Result<Vec<T>, LookFailure> {
        let answer = self.docker.call(Call::get(kind, path)).await.map_err(|failure| failed(operation, failure))?;
        // Docker writes `null` for an empty list in some versions.
        Ok(decode::<Option<Vec<T>>>(&answer).map_err(|failure| failed(operation, failure))?.unwrap_or_default())
    }

    /// Names for the networks that the services use; asks only if one of them was never seen.
    async fn network_names(&self, services: &[RawService]) -> Result<BTreeMap<String, String>, LookFailure> {
        let mut names = self.networks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let used: BTreeSet<&str> = services.iter().flat_map(RawService::networks).collect();
        if used.iter().all(|id| names.contains_key(*id)) {
            return Ok(names);
        }
        let listed: Vec<RawNetwork> = self.list("list networks", Kind::ListNetworks, "/networks".to_owned()).await?;
        names.extend(used.iter().map(|id| ((*id).to_owned(), (*id).to_owned())));
        names.extend(listed.into_iter().map(|network| (network.id, network.name)));
        self.networks.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&names);
        Ok(names)
    }
}

fn failed(operation: &'static str, failure: Failure) -> LookFailure {
    LookFailure { operation, failure: Arc::new(failure) }
}
