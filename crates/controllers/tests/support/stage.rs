//! What every test stands on: an API and a Swarm in this process, and the controllers between them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use essaim_api::{NotebookClass, NotebookServer, find_condition};
use essaim_controllers::{Context, Entry, Journal, Outcome, Prober};
use essaim_plan::{
    key::SiteKey,
    notebook::{Reach, Site, service_name},
};
use essaim_swarm::Swarm;
use essaim_testkit::{
    clock::TestClock,
    directory::StaticDirectory,
    fake_swarm::{FakeOptions, FakeSwarm},
    local_api::{CONTROLLERS, LocalApi},
    manifest, wait_until,
};
use jiff::SignedDuration;
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The kinds of writes to a Swarm.
const WRITES: [&str; 5] = ["create service", "update service", "remove service", "create secret", "remove secret"];

/// Who is looked at so seldom waits for nothing.
const SETTLED: SignedDuration = SignedDuration::from_secs(30);

/// The parts, and the running controllers.
pub(crate) struct Stage {
    pub(crate) api: LocalApi,
    pub(crate) fake: FakeSwarm,
    pub(crate) clock: TestClock,
    pub(crate) directory: StaticDirectory,
    /// Of the controllers that run now, or ran last.
    pub(crate) journal: Arc<Journal>,
    /// Has the next step of a pass panic.
    pub(crate) panic_once: Arc<AtomicBool>,
    admin: kube::Client,
    controllers: Option<(JoinSet<()>, CancellationToken)>,
}

impl Stage {
    /// An empty site; nothing reconciles yet. `namespaces` are those of the users whom the directory knows.
    pub(crate) async fn set(options: FakeOptions, namespaces: &[&str]) -> Self {
        let clock = TestClock::going();
        let api = LocalApi::start(clock.clone()).await;
        let admin = api.admin();
        let stage = Self {
            fake: FakeSwarm::start(options).await.unwrap(),
            clock,
            directory: StaticDirectory::of(namespaces),
            journal: Arc::default(),
            panic_once: Arc::default(),
            admin,
            controllers: None,
            api,
        };
        for name in namespaces {
            stage.create_namespace(name).await;
        }
        stage
    }

    /// Starts controllers that remember nothing.
    pub(crate) fn start_controllers(&mut self) {
        assert!(self.controllers.is_none(), "the controllers run already");
        self.journal = Arc::default();
        let panic_once = self.panic_once.clone();
        let context = Context {
            client: self.api.client(CONTROLLERS),
            swarm: swarm(&self.fake.url()),
            directory: self.directory.clone(),
            site: Site { key: SiteKey::try_new(vec![7; 32]).unwrap(), reach: Reach::HostPorts },
            prober: Prober::new(Reach::HostPorts),
            journal: self.journal.clone(),
            clock: self.clock.function(),
            checkpoint: Arc::new(move |_| assert!(!panic_once.swap(false, Ordering::SeqCst), "the test wants a panic")),
        };
        let (mut tasks, shutdown) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(essaim_controllers::run(Arc::new(context), shutdown.clone()));
        self.controllers = Some((tasks, shutdown));
    }

    /// Lets running passes end, and starts no more.
    pub(crate) async fn stop_controllers(&mut self) {
        let (mut tasks, shutdown) = self.controllers.take().expect("the controllers run");
        shutdown.cancel();
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// Everybody's objects.
    pub(crate) fn servers(&self) -> Api<NotebookServer> {
        Api::all(self.admin.clone())
    }

    /// One user's objects.
    pub(crate) fn servers_of(&self, login: &str) -> Api<NotebookServer> {
        Api::namespaced(self.admin.clone(), login)
    }

    pub(crate) async fn create_namespace(&self, name: &str) {
        let all = Api::<Namespace>::all(self.admin.clone());
        all.create(&PostParams::default(), &manifest::namespace(name)).await.unwrap();
    }

    pub(crate) async fn create_class(&self, class: &NotebookClass) {
        Api::<NotebookClass>::all(self.admin.clone()).create(&PostParams::default(), class).await.unwrap();
    }

    pub(crate) async fn create_server(&self, server: &NotebookServer) -> NotebookServer {
        let login = server.namespace().unwrap();
        self.servers_of(&login).create(&PostParams::default(), server).await.unwrap()
    }

    /// Waits until the last pass over each of the servers that exist has found nothing to do, and nothing to wait for.
    pub(crate) async fn wait_settled(&self) {
        self.wait_journal("every server to be settled", |entry| {
            entry.outcome == Outcome::Unchanged && entry.next_try.duration_since(entry.last_reconcile) >= SETTLED
        })
        .await;
    }

    /// Waits until the journal says this of every server that exists now. Asks the API once: hundreds of servers are not listed in vain.
    async fn wait_journal(&self, what: &str, fits: impl Fn(&Entry) -> bool) {
        let servers = self.servers().list(&ListParams::default()).await.unwrap();
        let wanted: BTreeSet<_> =
            servers.iter().map(|server| (server.namespace().unwrap(), server.name_any())).collect();
        wait_until(what, async || {
            let entries =
                self.journal.entries().into_iter().filter(|entry| entry.kind == "NotebookServer" && fits(entry));
            let fitting: BTreeSet<_> = entries.map(|entry| (entry.namespace, entry.name)).collect();
            wanted.is_subset(&fitting).then_some(())
        })
        .await;
    }

    /// The end of every test: controllers that know nothing of before look at everything, and write nothing anywhere.
    pub(crate) async fn second_pass_does_nothing(&mut self) {
        self.stop_controllers().await;
        let before = (self.api.revision(), self.swarm_writes());
        self.start_controllers();
        self.wait_journal("a second pass", |entry| entry.outcome == Outcome::Unchanged).await;
        self.stop_controllers().await;
        assert_eq!((self.api.revision(), self.swarm_writes()), before, "(API revision, writes to the Swarm)");
        assert!(self.fake.most_containers() <= 1, "a server had two containers at once");
    }

    /// How often the Swarm was changed.
    pub(crate) fn swarm_writes(&self) -> u64 {
        let requests = self.fake.requests();
        WRITES.iter().map(|kind| requests.of(kind)).sum()
    }
}

/// A condition of a server.
pub(crate) fn condition<'a>(server: &'a NotebookServer, kind: &str) -> Option<&'a Condition> {
    server.status.as_ref().and_then(|status| find_condition(&status.conditions, kind))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test is its own composition root, and the fake Swarm lives in real time"
)]
fn swarm(url: &str) -> Swarm {
    Swarm::connect(Some(url), essaim_swarm::Options::new(jiff::Timestamp::now, service_name)).unwrap()
}
