//! The audit log: who asked for what, when, from where, and how it ended.
//!
//! One line of JSON for each request, an `Event` of `audit.k8s.io/v1` at the level Metadata: no bodies, no tokens, no messages.
//! A request is noted when its answer stands (`ResponseComplete`); a watch when it begins (`ResponseStarted`) and when it
//! ends. Not noted, as usual policies have it: health, discovery and `/version`; and what the quiet users read and ask, since
//! the platform's own roles would drown everybody else.
//!
//! ```text
//! request ─► trail (who, what) ─► answer ─► queue of 4,096 ─► a thread of its own ─► file, rotated by size
//! ```
//!
//! Guarantees: no request waits for the log. What does not fit into the queue, or cannot be written, is counted and said in
//! the server's log, once for each time that it happens. `kill -9` loses what is still in the queue.

mod event;
mod file;
mod writer;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{Method, header};
use http_body::{Frame, SizeHint};
use jiff::Timestamp;

use crate::{
    Clock, UserInfo,
    auth::{Attributes, Target},
};
use event::{Entry, Stage};
use writer::Queue;

/// Longer user agents and addresses are cut: they come from the client.
const AGENT_BYTES: usize = 1024;
const URI_BYTES: usize = 4096;

/// Where the audit log is kept, and what is left out.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// The file; older ones lie beside it as `NAME.1`, `NAME.2` and so on. Readable by its owner only.
    pub path: PathBuf,
    /// A file that is as large is put aside.
    pub max_bytes: u64,
    /// How many files there may be, the current one among them; the oldest goes.
    pub max_files: usize,
    /// Users whose reads and reviews are not noted, unless they are refused.
    pub quiet_users: Vec<String>,
}

/// The audit log could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the audit log {}", path.display())]
pub struct AuditError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// An open audit log. Its thread ends, when everything is written, with the last clone.
#[derive(Clone)]
pub struct AuditLog(Arc<Inner>);

struct Inner {
    queue: Queue,
    quiet_users: Vec<String>,
}

impl AuditLog {
    /// Opens the file, to go on at its end, and starts the thread that writes.
    pub fn open(settings: AuditSettings) -> Result<Self, AuditError> {
        let AuditSettings { path, max_bytes, max_files, quiet_users } = settings;
        let queue = Queue::open(&path, max_bytes, max_files).map_err(|source| AuditError { path, source })?;
        Ok(Self(Arc::new(Inner { queue, quiet_users })))
    }

    /// Begins to note a request, if it is one that is noted. What is learned on the way goes into the trail, which is in the
    /// request's extensions.
    pub(crate) fn begin(request: &mut Request, id: &str, now: Timestamp) -> Option<Arc<Trail>> {
        if is_quiet_path(request.method(), request.uri().path()) {
            return None;
        }
        let agent = request.headers().get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        let uri = request.uri().path_and_query().map_or_else(|| request.uri().path(), |uri| uri.as_str());
        let trail = Arc::new(Trail {
            id: id.to_owned(),
            method: request.method().as_str().to_ascii_lowercase(),
            uri: cut(uri, URI_BYTES),
            agent: cut(&agent.unwrap_or_default(), AGENT_BYTES),
            source: request.extensions().get::<PeerAddress>().map(|peer| peer.0.ip()),
            received: now,
            who: OnceLock::new(),
            what: OnceLock::new(),
            version: OnceLock::new(),
            allowed: OnceLock::new(),
            name: OnceLock::new(),
        });
        request.extensions_mut().insert(trail.clone());
        Some(trail)
    }

    /// Notes how the request ended; `reason` if it failed. A watch is noted once more when its body ends.
    pub(crate) fn end(&self, trail: Arc<Trail>, response: Response, reason: &'static str, clock: &Clock) -> Response {
        let code = response.status().as_u16();
        if code < 400 && self.is_quiet(&trail) {
            return response;
        }
        let watch = code == 200 && trail.what.get().is_some_and(|what| what.verb == "watch");
        let stage = if watch { Stage::ResponseStarted } else { Stage::ResponseComplete };
        self.0.queue.put(Entry { trail: trail.clone(), stage, code, reason, at: clock() });
        if !watch {
            return response;
        }
        let end = WatchEnd { log: self.clone(), trail, code, clock: clock.clone() };
        response.map(|inner| Body::new(Noted { inner, _end: end }))
    }

    /// A read or a review by one of the platform's own users.
    fn is_quiet(&self, trail: &Trail) -> bool {
        let (Some((user, other)), Some(what)) = (trail.who.get(), trail.what.get()) else { return false };
        let review = matches!(&what.target, Target::Resource { group, subresource, .. }
            if subresource.is_empty() && matches!(group.as_str(), "authentication.k8s.io" | "authorization.k8s.io"));
        let reads = matches!(what.verb.as_str(), "get" | "list" | "watch");
        other.is_none() && (reads || review) && self.0.quiet_users.contains(&user.name)
    }
}

/// Where a connection comes from; in the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerAddress(pub(crate) SocketAddr);

/// What is known of a request so far.
pub(crate) struct Trail {
    id: String,
    method: String,
    uri: String,
    agent: String,
    source: Option<IpAddr>,
    received: Timestamp,
    /// Who asks, and for whom they act.
    who: OnceLock<(UserInfo, Option<UserInfo>)>,
    what: OnceLock<Attributes>,
    version: OnceLock<String>,
    allowed: OnceLock<bool>,
    /// Of an object whose name is not in the path.
    name: OnceLock<String>,
}

impl Trail {
    /// Notes who asks, and for whom they want to act.
    pub(crate) fn by(&self, user: &UserInfo, impersonated: Option<&UserInfo>) {
        let _ = self.who.set((user.clone(), impersonated.cloned()));
    }

    /// Notes what is asked, and in which version of its group.
    pub(crate) fn about(&self, what: &Attributes, version: &str) {
        let _ = self.what.set(what.clone());
        let _ = self.version.set(version.to_owned());
    }

    /// Notes what the rules say.
    pub(crate) fn decided(&self, allowed: bool) {
        let _ = self.allowed.set(allowed);
    }

    /// Notes the name of a new object.
    pub(crate) fn named(&self, name: &str) {
        let _ = self.name.set(name.to_owned());
    }
}

/// A body whose end is noted.
struct Noted {
    inner: Body,
    _end: WatchEnd,
}

impl http_body::Body for Noted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Notes the end of a watch when dropped, whoever ended it.
struct WatchEnd {
    log: AuditLog,
    trail: Arc<Trail>,
    code: u16,
    clock: Clock,
}

impl Drop for WatchEnd {
    fn drop(&mut self) {
        let (trail, code, at) = (self.trail.clone(), self.code, (self.clock)());
        self.log.0.queue.put(Entry { trail, stage: Stage::ResponseComplete, code, reason: "", at });
    }
}

/// Health, discovery, documents about the server: what clients ask all the time and what tells nothing.
fn is_quiet_path(method: &Method, path: &str) -> bool {
    let mut segments = path.trim_matches('/').split('/');
    let (first, others) = (segments.next().unwrap_or_default(), segments.count());
    let most = match first {
        "healthz" | "livez" | "readyz" | "openapi" => usize::MAX,
        "api" => 1,
        "apis" => 2,
        "version" => 0,
        _ => return false,
    };
    method == Method::GET && others <= most
}

/// At most so many bytes of a text, cut between characters.
fn cut(text: &str, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests;
