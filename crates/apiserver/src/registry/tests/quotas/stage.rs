//! A quota on Widgets, and stores to try it on.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use essaim_store::{
    Committed, Embedded, Error, Key, ListRequest, Page, Record, Revision, Sealed, SealingKey, Store, Transaction, Watch,
};
use futures::{FutureExt as _, future::BoxFuture};

use super::*;
use crate::registry::{Charge, Claim, Collection, Quota};

const GADGETS: Collection = Collection::new("example.dev", "gadgets");
const ACCOUNTS: &str = "/registry/.charges/accounts/widgets/";
pub(super) const BOOK: &str = "/registry/.charges/books/widgets";

pub(super) static DRY: std::sync::LazyLock<WriteOptions> = std::sync::LazyLock::new(dry);

/// Widgets and their replicas, by the label `login` or else the namespace. A Gadget limits what it is named like:
/// an account, an account's replicas, or the group of all accounts that begin with it.
#[derive(Clone, Default)]
pub(super) struct Widgets {
    /// More than is told in `version` by one.
    pub(super) later: u32,
    /// Replicas are worth so much more than one.
    pub(super) surcharge: u64,
}

impl Widgets {
    fn limit(looks: &crate::registry::Looks, name: &str) -> Result<Option<u64>, ApiError> {
        let gadgets = looks.objects(GADGETS)?;
        Ok(gadgets.iter().find(|one| one["metadata"]["name"] == name).and_then(|one| one["size"].as_u64()))
    }
}

impl Quota for Widgets {
    fn name(&self) -> &'static str {
        "widgets"
    }

    fn version(&self) -> u32 {
        1 + self.later
    }

    fn charged(&self) -> Vec<Collection> {
        vec![Collection::new("example.dev", "widgets")]
    }

    fn rests_on(&self) -> Vec<Collection> {
        vec![GADGETS]
    }

    fn charges(&self, stored: &Value) -> Vec<Charge> {
        let metadata = &stored["metadata"];
        let account =
            metadata["labels"]["login"].as_str().or_else(|| metadata["namespace"].as_str()).unwrap_or_default();
        let on = stored["spec"]["image"] != "off";
        let replicas = stored["spec"]["replicas"].as_u64().filter(|_| on).unwrap_or(0) * (1 + self.surcharge);
        vec![Charge { account: account.to_owned(), amounts: amounts(1, replicas) }]
    }

    fn totals(&self, write: &AdmissionRequest<'_>, accounts: &BTreeSet<String>) -> Result<Vec<String>, ApiError> {
        let groups: BTreeSet<&str> = accounts.iter().filter_map(|one| one.split_once('-')).map(|one| one.0).collect();
        let limited = groups.into_iter().map(|group| Ok((group, Self::limit(write.looks, group)?)));
        let limited = limited.collect::<Result<Vec<_>, ApiError>>()?;
        Ok(limited.into_iter().filter(|(_, limit)| limit.is_some()).map(|(group, _)| group.to_owned()).collect())
    }

    fn counts(&self, total: &str, account: &str) -> bool {
        account.split_once('-').is_some_and(|(group, _)| group == total)
    }

    fn judge(&self, claim: &Claim<'_>) -> Result<Vec<String>, ApiError> {
        let mut warnings = Vec::new();
        for growth in claim.accounts.iter().chain(claim.totals) {
            for (what, rule) in [("widgets", growth.name.clone()), ("replicas", format!("{}-replicas", growth.name))] {
                let Some(limit) = Self::limit(claim.write.looks, &rule)? else { continue };
                let limits = Amounts::from([(what.to_owned(), limit)]);
                growth.within(&rule, &limits).map_err(|detail| claim.write.forbidden(&detail))?;
                let used = growth.after.get(what).copied().unwrap_or(0);
                if used == limit {
                    warnings.push(format!("{} has {used} of {limit} {what}", growth.name));
                }
            }
        }
        Ok(warnings)
    }
}

pub(super) fn amounts(widgets: u64, replicas: u64) -> Amounts {
    let amounts = [("widgets", widgets), ("replicas", replicas)];
    amounts.into_iter().filter(|(_, amount)| *amount > 0).map(|(what, amount)| (what.to_owned(), amount)).collect()
}

pub(super) fn account(name: &str) -> Key {
    Key::new(format!("{ACCOUNTS}{name}"))
}

pub(super) fn with_replicas(name: &str, replicas: u64) -> Value {
    let mut body = widget(name, "x");
    body["spec"]["replicas"] = replicas.into();
    body
}

pub(super) fn of_login(name: &str, login: &str) -> Value {
    let mut body = widget(name, "x");
    body["metadata"]["labels"] = json!({"login": login});
    body
}

