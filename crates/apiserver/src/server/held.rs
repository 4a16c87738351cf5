//! Answers that hold a place among the requests until the client took them, and are taken away from one that does not.
//!
//! A body of one piece would be handed to the connection at once, however long the client needs to read it. Smaller
//! pieces leave the rest here, where it counts, and only as much as the client asks for waits in the connection.
//!
//! A client can ask for nothing and be polite otherwise: with HTTP/2 it answers pings and leaves its window shut, with
//! HTTP/1.1 it reads a byte now and then. hyper does not ask for the next piece then, so that the answer cannot see by
//! itself how long it waits. Each connection therefore looks through its answers. What is over is the answer: with HTTP/2
//! the other streams of the connection go on.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::{sync::Notify, time::Instant};

use super::limits::Place;

/// The most that is handed on at once, and the least that a client has to take within its time.
const PIECE: usize = 64 * 1024;

/// The answers of one connection. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Answers {
    /// A std mutex: it is held for look-ups only.
    waiting: Arc<Mutex<HashMap<u64, Arc<Mutex<Answer>>>>>,
    next: Arc<AtomicU64>,
    begun: Arc<Notify>,
}

impl Answers {
    /// Takes away what the client leaves standing for so long. Does not end.
    pub(super) async fn watch(&self, patience: Duration) {
        loop {
            if locked(&self.waiting).is_empty() {
                self.begun.notified().await;
            }
            tokio::time::sleep(patience / 4).await;
            let waiting: Vec<_> = locked(&self.waiting).values().cloned().collect();
            for answer in waiting {
                locked(&answer).judge(patience);
            }
        }
    }

    fn add(&self, answer: &Arc<Mutex<Answer>>) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut waiting = locked(&self.waiting);
        waiting.insert(id, answer.clone());
        if waiting.len() == 1 {
            self.begun.notify_one();
        }
        id
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body and the place of its request.
struct Answer {
    body: Body,
    /// What is left of the piece that the body gave last.
    rest: Bytes,
    /// Given back when the body ends or is dropped.
    place: Option<Place>,
    /// Since when it is the client's turn; nothing while the next piece is being made.
    since: Option<Instant>,
    taken_away: bool,
}

impl Answer {
    /// Lets go of everything that the answer holds, if the client left it for too long.
    fn judge(&mut self, patience: Duration) {
        if self.since.is_some_and(|since| since.elapsed() >= patience) {
            tracing::debug!("took an answer away from a client that does not read it");
            *self = Self { body: Body::empty(), rest: Bytes::new(), place: None, since: None, taken_away: true };
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.taken_away {
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        }
        if self.rest.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(context);
            self.since = polled.is_ready().then(Instant::now);
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
        self.since = Some(Instant::now());
        if self.rest.len() <= PIECE {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))));
        }
        // A copy: what HTTP/2 keeps of an answer that nobody reads must not keep the whole of it in memory.
        let piece = Bytes::copy_from_slice(&self.rest.split_to(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the client did not read its answer")]
struct TooSlow;

/// The body of an answer that holds a place.
pub(super) struct Held {
    answer: Arc<Mutex<Answer>>,
    /// Where it is looked after, and as which.
    among: Option<(Answers, u64)>,
}

impl Held {
    /// The same body; one that has no place to hold is left alone. Without a connection nobody looks after it.
    pub(super) fn guard(body: Body, place: Place, answers: Option<&Answers>) -> Body {
        if !place.is_counted() {
            return body;
        }
        let since = Some(Instant::now());
        let answer = Answer { body, rest: Bytes::new(), place: Some(place), since, taken_away: false };
        let answer = Arc::new(Mutex::new(answer));
        let among = answers.map(|answers| (answers.clone(), answers.add(&answer)));
        Body::new(Self { answer, among })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((answers, id)) = &self.among {
            locked(&answers.waiting).remove(id);
        }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        locked(&self.answer).poll(context)
    }

    fn is_end_stream(&self) -> bool {
        let answer = locked(&self.answer);
        !answer.taken_away && answer.rest.is_empty() && answer.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let answer = locked(&self.answer);
        let (mut hint, rest) = (answer.body.size_hint(), answer.rest.len() as u64);
        if answer.taken_away {
            return SizeHint::default();
        }
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use axum::body::Body;
    use http_body::Body as _;
    use http_body_util::BodyExt as _;
    use tokio::time::{sleep, timeout};

    use super::{Answers, Held, PIECE};
    use crate::{
        Limits, UserInfo,
        server::limits::{Class, Gate},
    };

    fn gate() -> (Gate, UserInfo) {
        (Gate::new(Limits { reads: 1, ..Limits::default() }), UserInfo::new("alice", ["staff"]))
    }

    #[tokio::test]
    async fn a_place_is_free_when_the_last_piece_was_taken() {
        let (gate, alice) = gate();
        let length = 2 * PIECE + 1;
        let mut body = Held::guard(vec![7; length].into(), gate.enter(Class::Read, &alice).unwrap(), None);
        for left in [PIECE + 1, 1] {
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!((piece.len(), body.size_hint().exact()), (PIECE, Some(left as u64)));
            assert!(gate.enter(Class::Read, &alice).is_err() && !body.is_end_stream());
        }
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1);
        assert!(body.is_end_stream() && body.frame().await.is_none());
        let place = gate.enter(Class::Read, &alice).unwrap();
        drop(Held::guard(Body::from("never read"), place, None));
        assert!(gate.enter(Class::Read, &alice).is_ok());
    }

    const NEARLY: Duration = Duration::from_secs(29);
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_taken_away_from_whoever_leaves_it_standing() {
        let ((gate, alice), answers) = (gate(), Answers::default());
        let place = gate.enter(Class::Read, &alice).unwrap();
        let mut body = Held::guard(vec![7; 4 * PIECE].into(), place, Some(&answers));
        let using = async {
            for _ in 0..3 {
                sleep(NEARLY).await;
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), PIECE);
            }
            assert!(gate.enter(Class::Read, &alice).is_err(), "it is waited for who takes a piece in time");
            sleep(PATIENCE * 2).await;
            assert!(gate.enter(Class::Read, &alice).is_ok());
            assert!(body.frame().await.unwrap().is_err() && !body.is_end_stream());
        };
        tokio::select! {
            () = answers.watch(PATIENCE) => {}
            () = using => {}
        }
        drop(body);
        assert!(super::locked(&answers.waiting).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_still_being_made_is_not_the_fault_of_the_client() {
        let ((gate, alice), answers) = (gate(), Answers::default());
        let made = futures::stream::once(async {
            sleep(PATIENCE * 3).await;
            Ok::<_, Infallible>("late")
        });
        let place = gate.enter(Class::Read, &alice).unwrap();
        let body = Held::guard(Body::from_stream(made), place, Some(&answers));
        let read = timeout(PATIENCE * 4, body.collect());
        tokio::select! {
            () = answers.watch(PATIENCE) => {}
            read = read => assert_eq!(read.unwrap().unwrap().to_bytes(), "late"),
        }
    }
}
