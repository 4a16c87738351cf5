//! One request for a notebook server, from the path to the answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, StatusCode, Uri};

use crate::access::Right;
use crate::answer::{Asker, Refusal, respond};
use crate::auth::{Caller, authenticate};
use crate::gateway::Shared;
use crate::headers::{self, Said};
use crate::origin;
use crate::path::{self, PathError};
use crate::route::{Key, Route, State as ServerState};
use crate::routes::Lookup;
use crate::tunnel;

/// The client's end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Everything that is not one of our own pages.
pub(crate) async fn serve(State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let asker = Asker::of(request.method(), request.uri(), request.headers());
    forward(&shared, peer.0.ip(), request).await.unwrap_or_else(|refusal| respond(refusal, &asker))
}

async fn forward(shared: &Arc<Shared>, peer: IpAddr, mut request: Request) -> Result<Response, Refusal> {
    let key = server_of(request.uri())?;
    let upgrade = headers::is_websocket(request.headers());
    let caller = authenticate(shared, request.headers()).await?;
    refuse_foreign_pages(&caller, &request, upgrade)?;
    if !shared.access.may(&caller.identity, Right::to_use(&key)).await? {
        return Err(Refusal::Forbidden);
    }
    let (route, address) = upstream_of(shared, key)?;
    if !upgrade {
        let response = shared.upstream.send(outgoing(shared, peer, &route, &address, request, false)?, false).await?;
        return Ok(incoming(response, false));
    }
    let slot = shared.tunnels.reserve().ok_or(Refusal::TooManyTunnels)?;
    let client = hyper::upgrade::on(&mut request);
    let mut response = shared.upstream.send(outgoing(shared, peer, &route, &address, request, true)?, true).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(incoming(response, false));
    }
    let server = hyper::upgrade::on(&mut response);
    slot.join(tunnel::Ends { client, server });
    Ok(incoming(response, true))
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

fn upstream_of(shared: &Shared, key: Key) -> Result<(Arc<Route>, Authority), Refusal> {
    let route = match shared.routes.find(&key) {
        Lookup::NotLoaded => return Err(Refusal::NotLoaded),
        // The caller may use any server of that name in that namespace, so this tells nothing about others.
        Lookup::Absent => return Err(Refusal::NotFound),
        Lookup::Found(route) => route,
    };
    match &route.state {
        ServerState::Up(address) => {
            let address = address.clone();
            Ok((route, address))
        }
        _ => Err(Refusal::not_up(key, &route)),
    }
}

/// The request as the notebook server gets it: same method, same path and query byte for byte, headers by our rules.
fn outgoing(
    shared: &Shared,
    peer: IpAddr,
    route: &Route,
    address: &Authority,
    request: Request,
    upgrade: bool,
) -> Result<Request, Refusal> {
    let (parts, body) = request.into_parts();
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::NotFound);
    }
    let host = origin::host(&parts.uri, &parts.headers).map(str::to_owned);
    let token = (shared.options.upstream_token)(&route.uid);
    let proto = if shared.is_secure() { "https" } else { "http" };
    let said = Said { peer, proto, host: host.as_deref(), token: &token, upgrade };
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = target(address, parts.uri.path_and_query());
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
    parts.headers = headers::to_client(std::mem::take::<HeaderMap>(&mut parts.headers), upgrade);
    let mut response = Response::new(if upgrade { Body::empty() } else { Body::new(body) });
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    response
}
