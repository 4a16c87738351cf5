//! One question to a webhook: a JSON document over TLS, and the JSON document that answers it.
//!
//! ```text
//! clientConfig ─► target (host, port, authorities) ─► a place among its calls ─► a kept connection, else a new one
//! ```
//!
//! Nothing is followed: no redirect, no proxy, no other scheme. A kept connection may have been closed by the other side; a
//! question that found no answer on one is asked once more on a new one, so a webhook may hear it twice, as Kubernetes warns its authors.
//!
//! Bounds: the time that the caller names, for everything together, at most 10 s of it for a new connection; 3 MiB for an answer; 64
//! calls at once to a target on as many connections, the others wait; a minute for which a connection is kept; 64 targets.
//!
//! Cancellation: closes the connection, since the rest of an answer may still come on it.

use std::{
    collections::HashMap,
    future::pending,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use essaim_schema::FieldError;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use crate::outgoing::{self, Address, TrustError};

const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_BYTES: usize = 3 * 1024 * 1024;
const CALLS_AT_ONCE: usize = 64;
const IDLE_FOR: Duration = Duration::from_mins(1);
const TARGETS: usize = 64;

/// Why there is no answer. The text is for whoever waited for it: it names the address, and nothing that the webhook said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The configuration was not checked when it was written.
    #[error("the clientConfig names no address that can be called")]
    Address,
    /// Nobody is trusted.
    #[error("unable to load root certificates: {0}")]
    Trust(#[from] TrustError),
    /// No connection.
    #[error("Post {url:?}: cannot connect: {source}")]
    Connect { url: String, source: io::Error },
    /// The conversation broke off.
    #[error("Post {url:?}: {source}")]
    Exchange { url: String, source: hyper::Error },
    /// Another code than those of success.
    #[error("Post {url:?}: the webhook answered {status}")]
    Status { url: String, status: StatusCode },
    /// Too much to read.
    #[error("Post {0:?}: the answer is larger than {ANSWER_BYTES} bytes")]
    TooLarge(String),
    /// Something else than JSON.
    #[error("Post {0:?}: the answer is not JSON")]
    Content(String),
    /// It took too long.
    #[error("Post {0:?}: context deadline exceeded")]
    TimedOut(String),
}

/// Calls webhooks; keeps connections to them.
#[derive(Default)]
pub(crate) struct Caller {
    /// A std mutex: it is held for a look-up, and for reading the authorities of a new target.
    targets: Mutex<HashMap<TargetKey, Arc<Target>>>,
    /// Trusts the authorities of the system, which are read once.
    system: OnceLock<TlsConnector>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct TargetKey {
    host: String,
    port: u16,
    /// As it stands in the configuration.
    ca_bundle: Option<String>,
}

struct Target {
    connector: TlsConnector,
    places: Semaphore,
    idle: Mutex<Vec<Connection>>,
    used: Mutex<Instant>,
}

/// A connection and the work that carries it, which runs only while somebody waits for an answer.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    since: Instant,
}

/// One question, ready to be sent more than once.
struct Question {
    url: String,
    address: Address,
    body: Bytes,
}

impl Caller {
    /// Sends `body` to the `clientConfig` of a webhook and gives the answer. `query` is put behind the path, without its question mark.
    pub(crate) async fn call(
        &self,
        config: &Value,
        query: &str,
        body: &Value,
        within: Duration,
    ) -> Result<Value, CallError> {
        let url = config.get("url").and_then(Value::as_str).ok_or(CallError::Address)?;
        let url = if query.is_empty() { url.to_owned() } else { format!("{url}?{query}") };
        let address = Address::parse(&url).ok_or(CallError::Address)?;
        let target = self.target(&address, config.get("caBundle").and_then(Value::as_str))?;
        let question = Question { url, address, body: body.to_string().into() };
        let answered = timeout(within, target.ask(&question)).await;
        answered.unwrap_or_else(|_| Err(CallError::TimedOut(question.url)))
    }

    /// The target, made when it is first called.
    fn target(&self, address: &Address, ca_bundle: Option<&str>) -> Result<Arc<Target>, CallError> {
        let ca_bundle = ca_bundle.filter(|bundle| !bundle.is_empty()).map(str::to_owned);
        let key = TargetKey { host: address.host.clone(), port: address.port, ca_bundle };
        let now = Instant::now();
        let mut targets = lock(&self.targets);
        for target in targets.values() {
            lock(&target.idle).retain(|one| now.duration_since(one.since) < IDLE_FOR);
        }
        if let Some(target) = targets.get(&key) {
            *lock(&target.used) = now;
            return Ok(target.clone());
        }
        let connector = self.connector(key.ca_bundle.as_deref())?;
        // Calls under way keep what is put away here.
        if targets.len() >= TARGETS
            && let Some(oldest) = targets.iter().min_by_key(|(_, one)| *lock(&one.used)).map(|(key, _)| key.clone())
        {
            targets.remove(&oldest);
        }
        let target =
            Target { connector, places: Semaphore::new(CALLS_AT_ONCE), idle: Mutex::default(), used: Mutex::new(now) };
        Ok(targets.entry(key).or_insert_with(|| Arc::new(target)).clone())
    }

    fn connector(&self, ca_bundle: Option<&str>) -> Result<TlsConnector, CallError> {
        if let Some(bundle) = ca_bundle {
            let pem = STANDARD.decode(bundle).map_err(|error| TrustError::Unreadable(error.into()))?;
            return Ok(outgoing::trusting(Some(&pem))?);
        }
        if let Some(connector) = self.system.get() {
            return Ok(connector.clone());
        }
        let connector = outgoing::trusting(None)?;
        Ok(self.system.get_or_init(|| connector).clone())
    }
}

impl Target {
    async fn ask(&self, question: &Question) -> Result<Value, CallError> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        let kept = lock(&self.idle).pop();
        if let Some(mut kept) = kept {
            match kept.post(question).await {
                Err(CallError::Exchange { .. }) => {}
                answer => return self.keep(kept, answer),
            }
        }
        let mut connection = self.connect(question).await?;
        let answer = connection.post(question).await;
        self.keep(connection, answer)
    }

    async fn connect(&self, question: &Question) -> Result<Connection, CallError> {
        let failed = |source| CallError::Connect { url: question.url.clone(), source };
        let stream = timeout(CONNECTED_WITHIN, question.address.connect(&self.connector)).await;
        let stream = stream.map_err(|_| CallError::TimedOut(question.url.clone()))?.map_err(failed)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|source| question.broken(source))?;
        let driver = Box::pin(async move {
            // How it ends is seen by whoever waits for the answer.
            let _ = connection.await;
            pending::<()>().await;
        });
        Ok(Connection { sender, driver, since: Instant::now() })
    }

    /// Only after a whole answer nothing is left on the connection that belongs to it. There are never more than places, since
    /// a new one is made only where none is kept.
    fn keep(&self, mut connection: Connection, answer: Result<Value, CallError>) -> Result<Value, CallError> {
        if answer.is_ok() && !connection.sender.is_closed() {
            connection.since = Instant::now();
            lock(&self.idle).push(connection);
        }
        answer
    }
}

