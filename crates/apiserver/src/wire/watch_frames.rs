//! Watch events on the wire: one JSON object a line, every batch one chunk that leaves at once.
//!
//! After the headers are out nothing but the stream can carry an error: it goes as an event of type `ERROR`.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    ApiError, Clock,
    catalogue::Resource,
    registry::{WatchEvent, WatchStream},
    wire::{
        negotiate::Form,
        output::{Style, api_version, bytes},
        table::{Renderer, partial},
    },
};

/// Turns a stream of events into an answer. `guard` is held until the watch ends.
pub(crate) fn respond(
    resource: Arc<Resource>,
    events: WatchStream,
    style: Style,
    clock: Clock,
    guard: impl Send + 'static,
) -> Response {
    let mut framer = Framer { resource, style, first: true };
    let frames = events.map(move |batch| {
        let _held = &guard;
        framer.batch(&batch, clock())
    });
    let mut response = bytes(StatusCode::OK, "application/json", Body::from_stream(frames));
    // Proxies in between must not hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

struct Framer {
    resource: Arc<Resource>,
    style: Style,
    /// No event was sent yet.
    first: bool,
}

#[derive(Serialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    object: &'a Value,
}

impl Framer {
    fn batch(&mut self, batch: &[WatchEvent], now: Timestamp) -> Result<Bytes, serde_json::Error> {
        let mut out = BytesMut::new().writer();
        for event in batch {
            match event {
                WatchEvent::Object(kind, object) => match self.rendered(object, now) {
                    Some(rendered) => frame(&mut out, kind, &rendered)?,
                    None => frame(&mut out, kind, object)?,
                },
                WatchEvent::Bookmark(revision, ends_initial_events) => {
                    let bookmark = self.bookmark(&revision.to_string(), *ends_initial_events);
                    let rendered = self.rendered(&bookmark, now);
                    frame(&mut out, "BOOKMARK", rendered.as_ref().unwrap_or(&bookmark))?;
                }
                WatchEvent::Error(error) => frame(&mut out, "ERROR", &error.to_status())?,
            }
        }
        Ok(out.into_inner().freeze())
    }

    /// The object in the form that the client wants; nothing where that is the object itself.
    fn rendered(&mut self, object: &Value, now: Timestamp) -> Option<Value> {
        let first = std::mem::replace(&mut self.first, false);
        match self.style.wanted.form {
            Form::Table(version) => {
                Some(Renderer::new(&self.resource, version, self.style.include_object).event(object, first, now))
            }
            Form::Metadata(version) => Some(partial(object, version)),
            Form::Plain | Form::Discovery(_) => None,
        }
    }

    fn bookmark(&self, revision: &str, ends_initial_events: bool) -> Value {
        let mut bookmark = json!({
            "kind": self.resource.kind, "apiVersion": api_version(&self.resource.group, &self.resource.version),
            "metadata": {"resourceVersion": revision, "creationTimestamp": null},
        });
        if ends_initial_events {
            bookmark["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        bookmark
    }
}

fn frame(out: &mut bytes::buf::Writer<BytesMut>, kind: &str, object: &Value) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *out, &Frame { kind, object })?;
    out.get_mut().put_u8(b'\n');
    Ok(())
}

/// An answer for a watch that failed before it began: the same error, in the stream, where clients look for 410.
pub(crate) fn failed(error: &ApiError) -> Response {
    let line = format!("{}\n", json!({"type": "ERROR", "object": error.to_status()}));
    bytes(StatusCode::OK, "application/json", line)
}
