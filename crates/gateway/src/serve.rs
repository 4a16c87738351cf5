//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them, within bounds, until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::options::Limits;
use crate::proxy::Peer;

/// After a failed accept (too many open files, say) the next one waits a little.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a silent HTTP/2 connection is tried: a client that vanished must not keep its place.
const PING: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) limits: Limits,
    pub(crate) router: Router,
}

/// What one connection needs; made anew for each.
#[derive(Clone)]
struct Serving {
    router: Router,
    tls: Option<TlsAcceptor>,
    head: Duration,
}

impl Server {
    /// Serves until `shutdown`, then calls `ending` and lets requests under way finish within the drain time.
    pub(crate) async fn run<F: Future<Output = ()>>(self, shutdown: &CancellationToken, ending: impl FnOnce() -> F) {
        let Self { listener, tls, limits, router } = self;
        let serving = Serving { router, tls: tls.map(TlsAcceptor::from), head: limits.client_head };
        let graceful = GracefulShutdown::new();
        // Dropping the set ends every connection that is still there.
        let mut connections = JoinSet::new();
        let accepting = accept(&listener, limits.connections, &serving, &graceful, &mut connections);
        shutdown.run_until_cancelled(accepting).await;
        drop(listener);
        ending().await;
        if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
            tracing::info!("some requests did not end within the drain time and are cut");
        }
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    bound: usize,
    serving: &Serving,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) {
    let slots = Arc::new(Semaphore::new(bound));
    loop {
        // At the bound, clients wait in the kernel's queue. The semaphore is never closed.
        let slot = Arc::clone(&slots).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (serving, watcher) = (serving.clone(), graceful.watcher());
                connections.spawn(async move {
                    serving.connection(stream, peer, watcher).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

impl Serving {
    async fn connection(self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Small WebSocket frames must not wait for each other. A failure only makes them slower.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            self.serve(stream, peer, watcher).await;
            return;
        };
        match tokio::time::timeout(self.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, peer, watcher).await,
            Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        watcher: Watcher,
    ) {
        let peer = Peer { address: peer.ip(), encrypted: self.tls.is_some() };
        let (router, asked) = (self.router, CancellationToken::new());
        let noted = asked.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            noted.cancel();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let mut http = Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(self.head);
        http.http2().timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(self.head);
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        tokio::select! {
            ended = watcher.watch(connection) => if let Err(error) = ended {
                tracing::debug!(error = error, "a connection broke");
            },
            () = silence(&asked, self.head) => tracing::debug!("a client asked nothing"),
        }
    }
}

/// Ends if no request came in time. hyper's own limits begin with the first bytes, so that whoever sends none would
/// keep a place for ever.
async fn silence(asked: &CancellationToken, patience: Duration) {
    if tokio::time::timeout(patience, asked.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}
