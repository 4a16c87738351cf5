//! Checks of what happens to those who ask for the past, when the past is gone.

use std::sync::Arc;

use futures::StreamExt as _;

use super::{KEPT, all, put, take, write};
use crate::{Error, ListRequest, Revision, Store};

/// Writes so much under `/noise/` that what was before is forgotten.
async fn outgrow_the_log(store: &Arc<dyn Store>) {
    for round in 0..=2 * KEPT / 100 {
        write(store, (0..100).map(|n| put(&format!("/noise/{n}"), &round.to_string())).collect()).await;
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
    store.list(ListRequest { at: Some(oldest), ..all("/a/") }).await.expect("the oldest is still served");
    let mut watch = store.watch("/noise/", oldest).expect("the oldest is still served");
    let first = &watch.next().await.expect("the watch goes on").expect("the watch does not fail")[0];
    assert_eq!(first.revision, Revision(oldest.0 + 1));
}

pub(super) async fn slow_watcher_ends_instead_of_skipping(store: Arc<dyn Store>) {
    let start = store.revision();
    let mut watch = store.watch("/noise/", start).expect("the revision is known");
    outgrow_the_log(&store).await;
    let mut next = start.0 + 1;
    loop {
        match watch.next().await.expect("it ends with an error") {
            Ok(batch) => {
                for change in batch {
                    assert_eq!(change.revision.0, next, "nothing is skipped");
                    next += 1;
                }
                assert!(Revision(next) <= store.revision(), "what is gone cannot be delivered");
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
