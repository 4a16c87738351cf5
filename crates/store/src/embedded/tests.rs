//! The engine against the suite that all engines share, and against a disk that fails.

mod power_loss;

use std::sync::{Arc, Mutex};

use super::{Embedded, Options};
use crate::{Retention, Store, conformance};

#[tokio::test(flavor = "multi_thread")]
async fn embedded_store_conforms() {
    let directories = Mutex::new(Vec::new());
    let retention = Retention { events: conformance::KEPT, ..Retention::default() };
    conformance::run(async || {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { retention, ..Options::default() };
        let store: Arc<dyn Store> = Embedded::open(directory.path().join("store.redb"), options).unwrap();
        directories.lock().unwrap().push(directory);
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_memory_conforms() {
    let retention = Retention { events: conformance::KEPT, ..Retention::default() };
    conformance::run(async || {
        let store: Arc<dyn Store> = Embedded::in_memory(Options { retention, ..Options::default() }).unwrap();
        store
    })
    .await;
}
