//! Answers that hold a place among the requests until the client took them.
//!
//! A body of one piece would be handed to the connection at once, however long the client needs to read it. Smaller
//! pieces leave the rest here, where it counts, and only as much as the client asks for waits in the connection.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::limits::Place;

/// The most that is handed on at once.
const PIECE: usize = 64 * 1024;

/// A body and the place of its request, given back when the body ends or is dropped.
pub(super) struct Held {
    body: Body,
    /// What is left of the piece that the body gave last.
    rest: Bytes,
    place: Option<Place>,
}

impl Held {
    /// The same body; one that has no place to hold is left alone.
    pub(super) fn guard(body: Body, place: Place) -> Body {
        if place.is_counted() { Body::new(Self { body, rest: Bytes::new(), place: Some(place) }) } else { body }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended_or_pending => {
                    if ended_or_pending.is_ready() {
                        self.place = None;
                    }
                    return ended_or_pending;
                }
            }
        }
        let most = PIECE.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(most)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::{Held, PIECE};
    use crate::{
        Limits, UserInfo,
        server::limits::{Class, Gate},
    };

    #[tokio::test]
    async fn a_place_is_free_when_the_last_piece_was_taken() {
        let gate = Gate::new(Limits { reads: 1, ..Limits::default() });
        let alice = UserInfo::new("alice", ["staff"]);
        let length = 2 * PIECE + 1;
        let mut body = Held::guard(vec![7; length].into(), gate.enter(Class::Read, &alice).unwrap());
        for left in [PIECE + 1, 1] {
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!((piece.len(), body.size_hint().exact()), (PIECE, Some(left as u64)));
            assert!(gate.enter(Class::Read, &alice).is_err() && !body.is_end_stream());
        }
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1);
        assert!(body.is_end_stream() && body.frame().await.is_none());
        let place = gate.enter(Class::Read, &alice).unwrap();
        drop(Held::guard(Body::from("never read"), place));
        assert!(gate.enter(Class::Read, &alice).is_ok());
    }
}
