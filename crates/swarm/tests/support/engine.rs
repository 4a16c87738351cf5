//! A second way to the engine, independent of the crate under test: hands that edit, and eyes that see into containers.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "part of tests, which tell by panicking")]

use bytes::Bytes;
use essaim_testkit::swarm_contract::Hands;
use futures::future::BoxFuture;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An engine at a URL.
pub(crate) struct Engine(pub(crate) String);

impl Engine {
    async fn connect(&self) -> Box<dyn Stream> {
        let (scheme, rest) = self.0.split_once("://").expect("a URL");
        match scheme {
            "unix" => Box::new(UnixStream::connect(rest).await.expect("the engine's socket")),
            _ => Box::new(TcpStream::connect(rest).await.expect("the engine's port")),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Bytes) {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { drop(connection.await) });
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1.41{path}"))
            .header("host", "engine")
            .header("content-type", "application/json");
        let body = Full::new(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default());
        let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.exchange(method, path, body).await;
        assert!(status < 300, "{path}: {status} {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await
    }

    /// Whether the engine is a manager that answers; anything else must not pass for a test that was skipped.
    pub(crate) async fn check(&self) {
        let info = self.get("/info").await;
        assert_eq!(info["Swarm"]["ControlAvailable"], true, "{} is no Swarm manager", self.0);
    }

    /// Removes what an earlier run may have left.
    pub(crate) async fn sweep(&self, prefix: &str) {
        for service in self.get("/services").await.as_array().unwrap() {
            if service["Spec"]["Name"].as_str().unwrap().starts_with(prefix) {
                self.exchange(Method::DELETE, &format!("/services/{}", service["ID"].as_str().unwrap()), None).await;
            }
        }
        for secret in self.get("/secrets").await.as_array().unwrap() {
            if secret["Spec"]["Name"].as_str().unwrap().starts_with(prefix) {
                self.exchange(Method::DELETE, &format!("/secrets/{}", secret["ID"].as_str().unwrap()), None).await;
            }
        }
    }

    /// What a command in a container prints.
    pub(crate) async fn exec(&self, container: &str, script: &str) -> String {
        let command = json!({ "Cmd": ["sh", "-c", script], "AttachStdout": true, "AttachStderr": true });
        let exec = self.call(Method::POST, &format!("/containers/{container}/exec"), Some(&command)).await;
        let path = format!("/exec/{}/start", exec["Id"].as_str().unwrap());
        let (_, mut output) = self.exchange(Method::POST, &path, Some(&json!({ "Detach": false }))).await;
        let mut text = String::new();
        // Docker frames the two outputs: eight bytes of which the last four are the length.
        while output.len() >= 8 {
            let header = output.split_to(8);
            let length = u32::from_be_bytes(header[4..].try_into().unwrap());
            text += &String::from_utf8_lossy(&output.split_to(length.try_into().unwrap()));
        }
        text
    }
}

impl Hands for Engine {
    fn edit<'a>(&'a self, service: &'a str, edit: fn(&mut Value)) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // The Swarm itself raises the version while an update goes on.
            for _ in 0..20 {
                let found = self.get(&format!("/services/{service}")).await;
                let mut spec = found["Spec"].clone();
                edit(&mut spec);
                let path = format!("/services/{service}/update?version={}", found["Version"]["Index"]);
                let (status, answer) = self.exchange(Method::POST, &path, Some(&spec)).await;
                if status < 300 {
                    return;
                }
                assert!(
                    String::from_utf8_lossy(&answer).contains("out of sequence"),
                    "{spec:#}: {}",
                    String::from_utf8_lossy(&answer)
                );
            }
            panic!("the service {service} never stands still");
        })
    }

    fn create(&self, spec: Value) -> BoxFuture<'_, ()> {
        Box::pin(async move { drop(self.call(Method::POST, "/services/create", Some(&spec)).await) })
    }

    fn remove<'a>(&'a self, service: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move { drop(self.call(Method::DELETE, &format!("/services/{service}"), None).await) })
    }
}