impl Connection {
    async fn post(&mut self, question: &Question) -> Result<Value, CallError> {
        let Self { sender, driver, .. } = self;
        tokio::select! {
            biased;
            // Never ends, but has to go first: it finds out that a kept connection was closed.
            () = driver => Err(CallError::TimedOut(question.url.clone())),
            answer = question.exchange(sender) => answer,
        }
    }
}

impl Question {
    async fn exchange(&self, sender: &mut SendRequest<Full<Bytes>>) -> Result<Value, CallError> {
        sender.ready().await.map_err(|source| self.broken(source))?;
        let request = Request::post(&self.address.path)
            .header(header::HOST, self.address.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("essaim-apiserver/", env!("CARGO_PKG_VERSION")));
        let request = request.body(Full::new(self.body.clone())).map_err(|_| CallError::Address)?;
        let answer = sender.send_request(request).await.map_err(|source| self.broken(source))?;
        if !answer.status().is_success() {
            return Err(CallError::Status { url: self.url.clone(), status: answer.status() });
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(source) => self.broken(*source),
            Err(other) if other.is::<LengthLimitError>() => CallError::TooLarge(self.url.clone()),
            Err(_) => CallError::Content(self.url.clone()),
        })?;
        serde_json::from_slice(&body.to_bytes()).map_err(|_| CallError::Content(self.url.clone()))
    }

    fn broken(&self, source: hyper::Error) -> CallError {
        CallError::Exchange { url: self.url.clone(), source }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is wrong with the `clientConfig` at this path: it needs a `url`, since there is no network of services here.
pub(crate) fn check_client_config(config: &Value, path: &str) -> Vec<FieldError> {
    let given = |field: &str| config.get(field).filter(|value| !value.is_null());
    let mut errors = match (given("url"), given("service")) {
        (Some(url), None) => check_url(url.as_str().unwrap_or_default(), &format!("{path}.url")),
        (None, Some(_)) => {
            let detail = "this server has no network of services; use url, with the address of the webhook";
            vec![FieldError::forbidden(format!("{path}.service"), detail)]
        }
        _ => vec![FieldError::required(path, "exactly one of url or service is required")],
    };
    let bundle = given("caBundle").and_then(Value::as_str).filter(|bundle| !bundle.is_empty());
    let readable = |bundle: &str| STANDARD.decode(bundle).is_ok_and(|pem| outgoing::trusting(Some(&pem)).is_ok());
    if let Some(bundle) = bundle.filter(|bundle| !readable(bundle)) {
        let detail = "unable to load root certificates: it holds no certificate as PEM";
        errors.push(FieldError::invalid(format!("{path}.caBundle"), &Value::from(bundle), detail));
    }
    errors
}

fn check_url(url: &str, path: &str) -> Vec<FieldError> {
    const FORM: &str = "; desired format: https://host[/path]";
    let (whole, fragment) = url.split_once('#').map_or((url, ""), |(whole, fragment)| (whole, fragment));
    let Ok(uri) = whole.parse::<Uri>() else {
        return vec![FieldError::required(path, format!("url must be a valid URL{FORM}"))];
    };
    let mut errors = Vec::new();
    let mut refuse = |value: &str, detail: String| errors.push(FieldError::invalid(path, &Value::from(value), detail));
    let scheme = uri.scheme_str().unwrap_or_default();
    if scheme != "https" {
        refuse(scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if uri.host().is_none_or(str::is_empty) || uri.scheme().is_none() {
        refuse("", format!("host must be specified{FORM}"));
    }
    let user = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@')).map(|(user, _)| user);
    if user.is_some() {
        // It may hold a password.
        refuse("<redacted>", "user information is not permitted in the URL".into());
    }
    if !fragment.is_empty() {
        refuse(fragment, "fragments are not permitted in the URL".into());
    }
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        refuse(query, "query parameters are not permitted in the URL".into());
    }
    errors
}

#[cfg(test)]
mod tests;
