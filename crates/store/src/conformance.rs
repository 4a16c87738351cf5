//! What every engine must do, as a table of named checks.
//!
//! Each check gets an empty store of its own and panics where the engine breaks the contract of
//! [`Store`]. The store must forget: it keeps at most [`KEPT`] changes, so that the checks can see compaction without
//! waiting for time to pass. Nobody else writes to it. An engine may give a transaction one revision or each of its
//! changes its own, so no check counts on either, nor on revisions without gaps. How an engine is closed, opened again or killed is its own business and not tested here.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test suite; it is a module of the library only so that every engine's tests can run it"
)]

mod etcd;
mod history;
mod lists;
mod watches;
mod writes;

use std::{collections::BTreeMap, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};

use crate::{
    Change, ChangeKind, Error, Key, ListRequest, Mutation, Page, Precondition, Record, Revision, Store, Transaction,
    Watch,
};

pub use etcd::etcd_program;

/// How many changes a store under test may keep at most.
pub const KEPT: usize = 1_000;

/// Nothing in here takes long; a check that waits for what never comes must still end.
const PATIENCE: Duration = Duration::from_mins(1);

type Check = fn(Arc<dyn Store>) -> BoxFuture<'static, ()>;

/// Boxes the checks of a module, so that the table can hold them.
macro_rules! checks {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((stringify!($name), |store| $module::$name(store).boxed())),*]
    };
}

/// All checks by name.
const CHECKS: &[(&str, Check)] = checks![
    writes::create_takes_a_revision_and_is_read_back,
    writes::create_of_an_existing_key_conflicts_and_shows_it,
    writes::update_at_the_right_revision_keeps_created,
    writes::update_at_an_old_revision_conflicts,
    writes::delete_of_an_absent_key_takes_no_revision,
    writes::recreated_key_is_created_anew,
    writes::transaction_is_all_or_nothing,
    writes::mutations_happen_in_order_and_say_when,
    writes::preconditions_alone_change_nothing,
    writes::malformed_transactions_are_refused,
    writes::concurrent_writers_lose_nothing,
    writes::racing_creates_have_one_winner,
    lists::list_is_in_key_order_and_within_the_prefix,
    lists::list_starts_where_it_is_told_within_the_prefix,
    lists::list_of_nothing_has_the_stores_revision,
    lists::pages_are_of_one_moment_while_writes_go_on,
    lists::list_at_an_old_revision_undoes_what_came_later,
    lists::list_in_the_future_is_refused,
    watches::watch_after_a_list_misses_and_repeats_nothing,
    watches::watch_tells_kind_value_and_previous,
    watches::watch_hears_only_its_prefix,
    watches::watch_resumes_at_any_revision,
    watches::changes_of_one_revision_come_together,
    watches::watch_resumes_after_any_revision_of_large_transactions,
    watches::watch_in_the_future_is_refused,
    watches::reached_waits_for_the_revision,
    watches::change_seen_by_a_watcher_is_seen_by_readers,
    watches::revision_read_before_an_idle_watch_is_delivered,
    watches::many_watchers_hear_the_same,
    history::old_revisions_are_compacted,
    history::slow_watcher_ends_instead_of_skipping,
    history::idle_watcher_outlives_compaction,
];

/// Runs all checks, each on a store of its own, and panics with the names of those that failed.
pub async fn run<Make, Made>(make_store: Make)
where
    Make: Fn() -> Made,
    Made: Future<Output = Arc<dyn Store>>,
{
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        let check = tokio::time::timeout(PATIENCE, check(make_store().await));
        match AssertUnwindSafe(check).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => failed.push(format!("{name} did not end")),
            Err(_) => failed.push((*name).to_owned()),
        }
    }
    assert!(failed.is_empty(), "{} of {} checks failed: {failed:#?}", failed.len(), CHECKS.len());
}

fn key(path: &str) -> Key {
    Key::new(path)
}

fn put(path: &str, value: &str) -> Mutation {
    Mutation::Put(key(path), Bytes::copy_from_slice(value.as_bytes()))
}

fn delete(path: &str) -> Mutation {
    Mutation::Delete(key(path))
}

fn transaction(preconditions: Vec<Precondition>, mutations: Vec<Mutation>) -> Transaction {
    Transaction { preconditions, mutations }
}

/// Writes without precondition and returns the last revision taken.
async fn write(store: &Arc<dyn Store>, mutations: Vec<Mutation>) -> Revision {
    let committed = store.commit(transaction(vec![], mutations)).await.expect("a write without precondition");
    committed.revisions.into_iter().flatten().last().expect("a write that changes something")
}

async fn create(store: &Arc<dyn Store>, path: &str, value: &str) -> Result<Revision, Error> {
    let create = transaction(vec![Precondition::Absent(key(path))], vec![put(path, value)]);
    store.commit(create).await.map(|committed| committed.revisions[0].expect("a put takes a revision"))
}

async fn get(store: &Arc<dyn Store>, path: &str) -> Option<Record> {
    store.get(&key(path)).await.expect("a get").0
}

async fn list(store: &Arc<dyn Store>, prefix: &str) -> Page {
    store.list(all(prefix)).await.expect("a list")
}

fn all(prefix: &str) -> ListRequest {
    ListRequest { prefix: prefix.to_owned(), start: None, limit: 0, at: None }
}

fn paths(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.key.as_str()).collect()
}

/// The next changes of a watch, exactly so many.
async fn take(watch: &mut Watch, count: usize) -> Vec<Arc<Change>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = watch.next().await.expect("the watch goes on").expect("the watch does not fail");
        assert!(!batch.is_empty(), "a batch is never empty");
        taken.extend(batch);
    }
    assert_eq!(taken.len(), count, "the watch delivered more than there is");
    taken
}

/// The newest record of each key, after changes.
pub(crate) fn replay(records: Vec<Record>, changes: &[Arc<Change>]) -> Vec<Record> {
    let mut state: BTreeMap<Key, Record> = records.into_iter().map(|record| (record.key.clone(), record)).collect();
    for change in changes {
        let (key, value, modified) = (change.key.clone(), change.value.clone(), change.revision);
        let created = change.previous.as_ref().map_or(modified, |record| record.created);
        assert_eq!(state.remove(&key), change.previous, "what it replaced");
        if change.kind != ChangeKind::Deleted {
            state.insert(key.clone(), Record { key, value, created, modified });
        }
    }
    state.into_values().collect()
}

fn revisions(changes: &[Arc<Change>]) -> Vec<u64> {
    changes.iter().map(|change| change.revision.0).collect()
}
