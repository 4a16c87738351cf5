//! The engine against the suite that all engines share, and against what only this one can do.

use std::sync::{Arc, Mutex};

use super::{Embedded, Options, Retention};
use crate::{Store, conformance};

fn small() -> Options {
    Options { retention: Retention { events: conformance::KEPT, ..Retention::default() }, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_store_conforms() {
    let directories = Mutex::new(Vec::new());
    conformance::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Embedded::open(directory.path().join("store.redb"), small()).unwrap();
        directories.lock().unwrap().push(directory);
        store
    })
    .await;
}
