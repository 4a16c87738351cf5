//! The way to the manager: a socket in the file system, or TCP.

use std::{
    io,
    path::Path,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::UnixStream;

use crate::url::Url;

/// An HTTP client for either way; it keeps idle connections for the next call.
pub(super) enum Http {
    Unix(Client<UnixConnector, Full<Bytes>>),
    Tcp(Client<HttpConnector, Full<Bytes>>),
}

impl Http {
    /// The client, and what every URL begins with.
    pub(super) fn new(url: &Url) -> (Self, String) {
        let builder = Client::builder(TokioExecutor::new());
        match url {
            // The host name is only what stands in the `Host` header.
            Url::Unix(path) => {
                (Http::Unix(builder.build(UnixConnector(Arc::from(path.as_path())))), "http://docker".to_owned())
            }
            Url::Tcp(authority) => {
                let mut connector = HttpConnector::new();
                connector.set_nodelay(true);
                (Http::Tcp(builder.build(connector)), format!("http://{authority}"))
            }
        }
    }

    pub(super) async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, legacy::Error> {
        match self {
            Http::Unix(client) => client.request(request).await,
            Http::Tcp(client) => client.request(request).await,
        }
    }
}

/// Connects to one socket, whatever the URL says.
#[derive(Clone)]
pub(super) struct UnixConnector(Arc<Path>);

impl tower::Service<Uri> for UnixConnector {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = Arc::clone(&self.0);
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    }
}
