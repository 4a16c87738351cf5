//! Checks of what happens to those who ask for the past, when the past is gone.

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};

use super::{KEPT, all, list, put, replay, take, write};
use crate::{Error, ListRequest, Store};

/// So many changes a transaction, so that the log's bound falls into one.
const STEP: usize = 70;
const ROUNDS: usize = 2 * KEPT / STEP + 1;

/// Writes so much under `/noise/` that what was before is forgotten.
async fn outgrow_the_log(store: &Arc<dyn Store>) {
    for round in 0..ROUNDS {
        write(store, (0..STEP).map(|n| put(&format!("/noise/{n}"), &round.to_string())).collect()).await;
    }
}

pub(super) async fn old_revisions_are_compacted(store: Arc<dyn Store>) {
    let old = write(&store, vec![put("/a/x", "one")]).await;
    outgrow_the_log(&store).await;
    let Err(Error::Compacted { requested, oldest }) = store.list(ListRequest { at: Some(old), ..all("/a/") }).await
    else {
        panic!("a list at a forgotten revision must say so");
    };
    assert!(requested == old && oldest > old && oldest <= store.revision());
    let error = match store.watch("/a/", old) {
        Err(error) => Some(error),
        Ok(mut watch) => watch.next().await.and_then(Result::err),
    };
    assert!(matches!(error, Some(Error::Compacted { .. })), "{error:?}");

    // The oldest revision that is named can be asked for.
    let then =
        store.list(ListRequest { at: Some(oldest), ..all("/noise/") }).await.expect("the oldest is still served");
    let mut watch = store.watch("/noise/", oldest).expect("the oldest is still served");
    let (now, mut heard) = (list(&store, "/noise/").await, Vec::new());
    while let Some(batch) = watch.next().now_or_never() {
        heard.extend(batch.expect("the watch goes on").expect("the watch does not fail"));
    }
    assert!(heard.len() <= KEPT && heard.first().is_some_and(|change| change.revision > oldest));
    assert_eq!(replay(then.records, &heard), now.records);
}

pub(super) async fn slow_watcher_ends_instead_of_skipping(store: Arc<dyn Store>) {
    let mut watch = store.watch("/noise/", store.revision()).expect("the revision is known");
    outgrow_the_log(&store).await;
    let mut heard = 0;
    loop {
        match watch.next().await.expect("it ends with an error") {
            Ok(batch) => {
                for change in batch {
                    let expected = (format!("/noise/{}", heard % STEP), (heard / STEP).to_string());
                    assert_eq!((change.key.as_str(), &change.value[..]), (&*expected.0, expected.1.as_bytes()));
                    heard += 1;
                }
                assert!(heard < STEP * ROUNDS, "what is gone cannot be delivered");
            }
            Err(Error::Lagged | Error::Compacted { .. }) => break,
            Err(error) => panic!("the wrong end: {error}"),
        }
    }
    assert!(watch.next().await.is_none(), "after an error it ends");
}

pub(super) async fn idle_watcher_outlives_compaction(store: Arc<dyn Store>) {
    let mut watch = store.watch("/quiet/", store.revision()).expect("the revision is known");
    outgrow_the_log(&store).await;
    let revision = write(&store, vec![put("/quiet/x", "one")]).await;
    assert_eq!(take(&mut watch, 1).await[0].revision, revision);
}
