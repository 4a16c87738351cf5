//! A whole site: API, notebook server, gateway, and a client that follows nothing by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use essaim_gateway::{Gateway, Limits, Options, Reach, SiteKey};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{FakeApi, ready};
use crate::notebook::Notebook;

const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ALICE: (&str, &str) = ("authorization", "token token-of-alice");
pub(crate) const BOB: (&str, &str) = ("authorization", "Bearer token-of-bob");
pub(crate) const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

pub(crate) struct Site {
    pub(crate) api: FakeApi,
    pub(crate) notebook: Notebook,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) gateway: JoinSet<Result<(), essaim_gateway::Error>>,
    now: Arc<AtomicI64>,
    client: Client<HttpConnector, Body>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text))
    }
}

impl Site {
    /// Alice's server `lab` runs; bob's server `secret` runs.
    pub(crate) async fn start() -> Self {
        Self::start_with(None, |_| {}).await
    }

    pub(crate) async fn start_with(tls: Option<Arc<ServerConfig>>, adjust: impl FnOnce(&mut Options)) -> Self {
        let api = FakeApi::new();
        let notebook = Notebook::start("first").await;
        for (namespace, name) in [("alice", "lab"), ("bob", "secret")] {
            api.put(
                namespace,
                name,
                false,
                &ready("True", "Serving", "Jupyter answers.", Some(&notebook.address.to_string())),
            );
        }
        let now = Arc::new(AtomicI64::new(1_800_000_000));
        let clock = Arc::clone(&now);
        let mut options = Options {
            reach: Reach::Host,
            site_key: SiteKey::try_new([9; 32]).unwrap(),
            clock: Arc::new(move || jiff::Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap()),
            secure_cookies: true,
            limits: Limits {
                drain: Duration::from_secs(2),
                response_head: Duration::from_secs(3),
                ..Limits::default()
            },
            upstream_token: Arc::new(|uid| format!("for-{uid}")),
        };
        adjust(&mut options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let encrypted = tls.is_some();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let mut gateway = JoinSet::new();
        gateway.spawn(Gateway::new(api.client(), options).run(listener, tls, shutdown.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let site = Self { api, notebook, address, shutdown, gateway, now, client };
        if encrypted {
            return site;
        }
        site.until("the routes are loaded", async || site.get("/readyz", &[]).await.status == StatusCode::OK).await;
        site
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call(Method::GET, path, headers, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let form_type = [("content-type", "application/x-www-form-urlencoded")];
        self.call(Method::POST, path, &[headers, &form_type].concat(), Body::from(form.to_owned())).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let response = self.send(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> http::Response<hyper::body::Incoming> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.request(request.body(body).unwrap()).await.unwrap()
    }

    /// Logs in and gives the `Cookie` header of a browser.
    pub(crate) async fn cookie_of(&self, login: &str) -> String {
        let answer = self.post("/login", &[], &format!("token=token-of-{login}&next=/")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().to_owned()
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
    }
}
