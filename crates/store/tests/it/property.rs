//! Random operations against a map that keeps its whole history.

use std::{collections::BTreeMap, sync::Arc};

use essaim_store::{
    Committed, Embedded, Error, Key, Mutation, Options, Precondition, Record, Revision, Store as _, Transaction,
};
use futures::{FutureExt as _, StreamExt as _};
use proptest::{collection::vec, prelude::*};

use crate::{delete, list, open, put};

const KEYS: [&str; 6] = ["/a/x", "/a/y", "/a/b/x", "/ab/x", "/b/x", "/b/y"];
const PREFIXES: [&str; 5] = ["", "/a/", "/a/b/", "/b/", "/none/"];

#[derive(Clone, Debug)]
enum Operation {
    Commit(Vec<Hold>, Vec<(usize, Option<u8>)>),
    Restart,
}

/// A precondition on a key: absent, or modified so many revisions ago.
#[derive(Clone, Debug)]
struct Hold(usize, Option<u64>);

fn operation() -> impl Strategy<Value = Operation> {
    let hold = (0..KEYS.len(), proptest::option::of(0..4_u64)).prop_map(|(key, age)| Hold(key, age));
    let mutation = (0..KEYS.len(), proptest::option::weighted(0.7, any::<u8>()));
    let commit = (vec(hold, 0..2), vec(mutation, 0..4)).prop_map(|(holds, puts)| Operation::Commit(holds, puts));
    prop_oneof![30 => commit, 1 => Just(Operation::Restart)]
}

/// The store as it should be: one map for each revision.
struct Model {
    moments: Vec<BTreeMap<String, Record>>,
}

impl Model {
    fn now(&self) -> &BTreeMap<String, Record> {
        self.moments.last().unwrap()
    }

    fn revision(&self) -> u64 {
        self.moments.len() as u64 - 1
    }

    fn holds(&self, precondition: &Precondition) -> bool {
        match precondition {
            Precondition::Absent(key) => !self.now().contains_key(key.as_str()),
            Precondition::ModifiedAt(key, revision) => {
                self.now().get(key.as_str()).is_some_and(|record| record.modified == *revision)
            }
        }
    }

    fn mutate(&mut self, mutation: &Mutation) -> Option<Revision> {
        let mut next = self.now().clone();
        let revision = Revision(self.revision() + 1);
        match mutation {
            Mutation::Delete(key) => drop(next.remove(key.as_str())?),
            Mutation::Put(key, value) => {
                let created = next.get(key.as_str()).map_or(revision, |record| record.created);
                let record = Record { key: key.clone(), value: value.clone(), created, modified: revision };
                next.insert(key.as_str().to_owned(), record);
            }
        }
        self.moments.push(next);
        Some(revision)
    }

    fn commit(&mut self, transaction: &Transaction) -> Option<Committed> {
        if !transaction.preconditions.iter().all(|precondition| self.holds(precondition)) {
            return None;
        }
        Some(Committed { revisions: transaction.mutations.iter().map(|mutation| self.mutate(mutation)).collect() })
    }

    fn under(&self, revision: u64, prefix: &str) -> Vec<Record> {
        let moment = self.moments[usize::try_from(revision).unwrap()].iter();
        moment.filter(|(key, _)| key.starts_with(prefix)).map(|(_, record)| record.clone()).collect()
    }
}

fn transaction(model: &Model, holds: &[Hold], mutations: &[(usize, Option<u8>)]) -> Transaction {
    let preconditions = holds.iter().map(|Hold(key, age)| match age {
        None => Precondition::Absent(Key::new(KEYS[*key])),
        Some(age) => {
            let modified = model.now().get(KEYS[*key]).map_or(0, |record| record.modified.0);
            // Mostly the right revision, sometimes an older one.
            Precondition::ModifiedAt(Key::new(KEYS[*key]), Revision(modified.saturating_sub(age / 3)))
        }
    });
    // A transaction names a key once: the last one wins.
    let mutations: BTreeMap<usize, Option<u8>> = mutations.iter().copied().collect();
    let mutations = mutations.into_iter().map(|(key, value)| match value {
        Some(value) => put(KEYS[key], vec![value; usize::from(value)]),
        None => delete(KEYS[key]),
    });
    Transaction { preconditions: preconditions.collect(), mutations: mutations.collect() }
}

async fn replay(operations: Vec<Operation>) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), Options::default());
    let mut model = Model { moments: vec![BTreeMap::new()] };
    for operation in operations {
        match operation {
            Operation::Restart => {
                drop(store);
                store = open(directory.path(), Options::default());
            }
            Operation::Commit(holds, mutations) => {
                let transaction = transaction(&model, &holds, &mutations);
                match store.commit(transaction.clone()).await {
                    Ok(committed) => assert_eq!(Some(committed), model.commit(&transaction)),
                    Err(Error::Conflict { .. }) => assert_eq!(None, model.commit(&transaction)),
                    Err(error) => panic!("an unexpected refusal: {error}"),
                }
            }
        }
        assert_eq!(list(&store, "", None).await.unwrap().records, model.under(model.revision(), ""));
    }
    compare_history(&store, &model).await;
}

/// Every list at every revision, and every watch from every revision.
async fn compare_history(store: &Arc<Embedded>, model: &Model) {
    assert_eq!(store.revision().0, model.revision());
    for revision in 0..=model.revision() {
        for prefix in PREFIXES {
            let page = list(store, prefix, Some(Revision(revision))).await.unwrap();
            assert_eq!(page.records, model.under(revision, prefix), "{prefix} at {revision}");
            follow(store, model, prefix, revision);
        }
    }
}

/// A list and the changes after it make what is there now.
fn follow(store: &Arc<Embedded>, model: &Model, prefix: &str, revision: u64) {
    let mut state: BTreeMap<String, Record> =
        model.under(revision, prefix).into_iter().map(|record| (record.key.as_str().to_owned(), record)).collect();
    let mut watch = store.watch(prefix, Revision(revision)).unwrap();
    while let Some(Some(batch)) = watch.next().now_or_never() {
        for change in batch.unwrap() {
            let (key, modified) = (change.key.clone(), change.revision);
            assert_eq!(state.remove(key.as_str()), change.previous, "what it replaced");
            if change.kind != essaim_store::ChangeKind::Deleted {
                let created = change.previous.as_ref().map_or(modified, |record| record.created);
                let value = change.value.clone();
                state.insert(key.as_str().to_owned(), Record { key, value, created, modified });
            }
        }
    }
    assert_eq!(state.into_values().collect::<Vec<_>>(), model.under(model.revision(), prefix));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn store_behaves_like_a_map_with_history(operations in vec(operation(), 1..60)) {
        tokio::runtime::Runtime::new().unwrap().block_on(replay(operations));
    }
}
