//! The text of a list, made piece by piece while the client takes it: however long the list, in whatever form and format,
//! neither its text nor its objects are ever whole in memory, beyond what the store has of them anyway.

use std::{iter, sync::Arc, vec};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Style, api_version, list_metadata};
use crate::{
    ApiError,
    catalogue::Resource,
    registry::{List, Presented},
    wire::{
        decode,
        negotiate::{Form, Format},
        table::{self, Renderer},
    },
};

/// A piece ends with the object that brings it to this size.
const PIECE: usize = 128 * 1024;
/// So many objects fill a piece, more or less; only the room that is reserved depends on it.
const TYPICAL: usize = 256;

/// The list; a body of known length if it fits into one piece.
///
/// Errors: an object of the first piece cannot be read. One further behind ends the body with an error, since its head is gone.
pub(super) fn body(resource: &Arc<Resource>, list: List, style: &Style, now: Timestamp) -> Result<Body, ApiError> {
    let mut pieces = Pieces::new(resource, list, style, now)?;
    let first = pieces.next().transpose()?.unwrap_or_default();
    if pieces.ended {
        return Ok(first.into());
    }
    Ok(Body::from_stream(stream::iter(iter::once(Ok(first)).chain(pieces))))
}

/// Everything of the answer but the objects, which come last.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    kind: &'a str,
    api_version: String,
    metadata: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    column_definitions: Option<Value>,
}

/// How an object becomes text.
struct Writer {
    resource: Arc<Resource>,
    style: Style,
    now: Timestamp,
}

impl Writer {
    /// What comes before the first object.
    fn head(&self, metadata: Value) -> Result<Vec<u8>, ApiError> {
        let Resource { group, version, list_kind, columns, .. } = &*self.resource;
        let meta = |version: &str| api_version("meta.k8s.io", version);
        let (kind, api_version, column_definitions) = match self.style.wanted.form {
            Form::Table(version) => ("Table", meta(version), Some(columns.definitions().into())),
            Form::Metadata(version) => ("PartialObjectMetadataList", meta(version), None),
            Form::Plain | Form::Discovery(_) => (list_kind.as_str(), api_version(group, version), None),
        };
        let envelope = Envelope { kind, api_version, metadata, column_definitions };
        let field = if matches!(self.style.wanted.form, Form::Table(_)) { "rows" } else { "items" };
        let (mut text, close, open) = match self.shape() {
            Shape::Compact => {
                (serde_json::to_vec(&envelope).map_err(ApiError::internal)?, "}", format!(",\"{field}\":["))
            }
            Shape::Pretty => {
                let text = serde_json::to_vec_pretty(&envelope).map_err(ApiError::internal)?;
                (text, "\n}", format!(",\n  \"{field}\": ["))
            }
            Shape::Yaml => (decode::to_yaml(&envelope)?.into_bytes(), "", format!("{field}:")),
        };
        text.truncate(text.len() - close.len());
        text.extend_from_slice(open.as_bytes());
        Ok(text)
    }

    /// What comes behind the last object.
    fn tail(&self, empty: bool) -> &'static str {
        match (self.shape(), empty) {
            (Shape::Compact, _) | (Shape::Pretty, true) => "]}",
            (Shape::Pretty, false) => "\n  ]\n}",
            (Shape::Yaml, true) => " []\n",
            (Shape::Yaml, false) => "",
        }
    }

    fn item(&self, item: &Presented, first: bool, out: &mut Vec<u8>) -> Result<(), ApiError> {
        match self.shape() {
            Shape::Compact => {
                out.extend_from_slice(if first { b"" } else { b"," });
                if let Form::Plain | Form::Discovery(_) = self.style.wanted.form {
                    item.write_to(out);
                    return Ok(());
                }
                serde_json::to_writer(out, &*self.value(item)?).map_err(ApiError::internal)
            }
            Shape::Pretty => {
                let text = serde_json::to_string_pretty(&*self.value(item)?).map_err(ApiError::internal)?;
                out.extend_from_slice(if first { b"\n" } else { b",\n" });
                indent(&text, "    ", "    ", out);
                Ok(())
            }
            Shape::Yaml => {
                out.extend_from_slice(if first { b"\n" } else { b"" });
                let text = decode::to_yaml(&*self.value(item)?)?;
                indent(&text, "- ", "  ", out);
                out.push(b'\n');
                Ok(())
            }
        }
    }

    fn value(&self, item: &Presented) -> Result<Arc<Value>, ApiError> {
        let object = item.value()?;
        Ok(match self.style.wanted.form {
            Form::Table(version) => {
                let renderer = Renderer::new(&self.resource, version, self.style.include_object);
                renderer.row(&object, self.now).into()
            }
            Form::Metadata(version) => table::partial(&object, version).into(),
            Form::Plain | Form::Discovery(_) => object,
        })
    }

    fn shape(&self) -> Shape {
        match (self.style.wanted.format, self.style.pretty) {
            (Format::Yaml, _) => Shape::Yaml,
            (Format::Json, true) => Shape::Pretty,
            (Format::Json, false) => Shape::Compact,
        }
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Compact,
    Pretty,
    Yaml,
}

/// The lines of a text, moved to the right; without the end of the last one. Empty lines stay empty.
///
/// A text keeps its meaning when all its lines move: JSON's strings have no line breaks, and YAML counts from the line above.
fn indent(text: &str, first: &str, others: &str, out: &mut Vec<u8>) {
    for (at, line) in text.strip_suffix('\n').unwrap_or(text).split('\n').enumerate() {
        if at > 0 {
            out.push(b'\n');
        }
        if !line.is_empty() {
            out.extend_from_slice(if at == 0 { first } else { others }.as_bytes());
            out.extend_from_slice(line.as_bytes());
        }
    }
}

/// The text that is still to come.
struct Pieces {
    writer: Writer,
    /// What stands in front of the next object.
    head: Vec<u8>,
    items: vec::IntoIter<Presented>,
    first: bool,
    ended: bool,
}

impl Pieces {
    fn new(resource: &Arc<Resource>, list: List, style: &Style, now: Timestamp) -> Result<Self, ApiError> {
        let metadata = list_metadata(&list);
        let writer = Writer { resource: resource.clone(), style: style.clone(), now };
        let head = writer.head(metadata)?;
        Ok(Self { writer, head, items: list.items.into_iter(), first: true, ended: false })
    }

    fn piece(&mut self) -> Result<Bytes, ApiError> {
        let mut piece = std::mem::take(&mut self.head);
        let expected: usize = self.items.as_slice().iter().take(TYPICAL).map(Presented::size_hint).sum();
        piece.reserve(expected.min(PIECE + PIECE / 8));
        while piece.len() < PIECE {
            let Some(item) = self.items.next() else {
                self.ended = true;
                piece.extend_from_slice(self.writer.tail(self.first).as_bytes());
                break;
            };
            self.writer.item(&item, std::mem::take(&mut self.first), &mut piece)?;
        }
        Ok(piece.into())
    }
}

impl Iterator for Pieces {
    type Item = Result<Bytes, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let piece = self.piece();
        // After an error nothing comes: the client sees that the list broke off.
        self.ended |= piece.is_err();
        Some(piece)
    }
}

#[cfg(test)]
mod tests;
