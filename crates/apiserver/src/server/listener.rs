//! The network: TLS connections that carry HTTP/1.1 and HTTP/2.
//!
//! Each connection is a task in one set that the listener owns. When the token is cancelled the listener accepts no more,
//! ends watches, lets requests under way finish for a bounded time, and then drops what is left.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, extract::Request, middleware::map_request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{ApiServer, Limits, Tls, held::Answers, service::ListenerStop, stalled::Stalled};
use crate::{audit::PeerAddress, auth::PeerCertificate};

const HEADER_BYTES: u32 = 64 * 1024;
/// As many as impersonated groups need, each of which has a line; the bytes bound them anyway.
const HEADER_LINES: usize = 1000;

/// Why the listener ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be used.
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
}

impl ApiServer {
    /// Serves until `shutdown` is cancelled, then lets requests finish.
    ///
    /// Cancellation: dropping the future drops every connection.
    pub async fn serve(&self, listener: TcpListener, tls: Tls, shutdown: CancellationToken) -> Result<(), ServeError> {
        let address = listener.local_addr().map_err(ServeError::Listen)?;
        tracing::info!(%address, "serving the API");
        let router = self.router().layer(Extension(ListenerStop(shutdown.clone())));
        let mut certificates = std::pin::pin!(tls.keep(&self.service.registry.clock));
        let limits = self.service.gate.limits;
        let places = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                () = &mut certificates => continue,
                accepted = accept(&listener, &places) => accepted,
            };
            let Some((socket, peer, place)) = accepted else { continue };
            // Those in force at this moment.
            let (acceptor, watcher) = (TlsAcceptor::from(tls.config()), graceful.watcher());
            let router = router.clone().layer(Extension(PeerAddress(peer)));
            connections.spawn(async move {
                if let Some(stream) = handshake(&acceptor, socket, &limits).await {
                    converse(stream, router, watcher, &limits).await;
                }
                drop(place);
            });
        }
        drop(listener);
        if timeout(limits.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("dropped connections that did not finish in time");
        }
        Ok(())
    }
}

/// The next connection, once there is a place for it. Errors here are about single connections, or pass by themselves.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, peer)) => {
            // Watch events are small and should leave at once; a socket without the option works as well.
            let _ = socket.set_nodelay(true);
            Some((socket, peer, place))
        }
        Err(error) => {
            tracing::debug!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

type Stream = TlsStream<Stalled<TcpStream>>;

async fn handshake(acceptor: &TlsAcceptor, socket: TcpStream, limits: &Limits) -> Option<Stream> {
    let socket = Stalled::guard(socket, limits.stalled);
    match timeout(limits.silence, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

async fn converse(
    stream: Stream,
    router: axum::Router,
    watcher: hyper_util::server::graceful::Watcher,
    limits: &Limits,
) {
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let router = match certificate.and_then(|certificate| PeerCertificate::read(certificate)) {
        Some(peer) => router.layer(Extension(peer)),
        None => router,
    };
    let (asked, answers) = (CancellationToken::new(), Answers::default());
    let router = router.layer(map_request({
        let (asked, answers) = (asked.clone(), answers.clone());
        move |mut request: Request| {
            asked.cancel();
            request.extensions_mut().insert(answers.clone());
            std::future::ready(request)
        }
    }));
    let builder = protocol(limits);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::select! {
        ended = watcher.watch(connection.into_owned()) => if let Err(error) = ended {
            tracing::debug!(error = %error, "a connection ended early");
        },
        () = answers.watch(limits.stalled) => {}
        () = silence(&asked, limits.silence) => tracing::debug!("a client asked nothing"),
    }
}

/// Ends if no request came in time. hyper's own limits begin with the first bytes, so that whoever sends none would
/// keep a place for ever, and without having to say who they are.
async fn silence(asked: &CancellationToken, patience: Duration) {
    if timeout(patience, asked.cancelled()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(HEADER_BYTES as usize)
        .max_headers(HEADER_LINES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.silence);
    builder
}
