//! The gateway as the composition root sees it: make one, run it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{any, get, post};
use http::StatusCode;
use kube::Client;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::error::Error;
use crate::options::Options;
use crate::routes::Routes;
use crate::session::Sessions;
use crate::tunnel::Tunnels;
use crate::upstream::Upstream;
use crate::{login, pages, proxy, serve, start};

/// Our own forms are small; what is forwarded has no limit.
const MAX_FORM: usize = 16 * 1024;

/// The gateway. It holds no state that another one, or itself after a restart, would miss.
#[derive(Clone)]
pub struct Gateway {
    client: Client,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

/// What every request may use.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) access: Access,
    pub(crate) routes: Routes,
    pub(crate) sessions: Sessions,
    pub(crate) tunnels: Tunnels,
    pub(crate) upstream: Upstream,
}

impl Gateway {
    /// A gateway that knows the platform through `client`. Nothing runs before [`Gateway::run`].
    ///
    /// The client's user must be able to watch NotebookServers everywhere, create TokenReviews, SubjectAccessReviews
    /// and Namespaces, and patch NotebookServers.
    pub fn new(client: Client, options: Options) -> Self {
        let limits = &options.limits;
        let shared = Shared {
            access: Access::new(client.clone(), limits.clone()),
            routes: Routes::new(options.reach),
            sessions: Sessions::new(&options.site_key),
            tunnels: Tunnels::new(limits),
            upstream: Upstream::new(limits),
            options,
        };
        Self { client, shared: Arc::new(shared) }
    }

    /// Serves until `shutdown`: plain HTTP, or TLS if a configuration is given.
    ///
    /// Guarantees: at shutdown nothing new is accepted, WebSockets end at once, requests under way have
    /// `limits.drain` to end; when this returns no task of the gateway is left.
    ///
    /// Cancellation: dropping the future ends everything at once.
    ///
    /// # Errors
    /// None at present: what goes wrong while running is logged and tried again.
    pub async fn run(
        self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        let Self { client, shared } = self;
        let server = serve::Server { listener, tls, limits: shared.options.limits.clone(), router: router(&shared) };
        let serving = async {
            server.run(&shutdown, || shared.tunnels.end()).await;
        };
        // The routes are followed until the last request has been answered.
        tokio::select! {
            () = serving => {}
            () = shared.routes.follow(client) => {}
        }
        Ok(())
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(login::servers))
        .route("/login", get(login::form).post(login::login))
        .route("/logout", post(login::logout))
        .route("/servers/{namespace}/{name}/start", post(start::start))
        .route("/essaim.css", get(pages::style))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .fallback(any(proxy::serve))
        .with_state(Arc::clone(shared))
}

/// Ready as soon as the routes are known; `healthz` says only that the process answers.
async fn readyz(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.routes.is_loaded() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the routes are not loaded yet")
    }
}
