//! Bodies that nobody read.
//!
//! A refusal may come before the body was read. A connection whose body is left lying is broken off, by both versions of
//! HTTP, and the client then sees a broken connection in place of the refusal. So what is left is read and forgotten, up to a bound.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::wire::decode::BODY_LIMIT;

/// How long the rest may take to come.
const PATIENCE: Duration = Duration::from_secs(2);

/// A body whose rest is read when it is dropped.
pub(super) struct Unread {
    /// Nothing once it was read to its end.
    body: Option<Body>,
}

impl Unread {
    /// The same body; one that has nothing to read is left alone.
    pub(super) fn guard(body: Body) -> Body {
        if body.is_end_stream() { body } else { Body::new(Self { body: Some(body) }) }
    }
}

impl http_body::Body for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        // Without a runtime the connection is going too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(PATIENCE, forget(body)));
        }
    }
}

/// Reads on until the end, or until more came than any request may hold.
async fn forget(mut body: Body) {
    let mut left = BODY_LIMIT;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else { return };
        left = rest;
    }
}
