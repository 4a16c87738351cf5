//! Checks of lists.

use std::sync::Arc;

use super::{all, delete, list, paths, put, write};
use crate::{Error, Key, ListRequest, Revision, Store};

pub(super) async fn list_is_in_key_order_and_within_the_prefix(store: Arc<dyn Store>) {
    let scattered = ["/a/z", "/ab/x", "/a/b/c", "/a", "/b/x", "/a/é", "/a/B"];
    let last = write(&store, scattered.iter().map(|path| put(path, path)).collect()).await;
    let page = list(&store, "/a/").await;
    assert_eq!(paths(&page.records), ["/a/B", "/a/b/c", "/a/z", "/a/é"]);
    assert_eq!((page.revision, page.remaining), (last, 0));
    assert_eq!(list(&store, "").await.records.len(), scattered.len());
}

pub(super) async fn list_of_nothing_has_the_stores_revision(store: Arc<dyn Store>) {
    write(&store, vec![put("/a/x", "one")]).await;
    let newest = write(&store, vec![put("/b/x", "two")]).await;
    let page = list(&store, "/c/").await;
    assert_eq!((page.records.len(), page.revision), (0, newest), "not the revision of the newest item");
    assert_eq!(list(&store, "/a/").await.revision, newest);
}

pub(super) async fn pages_are_of_one_moment_while_writes_go_on(store: Arc<dyn Store>) {
    write(&store, (0..25).map(|n| put(&format!("/a/{n:02}"), "old")).collect()).await;
    let whole = list(&store, "/a/").await;

    let mut request = ListRequest { limit: 10, ..all("/a/") };
    let mut collected = Vec::new();
    let mut remaining = Vec::new();
    loop {
        let page = store.list(request.clone()).await.expect("the moment is kept");
        assert_eq!(page.revision, whole.revision);
        remaining.push(page.remaining);
        collected.extend(page.records);
        if page.remaining == 0 {
            break;
        }
        let after = collected.last().map(|record| format!("{}\0", record.key.as_str())).expect("a full page");
        request = ListRequest { start: Some(Key::new(after)), at: Some(page.revision), ..request };
        let turn = remaining.len();
        let changes = vec![put(&format!("/a/1{turn}-new"), "new"), delete(&format!("/a/2{turn}")), put("/a/24", "new")];
        write(&store, changes).await;
    }
    assert_eq!(remaining, [15, 5, 0]);
    assert_eq!(collected, whole.records);
}

pub(super) async fn list_at_an_old_revision_undoes_what_came_later(store: Arc<dyn Store>) {
    let mut moments = Vec::new();
    for step in 0..40 {
        let path = format!("/a/{}", step % 7);
        let mutation = if step % 3 == 2 { delete(&path) } else { put(&path, &step.to_string()) };
        let committed = store.commit(super::transaction(vec![], vec![mutation])).await;
        committed.expect("nothing forbids it");
        moments.push(list(&store, "/a/").await);
    }
    for moment in moments {
        let again = store.list(ListRequest { at: Some(moment.revision), ..all("/a/") }).await;
        assert_eq!(again.expect("the moment is in the log"), moment);
    }
}

pub(super) async fn list_in_the_future_is_refused(store: Arc<dyn Store>) {
    let newest = write(&store, vec![put("/a/x", "one")]).await;
    let request = ListRequest { at: Some(Revision(newest.0 + 1)), ..all("/a/") };
    let outcome = store.list(request).await;
    assert!(matches!(outcome, Err(Error::Future { newest: told, .. }) if told == newest), "{outcome:?}");
}

pub(super) async fn list_starts_where_it_is_told_within_the_prefix(store: Arc<dyn Store>) {
    write(&store, ["/a/x", "/b/x", "/b/y", "/c/x"].iter().map(|path| put(path, "one")).collect()).await;
    let expectations: [(&str, &[&str]); 5] =
        [("/a/x", &["/b/x", "/b/y"]), ("/b/x", &["/b/x", "/b/y"]), ("/b/x\0", &["/b/y"]), ("/b/z", &[]), ("/c/x", &[])];
    for (start, expected) in expectations {
        let request = ListRequest { start: Some(Key::new(start)), ..all("/b/") };
        let page = store.list(request).await.expect("a list");
        assert_eq!((paths(&page.records), page.remaining), (expected.to_vec(), 0), "from {start}");
    }
}
