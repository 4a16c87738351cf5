//! Who asks, who joins, and what is kept.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use essaim_store::{Key, Revision};
use futures::FutureExt as _;
use tokio::sync::Notify;

use super::{Failed, GENERATION_BYTES, Identity, Joined, Shared, Wanted};
use crate::ApiError;

const CHUNK: (usize, usize) = (2, 1000);

fn wanted(revisions: &[u64]) -> Vec<Wanted> {
    let one = |revision: &u64| Wanted {
        identity: Identity { key: Key::new("/registry/x"), written: Revision(*revision), reading: 1 },
        text: Bytes::from(revision.to_string()),
    };
    revisions.iter().map(one).collect()
}

async fn upper(texts: Vec<Bytes>) -> Result<Vec<Bytes>, Failed> {
    Ok(texts.iter().map(|text| Bytes::from(format!("<{}>", String::from_utf8_lossy(text)))).collect())
}

async fn texts(joined: Joined<'_>) -> Result<Vec<String>, ApiError> {
    let mut texts = Vec::new();
    for place in joined.places {
        texts.push(String::from_utf8(place.text().await?.to_vec()).unwrap());
    }
    Ok(texts)
}

#[tokio::test]
async fn what_is_known_or_wanted_twice_is_asked_once_and_in_pieces() {
    let shared = Shared::default();
    let joined = shared.join(&wanted(&[1, 2, 1, 3]), CHUNK, upper);
    assert_eq!(joined.own.len(), 2);
    assert_eq!(texts(joined).await.unwrap(), ["<1>", "<2>", "<1>", "<3>"]);
    let joined = shared.join(&wanted(&[3, 4]), CHUNK, upper);
    assert_eq!(joined.own.len(), 1);
    assert_eq!(texts(joined).await.unwrap(), ["<3>", "<4>"]);
}

#[tokio::test]
async fn a_text_over_the_size_is_a_question_of_its_own() {
    let shared = Shared::default();
    assert_eq!(shared.join(&wanted(&[1, 2, 3]), (10, 0), upper).own.len(), 3);
}

#[tokio::test]
async fn who_comes_later_waits_for_the_same_answer_even_if_the_first_gives_up() {
    let (shared, asked, go) = (Shared::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let ask = |texts: Vec<Bytes>| {
        asked.fetch_add(1, Ordering::SeqCst);
        let go = go.clone();
        async move {
            go.notified().await;
            upper(texts).await
        }
    };
    let first = shared.join(&wanted(&[1]), CHUNK, ask);
    let second = shared.join(&wanted(&[1]), CHUNK, ask);
    assert_eq!((second.own.len(), asked.load(Ordering::SeqCst)), (0, 1));
    let mut second = Box::pin(texts(second));
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    let third = shared.join(&wanted(&[1]), CHUNK, ask);
    assert_eq!((third.own.len(), asked.load(Ordering::SeqCst)), (1, 2), "nobody joins what its owner gave up");
    go.notify_one();
    assert_eq!(second.await.unwrap(), ["<1>"]);
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_wait_and_kept_for_nobody() {
    let shared = Shared::default();
    let fail = async |_| Err(Failed::from(ApiError::new(500, "InternalError", "no")));
    let fail = |texts: Vec<Bytes>| fail(texts);
    let first = shared.join(&wanted(&[1]), CHUNK, fail);
    let second = shared.join(&wanted(&[1]), CHUNK, fail);
    assert_eq!(texts(second).await.unwrap_err().message, "no");
    assert_eq!(texts(first).await.unwrap_err().message, "no");
    assert_eq!(texts(shared.join(&wanted(&[1]), CHUNK, upper)).await.unwrap(), ["<1>"]);
}

#[tokio::test]
async fn answers_make_room_for_newer_ones() {
    let shared = Shared::default();
    let large = |revision| {
        let mut one = wanted(&[revision]);
        one[0].text = Bytes::from(vec![b'x'; GENERATION_BYTES / 2]);
        one
    };
    for revision in 0..20 {
        let joined = shared.join(&large(revision), CHUNK, upper);
        texts(joined).await.unwrap();
    }
    let kept = shared.locked();
    assert!(kept.younger.len() + kept.older.len() <= 4);
}
