//! One HTTP exchange on a fresh connection, to a TCP port or to a Docker socket.
//!
//! The peers are asked with as little ceremony as HTTP allows: no client start, no pool, no TLS.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::error::Error;

/// Longer than anything here takes, the event stream of a slow start included.
const LIMIT: Duration = Duration::from_mins(4);

/// Whom to ask.
#[derive(Debug, Clone)]
pub(super) enum Peer {
    /// Docker's API.
    Socket(PathBuf),
    /// `host:port`, and a token if it wants one.
    Web { host: String, token: Option<String> },
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Peer {
    /// Docker's API, from an address as in `DOCKER_HOST`.
    pub(super) fn docker(host: &str) -> Result<Self, Error> {
        let path = host.strip_prefix("unix://");
        let path = path.ok_or_else(|| Error::Claim(format!("the bench needs Docker on a Unix socket, not {host}")))?;
        Ok(Self::Socket(path.into()))
    }

    /// A web server that asks for no token.
    pub(super) fn web(host: impl Into<String>) -> Self {
        Self::Web { host: host.into(), token: None }
    }

    /// Asks; an answer that is no success is an error in the peer's words.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Error> {
        let failed = |why: String| Error::Exchange { what: format!("{method} {path}"), why };
        let answer = self.exchange(method, path, body).await.map_err(|error| failed(error.to_string()))?;
        if !(200..300).contains(&answer.status) {
            return Err(failed(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))));
        }
        Ok(answer)
    }

    /// Asks; an answer that is no success is an answer too.
    pub(super) async fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        let (host, token) = match self {
            Self::Socket(_) => ("docker", None),
            Self::Web { host, token } => (host.as_str(), token.as_ref()),
        };
        let mut request = http::Request::builder().method(method).uri(path).header("Host", host);
        if let Some(token) = token {
            request = request.header("Authorization", format!("token {token}"));
        }
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let request = request.body(Full::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default()))?;
        let talked = async {
            match self {
                Self::Socket(path) => talk(UnixStream::connect(path).await?, request).await,
                Self::Web { host, .. } => talk(TcpStream::connect(host).await?, request).await,
            }
        };
        tokio::time::timeout(LIMIT, talked).await?
    }
}

/// Why there was no answer.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn talk<S>(stream: S, request: http::Request<Full<Bytes>>) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body })
    };
    // The connection ends when its sender is dropped; how it ends says nothing that the answer does not.
    let (answer, _) = futures::join!(exchange, connection);
    answer
}
