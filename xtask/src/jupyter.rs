//! A notebook's user without a browser: starts a kernel and runs a cell through the gateway's WebSocket.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::error::Error;

/// A kernel starts in a second or two.
const LIMIT: Duration = Duration::from_mins(1);

/// What an HTTP request was answered with.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, as they came.
    pub headers: http::HeaderMap,
    /// The body as text.
    pub body: String,
}

/// Who asks, and where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The gateway's `host:port`.
    pub gateway: String,
    /// The value of the `Authorization` header, if any.
    pub authorization: Option<String>,
    /// The value of the `Cookie` header, if any.
    pub cookie: Option<String>,
    /// The value of the `Accept` header.
    pub accept: &'static str,
}

impl Caller {
    /// A program with a token.
    pub fn with_token(gateway: &str, token: &str) -> Self {
        let authorization = Some(format!("token {token}"));
        Self { gateway: gateway.to_owned(), authorization, cookie: None, accept: "application/json" }
    }

    /// One request; a body is JSON.
    ///
    /// # Errors
    /// No answer within a minute.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Result<Answer, Error> {
        run(self.send(method, path, &[], body))
    }

    /// One request with further headers, among which `Content-Type` says what the body is.
    ///
    /// # Errors
    /// No answer within a minute.
    pub fn request_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, Error> {
        run(self.send(method, path, headers, body))
    }

    /// Starts a kernel on the server behind `base` (`/user/NAMESPACE/NAME/`), runs the code, and gives back what it printed.
    ///
    /// # Errors
    /// The kernel did not start, the code failed, or nothing came within a minute.
    pub fn run_cell(&self, base: &str, code: &str) -> Result<String, Error> {
        let kernel = self.start_kernel(base)?;
        self.run_in_kernel(base, &kernel, code)
    }

    /// Starts a kernel on the server behind `base`, and gives its id.
    ///
    /// # Errors
    /// The kernel did not start.
    pub fn start_kernel(&self, base: &str) -> Result<String, Error> {
        let started = self.request("POST", &format!("{base}api/kernels"), "{}")?;
        let none = || Error::Notebook(format!("no kernel: {} {}", started.status, started.body));
        let kernel: Value = serde_json::from_str(&started.body).map_err(|_| none())?;
        kernel["id"].as_str().map(str::to_owned).ok_or_else(none)
    }

    /// Runs the code in a kernel that runs already, and gives back what it printed.
    ///
    /// # Errors
    /// The code failed, or nothing came within a minute.
    pub fn run_in_kernel(&self, base: &str, kernel: &str, code: &str) -> Result<String, Error> {
        run(self.execute(base, kernel, code))
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, Error> {
        let failed = |what: String| Error::Notebook(format!("{method} {path}: {what}"));
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.gateway))
            .header("Accept", self.accept);
        for (name, value) in self.credentials() {
            request = request.header(name, value);
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Content-Type")) {
            request = request.header("Content-Type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(Full::new(Bytes::from(body.to_owned()))).map_err(|error| failed(error.to_string()))?;
        let response = client.request(request).await.map_err(|error| failed(error.to_string()))?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn credentials(&self) -> Vec<(&'static str, String)> {
        let authorization = self.authorization.clone().map(|value| ("Authorization", value));
        let cookie = self.cookie.clone().map(|value| ("Cookie", value));
        authorization.into_iter().chain(cookie).collect()
    }

    async fn execute(&self, base: &str, kernel: &str, code: &str) -> Result<String, Error> {
        let url = format!("ws://{}{base}api/kernels/{kernel}/channels?session_id=xtask", self.gateway);
        let mut request = url.into_client_request().map_err(socket_error)?;
        for (name, value) in self.credentials() {
            let value = value.parse().map_err(|_| Error::Notebook("the credential is no header value".into()))?;
            request.headers_mut().insert(name, value);
        }
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.map_err(socket_error)?;
        socket.send(Message::text(execute_request(code).to_string())).await.map_err(socket_error)?;
        let mut printed = String::new();
        while let Some(message) = socket.next().await {
            let Message::Text(text) = message.map_err(socket_error)? else { continue };
            let message: Value = serde_json::from_str(&text).map_err(|error| Error::Notebook(error.to_string()))?;
            if message["parent_header"]["msg_id"] != "cell" {
                continue;
            }
            match message["msg_type"].as_str() {
                Some("stream") => printed.push_str(message["content"]["text"].as_str().unwrap_or_default()),
                Some("error") => {
                    return Err(Error::Notebook(format!("the cell failed: {}", message["content"]["evalue"])));
                }
                Some("status") if message["content"]["execution_state"] == "idle" => return Ok(printed),
                _ => {}
            }
        }
        Err(Error::Notebook("the WebSocket was closed before the cell ended".into()))
    }
}

/// A message of the Jupyter kernel protocol, version 5.
fn execute_request(code: &str) -> Value {
    json!({
        "channel": "shell",
        "header": {"msg_id": "cell", "msg_type": "execute_request", "session": "xtask", "username": "", "version": "5.3", "date": ""},
        "parent_header": {}, "metadata": {}, "buffers": [],
        "content": {"code": code, "silent": false, "store_history": false, "user_expressions": {}, "allow_stdin": false, "stop_on_error": true},
    })
}

fn socket_error(error: impl std::fmt::Display) -> Error {
    Error::Notebook(format!("WebSocket: {error}"))
}

fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::file("start", "an asynchronous runtime"))?;
    let limited = async { tokio::time::timeout(LIMIT, work).await };
    runtime
        .block_on(limited)
        .unwrap_or_else(|_| Err(Error::Notebook(format!("no answer within {} s", LIMIT.as_secs()))))
}
