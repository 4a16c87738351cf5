//! The contract of [`essaim_backend::swarm::Swarm`], as a suite that every implementation passes on every Swarm.
//!
//! It makes services and secrets whose names begin with [`Site::prefix`], and removes them again.
#![expect(clippy::panic, clippy::expect_used, reason = "a suite tells a broken contract by panicking, as a test does")]

mod hand_edits;
mod life;
mod refusals;

use std::{collections::BTreeMap, time::Duration};

use essaim_api::names::label;
use essaim_backend::swarm::{
    Action, HostPort, Mount, Observed, Owner, Propagation, SecretContent, SecretFile, Service, ServiceSpec, Swarm,
    Task, TaskState,
};
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;

/// Longest wait for anything; a machine under load takes seconds to start a container.
const LIMIT: Duration = Duration::from_mins(1);

/// What the Swarm under test offers.
pub struct Site<'a> {
    /// An image with busybox's `httpd`, `sh` and `sleep` on every machine.
    pub image: &'a str,
    /// An overlay network.
    pub network: &'a str,
    /// A directory that exists on every machine.
    pub directory: &'a str,
    /// What names begin with.
    pub prefix: &'a str,
    /// Somebody who changes the Swarm without essaim.
    pub hands: &'a dyn Hands,
}

/// Hands on the Swarm, not essaim's.
pub trait Hands: Sync {
    /// Changes Docker's `ServiceSpec` of a service.
    fn edit<'a>(&'a self, service: &'a str, edit: fn(&mut Value)) -> BoxFuture<'a, ()>;
    /// Makes a service from Docker's `ServiceSpec`.
    fn create(&self, spec: Value) -> BoxFuture<'_, ()>;
    /// Removes a service by name.
    fn remove<'a>(&'a self, service: &'a str) -> BoxFuture<'a, ()>;
}

/// Runs the whole suite.
///
/// Panics with a sentence where the contract is broken.
pub async fn run(swarm: &impl Swarm, site: &Site<'_>) {
    life::a_service_lives_and_dies(swarm, site).await;
    life::a_container_that_ends_is_not_started_again(swarm, site).await;
    hand_edits::every_hand_edit_is_seen_and_can_be_undone(swarm, site).await;
    hand_edits::a_service_of_somebody_else_is_shown_and_never_taken(swarm, site).await;
    refusals::what_cannot_be_is_refused_in_words(swarm, site).await;
    refusals::what_cannot_start_says_why(swarm, site).await;
}

/// One owner with its Swarm.
struct Case<'a, S> {
    swarm: &'a S,
    owner: Owner,
    prefix: &'a str,
}

impl<'a, S: Swarm> Case<'a, S> {
    fn new(swarm: &'a S, site: &Site<'a>, name: &str) -> Self {
        let owner =
            Owner { uid: format!("{}-uid-{name}", site.prefix), namespace: "alice".to_owned(), name: name.to_owned() };
        Case { swarm, owner, prefix: site.prefix }
    }

    /// The same name under another uid.
    fn stranger(&self) -> Owner {
        Owner { uid: format!("{}-other", self.owner.uid), ..self.owner.clone() }
    }

    async fn apply(&self, action: Action) {
        self.swarm
            .apply(&self.owner, &action)
            .await
            .unwrap_or_else(|error| panic!("{action:?}: {error}: {:?}", std::error::Error::source(&error)));
    }

    async fn refusal(&self, action: Action) -> essaim_backend::swarm::Error {
        match self.swarm.apply(&self.owner, &action).await {
            Ok(()) => panic!("{action:?} succeeded"),
            Err(error) => error,
        }
    }

    async fn look(&self) -> Observed {
        // Old pictures would do: seeing the own writes is the contract, not ours to ask for.
        self.swarm.observe(&self.owner, Duration::from_mins(1)).await.unwrap_or_else(|error| panic!("observe: {error}"))
    }

    /// The owner's one service.
    async fn service(&self) -> Service {
        let services = self.look().await.services;
        let [service] = services.as_slice() else { panic!("expected one service: {services:#?}") };
        service.clone()
    }

