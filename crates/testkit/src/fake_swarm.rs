//! A Docker Swarm manager made of maps: enough of Docker's API to run, reject, update and lose containers that do not exist.
//!
//! Time moves the tasks: every request first brings them to where they would be by now, so nothing runs in the background. The
//! answers have the form that Engine 20.10 (API 1.41) gives. Running tasks publish the port of one small fake Jupyter on 127.0.0.1.

mod answers;
mod jupyter;
mod schedule;
mod server;
#[cfg(test)]
mod tests;
mod world;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use self::{server::Server, world::World};

/// How the fake Swarm is made, and how fast its tasks move.
#[derive(Clone, Debug)]
pub struct FakeOptions {
    /// Its machines.
    pub nodes: Vec<FakeNode>,
    /// Names of its overlay networks.
    pub networks: Vec<String>,
    /// How long a task waits to be assigned.
    pub assign: Duration,
    /// How long it is then prepared.
    pub prepare: Duration,
    /// How long it is then starting.
    pub start: Duration,
    /// How long a running container takes to stop.
    pub stop: Duration,
    /// How long Jupyter needs in a running container before it answers.
    pub jupyter: Duration,
    /// Bind sources below these paths are missing on every machine.
    pub missing_paths: Vec<String>,
    /// Images that no machine has.
    pub missing_images: Vec<String>,
}

impl Default for FakeOptions {
    /// Three machines of 8 GiB, a network called `essaim`, and tasks that run within some 60 ms.
    fn default() -> Self {
        FakeOptions {
            nodes: (1..=3).map(|number| FakeNode::new(&format!("node{number}"))).collect(),
            networks: vec!["essaim".to_owned()],
            assign: Duration::from_millis(10),
            prepare: Duration::from_millis(30),
            start: Duration::from_millis(20),
            stop: Duration::from_millis(20),
            jupyter: Duration::from_millis(50),
            missing_paths: Vec::new(),
            missing_images: Vec::new(),
        }
    }
}

/// A machine.
#[derive(Clone, Debug)]
pub struct FakeNode {
    /// Its host name.
    pub hostname: String,
    /// Node labels.
    pub labels: BTreeMap<String, String>,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// Processors in billionths.
    pub nano_cpus: i64,
}

impl FakeNode {
    /// A machine of 8 GiB and 8 processors, without labels.
    pub fn new(hostname: &str) -> Self {
        FakeNode {
            hostname: hostname.to_owned(),
            labels: BTreeMap::new(),
            memory_bytes: 8 << 30,
            nano_cpus: 8_000_000_000,
        }
    }

    /// The same with one more label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The same with this much memory.
    #[must_use]
    pub fn memory(mut self, bytes: i64) -> Self {
        self.memory_bytes = bytes;
        self
    }
}

/// How a manager that still listens can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers that the Swarm has no leader.
    NoLeader,
    /// It takes requests and never answers.
    Silent,
}

/// How often the manager was asked, by kind: `list services`, `create service`, `remove secret`, …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// How often for one kind.
    pub fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or_default()
    }

    /// How often in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// A running fake. Dropping it ends it.
pub struct FakeSwarm {
    world: Shared,
    address: SocketAddr,
    server: Option<Server>,
    _jupyter: Server,
}

/// The world behind its lock; held for the length of one request.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// The world as it is now.
    fn now(&self) -> MutexGuard<'_, World> {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(Instant::now());
        world
    }
}

impl FakeSwarm {
    /// Starts a manager on a free port of 127.0.0.1.
    pub async fn start(options: FakeOptions) -> io::Result<Self> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let world = Shared(Arc::new(Mutex::new(World::new(options))));
        let jupyter = jupyter::serve(anywhere, world.clone()).await?;
        world.now().jupyter_port = jupyter.address().port();
        let server = answers::serve(anywhere, world.clone()).await?;
        Ok(FakeSwarm { world, address: server.address(), server: Some(server), _jupyter: jupyter })
    }

    /// Where to connect.
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// What was asked so far.
    pub fn requests(&self) -> Requests {
        Requests(self.world.now().requests.clone())
    }

    /// Cuts a machine off, or brings it back. What ran there goes on; nothing is heard of it.
    pub fn set_node_down(&self, hostname: &str, down: bool) {
        self.world.now().edit_node(hostname, |node| node.down = down);
    }

    /// Drains a machine, or lets it take tasks again.
    pub fn set_node_drained(&self, hostname: &str, drained: bool) {
        self.world.now().edit_node(hostname, |node| node.drained = drained);
    }

    /// Changes a service by hand: `edit` gets Docker's `ServiceSpec`. Returns whether there is such a service.
    pub fn edit_service(&self, name: &str, edit: impl FnOnce(&mut Value)) -> bool {
        self.world.now().edit_service(name, edit)
    }

    /// Makes a service by hand from Docker's `ServiceSpec`.
    ///
    /// Errors: the manager's sentence.
    pub fn create_service(&self, spec: Value) -> Result<String, String> {
        self.world.now().create_service(spec).map_err(|refusal| refusal.message)
    }

    /// Removes a service by hand. Returns whether there was one.
    pub fn remove_service(&self, name: &str) -> bool {
        self.world.now().remove_service(name)
    }

    /// Ends the container of a service with an exit code. Returns whether one was running.
    pub fn exit_task(&self, service: &str, code: i64) -> bool {
        self.world.now().exit_task(service, code)
    }

    /// Docker's `ServiceSpec` of a service.
    pub fn service_spec(&self, name: &str) -> Option<Value> {
        self.world.now().service_spec(name)
    }

    /// Names of all services.
    pub fn service_names(&self) -> Vec<String> {
        self.world.now().service_names()
    }

    /// Names of all secrets.
    pub fn secret_names(&self) -> Vec<String> {
        self.world.now().secret_names()
    }

    /// How many containers run now for a service, those being stopped included; the rule is: never more than one.
    pub fn containers(&self, service: &str) -> usize {
        self.world.now().containers(service)
    }

    /// The most containers that ever ran at the same time for one service, or for one owner where containers bear an owner's label.
    pub fn most_containers(&self) -> usize {
        self.world.now().most_containers
    }

    /// Makes the listening manager fail, or work again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.world.now().fault = fault;
    }

    /// Changes how tasks go from now on: delays, missing paths and images.
    pub fn configure(&self, change: impl FnOnce(&mut FakeOptions)) {
        change(&mut self.world.now().options);
    }

    /// Ends the manager: connections are closed, new ones refused. Containers go on.
    pub fn stop_manager(&mut self) {
        self.server = None;
    }

    /// Starts the manager again at the same address.
    pub async fn start_manager(&mut self) -> io::Result<()> {
        self.server = None;
        self.server = Some(answers::serve(self.address, self.world.clone()).await?);
        Ok(())
    }
}
