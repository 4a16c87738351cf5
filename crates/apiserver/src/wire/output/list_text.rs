//! The text of a list, made piece by piece while the client takes it: a long list is never whole in memory as text.

use std::{convert::Infallible, vec};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::Value;

use crate::{
    catalogue::Resource,
    registry::{List, Presented},
};

/// A piece ends with the object that brings it to this size.
const PIECE: usize = 128 * 1024;
/// So many objects fill a piece, more or less; only the room that is reserved depends on it.
const TYPICAL: usize = 256;

/// A list in compact JSON; a body of known length if it fits into one piece.
pub(super) fn body(resource: &Resource, list: List, metadata: &Value) -> Body {
    let kind = &resource.list_kind;
    let api_version = resource.api_version();
    let head = format!(r#"{{"kind":{kind:?},"apiVersion":{api_version:?},"metadata":{metadata},"items":["#);
    let mut pieces = Pieces { head: head.into_bytes(), items: list.items.into_iter(), comma: false, ended: false };
    let first = pieces.next();
    if pieces.ended {
        return first.unwrap_or_default().into();
    }
    Body::from_stream(stream::iter(first.into_iter().chain(pieces).map(Ok::<_, Infallible>)))
}

/// The text that is still to come.
struct Pieces {
    /// What stands in front of the next object.
    head: Vec<u8>,
    items: vec::IntoIter<Presented>,
    comma: bool,
    ended: bool,
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut piece = std::mem::take(&mut self.head);
        let expected: usize = self.items.as_slice().iter().take(TYPICAL).map(Presented::size_hint).sum();
        piece.reserve(expected.min(PIECE + PIECE / 8));
        while piece.len() < PIECE {
            let Some(item) = self.items.next() else {
                self.ended = true;
                piece.extend_from_slice(b"]}");
                break;
            };
            if std::mem::replace(&mut self.comma, true) {
                piece.push(b',');
            }
            item.write_to(&mut piece);
        }
        Some(piece.into())
    }
}