    /// Looks until something is there.
    async fn eventually<T>(&self, what: &str, found: impl Fn(&Observed) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let observed = self
                .swarm
                .observe(&self.owner, Duration::from_millis(50))
                .await
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            if let Some(found) = found(&observed) {
                return found;
            }
            assert!(start.elapsed() < LIMIT, "{what} did not come: {observed:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn running(&self, fits: impl Fn(&Task) -> bool) -> Task {
        self.eventually("a running task", |observed| {
            let task = observed.services.first()?.tasks.first()?;
            (task.state == TaskState::Running && task.wanted && fits(task)).then(|| task.clone())
        })
        .await
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.container_labels();
        labels.insert(label::MANAGED_BY.to_owned(), label::MANAGER.to_owned());
        labels.insert(label::GENERATION.to_owned(), "1".to_owned());
        labels
    }

    fn container_labels(&self) -> BTreeMap<String, String> {
        let Owner { uid, namespace, name } = &self.owner;
        let pairs = [(label::OWNER_UID, uid), (label::OWNER_NAMESPACE, namespace), (label::OWNER_NAME, name)];
        pairs.map(|(key, value)| (key.to_owned(), value.clone())).into()
    }

    fn name(&self) -> String {
        service_name(self.prefix, &self.owner)
    }

    fn create_secret(&self, name: &str) -> Action {
        Action::CreateSecret {
            name: name.to_owned(),
            labels: self.labels(),
            content: SecretContent(b"s3cret".to_vec()),
        }
    }

    /// A service that listens on port 8888 and needs nothing.
    fn plain(&self, site: &Site<'_>) -> ServiceSpec {
        ServiceSpec {
            name: self.name(),
            labels: self.labels(),
            container_labels: self.container_labels(),
            image: site.image.to_owned(),
            command: vec!["httpd".to_owned()],
            args: ["-f", "-p", "8888"].map(str::to_owned).into(),
            env: BTreeMap::new(),
            hostname: "plain".to_owned(),
            user: "5001:5100".to_owned(),
            groups: Vec::new(),
            working_dir: String::new(),
            mounts: Vec::new(),
            secrets: Vec::new(),
            constraints: Vec::new(),
            memory_bytes: None,
            nano_cpus: None,
            networks: Vec::new(),
            host_port: None,
            force_update: 0,
            foreign: BTreeMap::new(),
        }
    }

    /// A service that uses everything a specification can say.
    fn full(&self, site: &Site<'_>, secret: &str) -> ServiceSpec {
        let mount = |target: &str, read_only, propagation| Mount {
            target: target.to_owned(),
            source: site.directory.to_owned(),
            read_only,
            propagation,
        };
        ServiceSpec {
            env: [("HOME", "/data"), ("EMPTY", ""), ("EQUALS", "a=b=c"), ("WORDS", "é \"quoted\"")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            hostname: "full-host".to_owned(),
            groups: vec!["5200".to_owned(), "5300".to_owned()],
            working_dir: "/data".to_owned(),
            mounts: vec![mount("/cvmfs", true, Propagation::Rslave), mount("/data", false, Propagation::Rprivate)],
            secrets: vec![SecretFile {
                file: "token".to_owned(),
                secret: secret.to_owned(),
                uid: 5001,
                gid: 5100,
                mode: 0o400,
            }],
            constraints: vec!["node.hostname!=nonesuch".to_owned(), "node.labels.nonesuch!=x".to_owned()],
            memory_bytes: Some(64 << 20),
            nano_cpus: Some(500_000_000),
            networks: vec![site.network.to_owned()],
            host_port: Some(HostPort { target: 8888 }),
            force_update: 7,
            ..self.plain(site)
        }
    }
}

/// The name that the suite gives to an owner's service; implementations under test are told this function.
pub fn service_name(prefix: &str, owner: &Owner) -> String {
    format!("{prefix}-{}", owner.name)
}
