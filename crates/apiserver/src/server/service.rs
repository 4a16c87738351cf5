//! One request from its head to its answer. Nothing here knows of sockets.
//!
//! Invariant: every request is answered. An error becomes a `Status`, a panic a 500, a handler that hangs a 504.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use futures::FutureExt as _;
use http::{HeaderMap, Method, StatusCode, request::Parts};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{
    RawHandler, RawRequest, attributes,
    attributes::method_not_allowed,
    held::{Answers, Held},
    limits::{Class, Gate},
    metrics::{Labels, Metrics},
    resources::ResourceRequest,
    token_request,
    unread::Unread,
};
use crate::{
    ApiError, AuditLog, UserInfo,
    audit::Trail,
    auth::{
        AccountTokens, Attributes, Authenticator, Authorizer, Reviews, Target as AuthTarget, account_tokens,
        impersonated, needed_to_impersonate,
    },
    error::chain,
    registry::{Registry, Underway},
    wire::{
        discovery,
        negotiate::{Offer, negotiate},
        openapi::OpenApi,
        output::{self, Style},
        path::{self, Target},
        query::Query,
        service_paths,
    },
};

/// Everything that requests need.
pub(super) struct Service {
    pub(super) registry: Arc<Registry>,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) accounts: Option<Arc<AccountTokens>>,
    pub(super) authorizer: Arc<Authorizer>,
    pub(super) reviews: Reviews,
    pub(super) openapi: OpenApi,
    /// Where clients reach the server, if somebody said so.
    pub(super) url: Option<String>,
    pub(super) gate: Gate,
    pub(super) metrics: Metrics,
    pub(super) raw_handlers: Vec<RawHandler>,
    pub(super) audit: Option<AuditLog>,
    pub(super) ready: AtomicBool,
    /// Ends watches.
    pub(super) stop: CancellationToken,
}

/// Ends the watches of one listener; in the extensions of its requests.
#[derive(Clone, Debug)]
pub(super) struct ListenerStop(pub(super) CancellationToken);

/// Answers one request, whatever happens.
pub(super) async fn handle(State(service): State<Arc<Service>>, mut request: Request) -> Response {
    let audit_id = audit_id(request.headers());
    let noted =
        service.audit.as_ref().and_then(|log| Some((log, AuditLog::begin(&mut request, &audit_id, service.now())?)));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = tokio::time::Instant::now();
    let labels = OnceLock::new();
    let underway = Arc::new(Underway::until(started + service.gate.limits.handler));
    request.extensions_mut().insert(underway.clone());
    let answered = AssertUnwindSafe(Box::pin(service.answer(request, &labels))).catch_unwind().await;
    let answered = answered.unwrap_or_else(|panic| Err(ApiError::internal(panic_text(panic.as_ref()))));
    let reason = answered.as_ref().err().map_or("", |error| error.reason);
    let mut response = answered.unwrap_or_else(|error| refuse(&error, &audit_id));
    output::identify(&mut response, &audit_id);
    output::warn(&mut response, &underway.take_warnings());
    if let Some((log, trail)) = noted {
        response = log.end(trail, response, reason, &service.registry.clock);
    }
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    service.metrics.answered(labels.get_or_init(|| Labels::unreadable(&method)), status, elapsed);
    tracing::debug!(%method, path, status, audit_id, ?elapsed, "answered a request");
    response
}

/// The answer to a failure; what is the server's own fault is logged, once and with its causes.
fn refuse(error: &ApiError, audit_id: &str) -> Response {
    if is_own_fault(error) {
        let causes = chain(error);
        tracing::error!(audit_id, code = error.code, reason = error.reason, causes, "failed to answer a request");
    }
    output::failure(error)
}

/// Not where one only has to ask again later: a client could fill the log by asking too early.
fn is_own_fault(error: &ApiError) -> bool {
    error.code >= 500 && error.retry_after_seconds.is_none()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", text.unwrap_or_default())
}

/// The client's, if it sent a sensible one, else a new one.
fn audit_id(headers: &HeaderMap) -> String {
    let sent = headers.get("audit-id").and_then(|value| value.to_str().ok());
    match sent.filter(|id| (1..=64).contains(&id.len())) {
        Some(id) => id.to_owned(),
        None => uuid::Uuid::new_v4().to_string(),
    }
}

