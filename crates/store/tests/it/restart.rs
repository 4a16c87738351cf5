//! What a store that is opened again still knows.

use essaim_store::{ChangeKind, Error, Key, Options, Revision, Store as _};
use futures::StreamExt as _;

use crate::{delete, list, open, put, write};

#[tokio::test]
async fn restart_keeps_data_revisions_and_identity() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options::default());
    write(&store, vec![put("/a/x", "one"), put("/a/y", "two"), put("/b/x", "three")]).await;
    let last = write(&store, vec![put("/a/x", "four"), delete("/a/y")]).await;
    let (before, id) = (list(&store, "", None).await.unwrap(), store.id().to_owned());
    drop(store);

    let store = open(directory.path(), Options::default());
    assert_eq!(list(&store, "", None).await.unwrap(), before);
    assert_eq!((store.id(), store.revision()), (id.as_str(), last));
    assert_eq!(write(&store, vec![put("/a/z", "five")]).await, Revision(last.0 + 1));
}

#[tokio::test]
async fn watches_resume_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options::default());
    for n in 0..20 {
        write(&store, vec![put("/a/x", n.to_string()), put("/b/x", "noise")]).await;
    }
    let mut watch = store.watch("/a/", Revision(0)).unwrap();
    let before: Vec<_> = watch.next().await.unwrap().unwrap();
    drop(watch);
    drop(store);

    let store = open(directory.path(), Options::default());
    let resumed = store.watch("/a/", Revision(0)).unwrap().next().await.unwrap().unwrap();
    assert_eq!(resumed, before, "with values and what they replaced");

    let mut watch = store.watch("/a/", before[14].revision).unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap(), before[15..]);
    write(&store, vec![delete("/a/x")]).await;
    let deletion = watch.next().await.unwrap().unwrap();
    assert_eq!(deletion[0].kind, ChangeKind::Deleted);
    assert_eq!(&deletion[0].previous.as_ref().unwrap().value[..], b"19");
}

#[tokio::test]
async fn lists_at_an_old_revision_work_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options::default());
    write(&store, vec![put("/a/x", "one"), put("/a/y", "two")]).await;
    let moment = list(&store, "/a/", None).await.unwrap();
    write(&store, vec![put("/a/x", "three"), delete("/a/y"), put("/a/z", "four")]).await;
    drop(store);

    let store = open(directory.path(), Options::default());
    assert_eq!(list(&store, "/a/", Some(moment.revision)).await.unwrap(), moment);
}

#[tokio::test]
async fn closed_store_still_reads_and_refuses_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), Options::default());
    let revision = write(&store, vec![put("/a/x", "one")]).await;
    let mut watch = store.watch("/a/", revision).unwrap();
    store.close();
    store.close();

    assert!(matches!(watch.next().await, Some(Err(Error::Closed))));
    assert!(watch.next().await.is_none());
    assert!(matches!(store.watch("/a/", revision), Err(Error::Closed)));
    assert!(matches!(store.health(), Err(Error::Closed)));
    assert!(store.get(&Key::new("/a/x")).await.unwrap().0.is_some());
    let refused = store.commit(essaim_store::Transaction::default()).await;
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
    open(directory.path(), Options::default());
}
