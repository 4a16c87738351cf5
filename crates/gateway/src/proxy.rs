//! One request for a notebook server, from the path to the answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use essaim_api::names::reason;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};

use crate::access::Right;
use crate::answer::{Asker, Refusal, respond};
use crate::auth::{Caller, authenticate};
use crate::gateway::Shared;
use crate::headers::{self, Said};
use crate::origin;
use crate::path::{self, PathError};
use crate::route::{Key, Route, State as ServerState};
use crate::routes::Lookup;
use crate::tunnel::Ends;

/// The client's end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) encrypted: bool,
}

/// Where a request goes, decided before anything is sent.
struct Destination {
    key: Key,
    route: Arc<Route>,
    address: Authority,
}

/// Everything that is not one of our own pages.
pub(crate) async fn serve(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let asker = Asker::of(request.method(), request.uri(), request.headers());
    forward(&shared, peer, request).await.unwrap_or_else(|refusal| respond(refusal, &asker))
}

async fn forward(shared: &Shared, peer: Peer, request: Request) -> Result<Response, Refusal> {
    let key = server_of(request.uri())?;
    let upgrade = headers::is_websocket(request.headers());
    let caller = authenticate(shared, request.headers()).await?;
    refuse_foreign_pages(&caller, &request, upgrade)?;
    if !shared.access.may(&caller.identity, Right::to_use(&key)).await? {
        return Err(Refusal::Forbidden);
    }
    let to = destination(shared, key)?;
    let answered =
        if upgrade { tunnel(shared, peer, &to, request).await } else { exchange(shared, peer, &to, request).await };
    answered.map_err(|refusal| with_status(refusal, to))
}

async fn exchange(shared: &Shared, peer: Peer, to: &Destination, request: Request) -> Result<Response, Refusal> {
    let response = shared.upstream.send(outgoing(shared, peer, to, request, false)?, false).await?;
    Ok(incoming(response, false))
}

async fn tunnel(shared: &Shared, peer: Peer, to: &Destination, mut request: Request) -> Result<Response, Refusal> {
    let slot = shared.tunnels.reserve(&to.key).ok_or(Refusal::TooManyTunnels)?;
    let client = hyper::upgrade::on(&mut request);
    let mut response = shared.upstream.send(outgoing(shared, peer, to, request, true)?, true).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(incoming(response, false));
    }
    let server = hyper::upgrade::on(&mut response);
    slot.join(Ends { client, server });
    Ok(incoming(response, true))
}

/// A server that was only perhaps up: its status knows better than the broken connection why it does not answer.
fn with_status(refusal: Refusal, to: Destination) -> Refusal {
    match refusal {
        Refusal::Upstream { .. } if to.route.report.reason != reason::SERVING => Refusal::NotUp(to.key, to.route),
        other => other,
    }
}

fn server_of(uri: &Uri) -> Result<Key, Refusal> {
    match path::parse(uri.path()) {
        Ok(found) => Ok(Key { namespace: found.namespace.to_owned(), name: found.name.to_owned() }),
        Err(PathError::NotAServer) => Err(Refusal::NotFound),
        Err(PathError::Ambiguous(why)) => Err(Refusal::BadPath(why)),
    }
}

/// A browser adds the cookie to requests of other sites' pages too; those may neither change anything nor open a WebSocket.
fn refuse_foreign_pages(caller: &Caller, request: &Request, upgrade: bool) -> Result<(), Refusal> {
    let harmless = !caller.by_cookie || (origin::is_safe(request.method()) && !upgrade);
    if harmless || origin::is_same(request.headers(), origin::host(request.uri(), request.headers())) {
        return Ok(());
    }
    Err(Refusal::CrossOrigin)
}

fn destination(shared: &Shared, key: Key) -> Result<Destination, Refusal> {
    let route = match shared.routes.find(&key) {
        Lookup::NotLoaded => return Err(Refusal::NotLoaded),
        // The caller may use any server of that name in that namespace, so this tells nothing about others.
        Lookup::Absent => return Err(Refusal::NotFound),
        Lookup::Found(route) => route,
    };
    let ServerState::Up(address) = route.state.clone() else {
        return Err(Refusal::NotUp(key, route));
    };
    Ok(Destination { key, route, address })
}

/// The request as the notebook server gets it: same method, same path and query byte for byte, headers by our rules.
fn outgoing(
    shared: &Shared,
    peer: Peer,
    to: &Destination,
    request: Request,
    upgrade: bool,
) -> Result<Request, Refusal> {
    let (parts, body) = request.into_parts();
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::NotFound);
    }
    let host = origin::host(&parts.uri, &parts.headers).map(str::to_owned);
    let token = (shared.options.upstream_token)(&to.route.uid);
    let proto = if peer.encrypted || shared.options.secure_cookies { "https" } else { "http" };
    let said = Said { peer: peer.address, proto, host: host.as_deref(), token: &token, upgrade };
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = target(&to.address, parts.uri.path_and_query());
    *outgoing.headers_mut() = headers::to_upstream(parts.headers, &said);
    Ok(outgoing)
}

fn target(address: &Authority, path: Option<&PathAndQuery>) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(address.clone());
    parts.path_and_query = Some(path.cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    // Scheme, authority and path together are always a URI.
    Uri::from_parts(parts).unwrap_or_default()
}

fn incoming(response: http::Response<hyper::body::Incoming>, upgrade: bool) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers = headers::to_client(std::mem::take(&mut parts.headers), upgrade);
    let mut response = Response::new(if upgrade { Body::empty() } else { Body::new(body) });
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    response
}