impl Service {
    pub(super) fn now(&self) -> Timestamp {
        (self.registry.clock)()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// What must hold for the server to be of use.
    fn checks(&self) -> [(&'static str, bool); 2] {
        [("bootstrap", self.is_ready()), ("store", self.registry.store.health().is_ok())]
    }

    /// Says in `labels` what is asked for, as soon as that is known.
    async fn answer(&self, request: Request, labels: &OnceLock<Labels>) -> Result<Response, ApiError> {
        let (parts, body) = request.into_parts();
        let body = Unread::guard(body);
        let query = Query::parse(&parts.uri)?;
        let target = path::parse(parts.uri.path())?;
        let labels =
            labels.get_or_init(|| Labels::of(&target, &parts.method, &parts.headers, &query, &self.registry.catalogue));
        if let Target::NonResource(path) = &target
            && let Some(response) = service_paths::health(path, &query, &self.checks())
        {
            return Ok(response);
        }
        let user = Arc::new(self.user(&parts).await?);
        let attributes = attributes::of(&target, parts.uri.path(), &parts.method, &query)?;
        let trail = parts.extensions.get::<Arc<Trail>>();
        if let Some(trail) = trail {
            trail.about(&attributes, target.version());
        }
        let class = class(&attributes);
        let place = self.gate.enter(class, &user)?;
        let allowed = self.authorizer.require(&user, &attributes).await;
        if let Some(trail) = trail {
            trail.decided(allowed.is_ok());
        }
        allowed?;
        let routed = Box::pin(self.route(&target, &user, &parts, &query, labels, body));
        let handler = self.gate.limits.handler;
        let response = tokio::time::timeout(handler, routed).await.unwrap_or_else(|_| Err(timed_out(handler)))?;
        // A watch may be silent for as long as it lasts, and one that is behind is ended elsewhere.
        let answers = parts.extensions.get::<Answers>().filter(|_| class != Class::Watch);
        Ok(response.map(|body| Held::guard(body, place, answers)))
    }

    /// Who asks, or for whom they may act.
    async fn user(&self, parts: &Parts) -> Result<UserInfo, ApiError> {
        let user = self.authenticator.identify(&parts.headers, &parts.extensions, self.now()).await?;
        let other = impersonated(&parts.headers)?;
        if let Some(trail) = parts.extensions.get::<Arc<Trail>>() {
            trail.by(&user, other.as_ref());
        }
        let Some(other) = other else { return Ok(user) };
        for right in needed_to_impersonate(&other) {
            let allowed = self.authorizer.require(&user, &right).await;
            if let (Err(_), Some(trail)) = (&allowed, parts.extensions.get::<Arc<Trail>>()) {
                trail.decided(false);
            }
            allowed?;
        }
        Ok(other)
    }

    async fn route(
        &self,
        target: &Target,
        user: &Arc<UserInfo>,
        parts: &Parts,
        query: &Query,
        labels: &Labels,
        body: Body,
    ) -> Result<Response, ApiError> {
        if let Some(response) = self.raw(user, parts, query) {
            return response.await;
        }
        match target {
            Target::Resource(path) if token_request::is_meant(path) => {
                Box::pin(token_request::answer(self, parts, query, path, body)).await
            }
            Target::Resource(path) => {
                let stop =
                    parts.extensions.get::<ListenerStop>().map_or_else(|| self.stop.clone(), |stop| stop.0.clone());
                Box::pin(ResourceRequest::find(self, user, parts, query, path)?.answer(labels, body, stop)).await
            }
            _ if parts.method != Method::GET => Err(method_not_allowed()),
            Target::Discovery(wanted) => {
                discovery::respond(&self.registry.catalogue.table(), wanted, &parts.headers, query)
            }
            Target::NonResource(path) => self.document(path, parts, query),
        }
    }

    /// Documents about the server.
    fn document(&self, path: &str, parts: &Parts, query: &Query) -> Result<Response, ApiError> {
        let document = match path {
            "/" => service_paths::root(),
            "/version" => service_paths::version(),
            "/metrics" => return self.metrics.respond(self, &parts.headers),
            account_tokens::KEY_SET_PATH => return self.key_set(),
            account_tokens::DISCOVERY_PATH => {
                return Ok(service_paths::for_an_hour(
                    "application/json",
                    &AccountTokens::discovery(self.url.as_deref()),
                ));
            }
            _ if path.starts_with("/openapi/") => {
                return self.openapi.respond(&self.registry.catalogue.table(), path, &parts.headers, query);
            }
            _ => return Err(ApiError::no_such_path()),
        };
        let style = Style::new(negotiate(&parts.headers, Offer::Document)?, query, &parts.headers)?;
        output::write(StatusCode::OK, &document, &style)
    }

    /// The public keys of service accounts' tokens.
    fn key_set(&self) -> Result<Response, ApiError> {
        let accounts = self.accounts.as_ref().ok_or_else(ApiError::no_such_path)?;
        Ok(service_paths::for_an_hour("application/jwk-set+json", &accounts.key_set()))
    }

    /// What the composition root answers, if it is one of its paths.
    fn raw(
        &self,
        user: &UserInfo,
        parts: &Parts,
        query: &Query,
    ) -> Option<impl Future<Output = Result<Response, ApiError>> + Send + use<>> {
        if parts.method != Method::GET {
            return None;
        }
        let segments = path::segments(parts.uri.path()).ok()?;
        let segments = segments.iter().map(String::as_str).collect::<Vec<_>>();
        let (handler, params) = self.raw_handlers.iter().find_map(|one| Some((one, one.matches(&segments)?)))?;
        Some(handler.respond(RawRequest { user: user.clone(), params, query: query.pairs() }))
    }
}

fn class(attributes: &Attributes) -> Class {
    match &attributes.target {
        AuthTarget::Path(_) => Class::Read,
        AuthTarget::Resource { .. } => Class::of_verb(&attributes.verb),
    }
}

fn timed_out(allotted: Duration) -> ApiError {
    let message = format!(
        "the server was unable to return a response in the time allotted, {allotted:?}; it may still be processing it"
    );
    ApiError::new(504, "Timeout", message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{is_own_fault, timed_out};
    use crate::ApiError;

    #[test]
    fn a_client_that_asks_too_early_is_no_fault_of_the_server() {
        let mut early = ApiError::new(504, "Timeout", "too large resource version");
        early.retry_after_seconds = Some(1);
        assert!(!is_own_fault(&early) && !is_own_fault(&ApiError::too_many_requests()));
        assert!(is_own_fault(&ApiError::internal("broken")) && is_own_fault(&timed_out(Duration::from_secs(34))));
    }
}
