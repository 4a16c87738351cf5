//! A client with nothing between the test and the wire: one TLS connection, no retry, and a clear word on whether a request left.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

/// Longer than any request may take, a lost etcd included.
const LIMIT: Duration = Duration::from_secs(40);
const CONNECT: Duration = Duration::from_secs(5);

/// Where the API is: one or more processes, each as good as the others.
pub(super) struct Door {
    addresses: Vec<String>,
    connector: TlsConnector,
    authorization: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The request never left.
    NotSent,
    /// Nobody knows what became of it.
    Lost,
}

/// One client, which keeps a connection as long as it holds, and then goes to the next process.
pub(super) struct Client {
    door: Arc<Door>,
    next: usize,
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends with the connection.
    _driver: JoinSet<()>,
}

impl Door {
    pub(super) fn new(addresses: &[&str], authority: &Path, token: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&fs::read(authority).unwrap()).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self {
            addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
            connector: TlsConnector::from(Arc::new(config)),
            authorization: format!("Bearer {token}"),
        }
    }
}

impl Client {
    /// `first` chooses the process that it begins with.
    pub(super) fn new(door: &Arc<Door>, first: usize) -> Self {
        Self { door: door.clone(), next: first, connection: None }
    }

    /// One request and its whole answer; null where the body is no JSON.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), Trouble> {
        let answer = timeout(LIMIT, async {
            let response = self.send(method, path, body).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(|_| Trouble::Lost)?.to_bytes();
            Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        });
        let answer = answer.await.unwrap_or(Err(Trouble::Lost));
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    /// One request, and its answer as it comes. The connection is of no more use afterwards.
    pub(super) async fn open(&mut self, path: &str) -> Result<(u16, Incoming), Trouble> {
        let response = timeout(LIMIT, self.send("GET", path, None)).await.unwrap_or(Err(Trouble::Lost))?;
        Ok((response.status().as_u16(), response.into_body()))
    }

    /// Gives up the connection, and what was open on it.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    async fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Response<Incoming>, Trouble> {
        let authorization = self.door.authorization.clone();
        let sender = self.connected().await.ok_or(Trouble::NotSent)?;
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header(HOST, "essaim").header(CONTENT_TYPE, kind);
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.header(AUTHORIZATION, authorization).body(Full::from(body)).unwrap();
        sender.send_request(request).await.map_err(|_| Trouble::Lost)
    }

    /// The connection, made anew where it has ended.
    async fn connected(&mut self) -> Option<&mut SendRequest<Full<Bytes>>> {
        if let Some(connection) = &mut self.connection
            && connection.sender.ready().await.is_err()
        {
            self.connection = None;
        }
        if self.connection.is_none() {
            let address = &self.door.addresses[self.next % self.door.addresses.len()];
            self.next += 1;
            self.connection = timeout(CONNECT, connect(&self.door.connector, address)).await.ok().flatten();
        }
        self.connection.as_mut().map(|connection| &mut connection.sender)
    }
}

async fn connect(connector: &TlsConnector, address: &str) -> Option<Connection> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let host = address.rsplit_once(':')?.0.to_owned();
    let stream = connector.connect(ServerName::try_from(host).ok()?, stream).await.ok()?;
    let (sender, driving) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(driving.await) });
    Some(Connection { sender, _driver: driver })
}