/// A registry with the quota on a store of its own, and these limits.
pub(super) async fn limited(limits: &[(&str, u64)]) -> Bench {
    let bench = Bench::over(stored_in_a_file(), Vec::new(), vec![Arc::new(Widgets::default())]).await;
    for (name, limit) in limits {
        set_limit(&bench, name, *limit).await;
    }
    bench
}

pub(super) async fn set_limit(bench: &Bench, name: &str, limit: u64) {
    let patch = Patch::Apply(document(json!({
        "apiVersion": "example.dev/v1", "kind": "Gadget", "metadata": {"name": name}, "size": limit,
    })));
    bench.registry.patch(&bench.gadgets(), name, Part::Main, patch, &by("operator")).await.unwrap();
}

/// What is charged to an account.
pub(super) async fn charged(registry: &Registry, name: &str) -> Amounts {
    let record = registry.fetch(&account(name)).await.unwrap();
    record.map(|record| serde_json::from_slice(&record.value).unwrap()).unwrap_or_default()
}

pub(super) async fn records(store: &dyn Store, prefix: &str) -> Vec<Record> {
    let request = ListRequest { prefix: prefix.to_owned(), start: None, limit: 0, at: None };
    store.list(request).await.unwrap().records
}

/// All accounts, as they are and as they should be.
pub(super) async fn sums(store: &dyn Store, rule: &Widgets) -> [BTreeMap<String, Amounts>; 2] {
    let mut right = BTreeMap::<String, Amounts>::new();
    for record in records(store, "/registry/example.dev/widgets/").await {
        for charge in rule.charges(&serde_json::from_slice(&record.value).unwrap()) {
            let sum = right.entry(charge.account).or_default();
            for (what, amount) in charge.amounts {
                *sum.entry(what).or_default() += amount;
            }
        }
    }
    let kept = records(store, ACCOUNTS).await.into_iter().map(|record| {
        (record.key.as_str()[ACCOUNTS.len()..].to_owned(), serde_json::from_slice(&record.value).unwrap())
    });
    [kept.collect(), right]
}

pub(super) async fn assert_exact(store: &dyn Store, rule: &Widgets) {
    let [kept, right] = sums(store, rule).await;
    assert_eq!(kept, right);
}

/// A new store, which keeps its directory as long as it lives.
pub(super) fn stored_in_a_file() -> Arc<dyn Store> {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path().join("store"), essaim_store::Options::default()).unwrap();
    Arc::new(Watched { store, _directory: Some(directory), rule: None, one_by_one: tokio::sync::Mutex::default() })
}

/// The same with Widgets sealed.
pub(super) async fn sealed() -> Arc<dyn Store> {
    let prefixes = vec!["/registry/example.dev/widgets/".to_owned()];
    let key = SealingKey::new(&[7; 32]);
    Arc::new(Sealed::open(stored_in_a_file(), key, Vec::new(), prefixes).await.unwrap())
}

/// A store whose charges are compared with its objects after each single transaction.
pub(super) fn watched(store: Arc<dyn Store>, rule: Widgets) -> Arc<dyn Store> {
    Arc::new(Watched { store, _directory: None, rule: Some(rule), one_by_one: tokio::sync::Mutex::default() })
}

struct Watched {
    store: Arc<dyn Store>,
    /// Goes after the store.
    _directory: Option<tempfile::TempDir>,
    rule: Option<Widgets>,
    one_by_one: tokio::sync::Mutex<()>,
}

impl Store for Watched {
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed, Error>> {
        async move {
            let Some(rule) = &self.rule else { return self.store.commit(transaction).await };
            let _alone = self.one_by_one.lock().await;
            let outcome = self.store.commit(transaction).await;
            let book = self.store.get(&Key::new(BOOK)).await?.0;
            let open = Bytes::from(format!(r#"{{"version":{},"open":true}}"#, rule.version()));
            if book.is_some_and(|book| book.value == open) {
                assert_exact(&*self.store, rule).await;
            }
            outcome
        }
        .boxed()
    }

    fn get(&self, key: &Key) -> BoxFuture<'_, Result<(Option<Record>, Revision), Error>> {
        self.store.get(key)
    }

    fn list(&self, request: ListRequest) -> BoxFuture<'_, Result<Page, Error>> {
        self.store.list(request)
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.store.watch(prefix, after)
    }

    fn revision(&self) -> Revision {
        self.store.revision()
    }

    fn health(&self) -> Result<(), Error> {
        self.store.health()
    }

    fn reached(&self, revision: Revision) -> BoxFuture<'_, ()> {
        self.store.reached(revision)
    }
}
