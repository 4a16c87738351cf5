//! Watch events on the wire: one JSON object a line, every batch one chunk that leaves at once.
//!
//! After the headers are out nothing but the stream can carry an error: it goes as an event of type `ERROR`.

use std::{convert::Infallible, future::ready, sync::Arc};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    ApiError, Clock,
    catalogue::Resource,
    registry::{Presented, WatchEvent, WatchStream},
    wire::{
        negotiate::Form,
        output::{Style, api_version, bytes},
        table::{Renderer, partial},
    },
};

/// The type of the event that ends a watch.
const ERROR: &str = "ERROR";

/// Turns a stream of events into an answer.
pub(crate) fn respond(resource: Arc<Resource>, events: WatchStream, style: Style, clock: Clock) -> Response {
    let framer = Framer { resource, style, first: true, ended: false };
    let frames = events.scan(framer, move |framer, batch| {
        ready((!framer.ended).then(|| Ok::<_, Infallible>(framer.batch(batch, clock()))))
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
    /// An error was sent: nothing may follow, or the client would take what it missed for nothing.
    ended: bool,
}

impl Framer {
    fn batch(&mut self, batch: Vec<WatchEvent>, now: Timestamp) -> Bytes {
        let mut out = Vec::new();
        for event in batch {
            let (kind, object) = match event {
                WatchEvent::Object(kind, object) => match self.rendered(object, now) {
                    Ok(rendered) => (kind, rendered),
                    Err(error) => (ERROR, error.to_status().into()),
                },
                WatchEvent::Bookmark(revision, ends_initial_events) => {
                    let bookmark = self.bookmark(&revision.to_string(), ends_initial_events);
                    ("BOOKMARK", self.rendered_value(&bookmark, now).unwrap_or(bookmark).into())
                }
                WatchEvent::Error(error) => (ERROR, error.to_status().into()),
            };
            frame(&mut out, kind, &object);
            if kind == ERROR {
                self.ended = true;
                break;
            }
        }
        out.into()
    }

    /// The object in the form that the client wants. Most want it as it is, and then nobody looks inside.
    fn rendered(&mut self, object: Presented, now: Timestamp) -> Result<Presented, ApiError> {
        match self.style.wanted.form {
            Form::Table(_) | Form::Metadata(_) => {
                let rendered = self.rendered_value(&*object.value()?, now);
                Ok(rendered.map_or(object, Presented::from))
            }
            Form::Plain | Form::Discovery(_) => Ok(object),
        }
    }

    /// The same of a value; nothing where that is the value itself.
    fn rendered_value(&mut self, object: &Value, now: Timestamp) -> Option<Value> {
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

fn frame(out: &mut Vec<u8>, kind: &str, object: &Presented) {
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","object":"#);
    object.write_to(out);
    out.extend_from_slice(b"}\n");
}

/// An answer for a watch that failed before it began: the same error, in the stream, where clients look for 410.
pub(crate) fn failed(error: &ApiError) -> Response {
    let line = format!("{}\n", json!({"type": ERROR, "object": error.to_status()}));
    bytes(StatusCode::OK, "application/json", line)
}
