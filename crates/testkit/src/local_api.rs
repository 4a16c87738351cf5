//! The API server in the test's process, over a store in a temporary directory, with essaim's kinds and roles.
//!
//! ```text
//! kube::Client of a user ─► trouble (refuses what the test says) ─► the server that runs now ─► store
//! ```
//!
//! Clients outlive a restart of the server, as those of a real one do.
#![expect(clippy::expect_used, reason = "a fixture that cannot be made fails the test")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use essaim_apiserver::{ApiServer, Options, UserInfo};
use essaim_store::{Embedded, Store};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use kube::client::Body;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::clock::TestClock;

/// The roles of a site, as `essaim serve` writes them.
const ROLES: &str = include_str!("../../essaim/manifests/roles.yaml");
/// The user whom the roles let do a controller's work.
pub const CONTROLLERS: &str = "essaim:controllers";

/// Says with which status a request is refused, by method and path; `None` lets it through.
pub type Rule = fn(&Method, &str) -> Option<StatusCode>;

/// An API server in this process. Dropping it ends it and removes its data.
pub struct LocalApi {
    running: Running,
    trouble: Trouble,
    store: Arc<Embedded>,
    clock: TestClock,
    _data: TempDir,
}

/// The server that answers now.
#[derive(Clone)]
struct Running(Arc<Mutex<Arc<ApiServer>>>);

/// Refuses requests by rule. Clones are the same trouble.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<Rule>>>);

impl LocalApi {
    /// Starts a server whose objects are in place.
    ///
    /// # Panics
    ///
    /// Where it cannot be started: there is no test without it.
    pub async fn start(clock: TestClock) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let store = Embedded::open(data.path().join("store.redb"), essaim_store::Options::default());
        let store = store.expect("a new store");
        let server = serve(&store, &clock).await;
        let running = Running(Arc::new(Mutex::new(Arc::new(server))));
        Self { running, trouble: Trouble::default(), store, clock, _data: data }
    }

    /// Ends the server with all its watches, and starts another one over the same store.
    ///
    /// # Panics
    ///
    /// Where it cannot be started.
    pub async fn restart(&self) {
        self.running.get().stop();
        let server = serve(&self.store, &self.clock).await;
        *self.running.lock() = Arc::new(server);
    }

    /// A client of somebody who may do everything.
    pub fn admin(&self) -> kube::Client {
        self.client_of(UserInfo::new("admin", ["system:masters"]), Trouble::default())
    }

    /// A client of a user, with the rights that the roles give. Its requests meet [`refuse`](Self::refuse).
    pub fn client(&self, user: &str) -> kube::Client {
        self.client_of(UserInfo::new(user, Vec::<String>::new()), self.trouble.clone())
    }

    /// From now on has requests refused by a rule, or none any more. Those of [`admin`](Self::admin) always get through.
    pub fn refuse(&self, rule: Option<Rule>) {
        *self.trouble.0.lock().unwrap_or_else(PoisonError::into_inner) = rule;
    }

    /// The revision of the newest write: where it stands still, nothing is written.
    pub fn revision(&self) -> u64 {
        self.store.revision().0
    }

    fn client_of(&self, user: UserInfo, trouble: Trouble) -> kube::Client {
        let running = self.running.clone();
        let answer = move |request: Request<Body>| {
            let (server, user, trouble) = (running.get(), user.clone(), trouble.clone());
            async move {
                if let Some(status) = trouble.refusal(&request) {
                    return Ok(refused(status).map(Either::Left));
                }
                server.in_process(user).oneshot(request).await.map(|response| response.map(Either::Right))
            }
        };
        kube::Client::new(tower::service_fn(answer), "default")
    }
}

impl Running {
    fn get(&self) -> Arc<ApiServer> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Arc<ApiServer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    fn refusal(&self, request: &Request<Body>) -> Option<StatusCode> {
        let rule = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rule.and_then(|rule| rule(request.method(), request.uri().path()))
    }
}

async fn serve(store: &Arc<Embedded>, clock: &TestClock) -> ApiServer {
    let mut options = Options::new(clock.function());
    options.bootstrap_manifests = manifests();
    ApiServer::start(store.clone(), options).await.expect("an API server")
}

/// The kinds of the platform, then its roles.
fn manifests() -> Vec<Value> {
    let kinds = essaim_api::definitions().into_iter().map(serde_json::to_value);
    let mut manifests: Vec<Value> = kinds.collect::<Result<_, _>>().expect("definitions are JSON");
    manifests.extend(serde_yaml::from_multiple::<Value>(ROLES).expect("the roles are YAML"));
    manifests
}

/// A refusal as Kubernetes words it.
fn refused(status: StatusCode) -> Response<Full<Bytes>> {
    let document = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status.as_u16(),
        "reason": "InternalError", "message": "the test refuses this request",
    });
    let mut response = Response::new(Full::from(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
