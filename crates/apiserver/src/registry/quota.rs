//! Quotas: rules about sums over objects, kept exact.
//!
//! A quota says what one object takes from which account, and whether an account may grow. The registry does the rest: it
//! compares the object with the one that stood there, reads the accounts, asks, and writes object and accounts in one
//! transaction, again if another write was faster.
//!
//! Invariant: while its book is open, each account of a quota is the sum of what the quota says of the bytes that are
//! stored, in every state of the store. For whatever writes or removes an object passes [`Registry::commit`](super::Registry::commit), which puts the
//! change of the accounts into the same transaction; a crash leaves both or neither.
//!
//! ```text
//! /registry/.charges/books/QUOTA             of which version the accounts are, and whether they can be used
//! /registry/.charges/accounts/QUOTA/NAME     a sum: {"memory":4096,"servers":2}; none when nothing is charged
//! /registry/.charges/totals/QUOTA/NAME       rewritten by all who grow under a total, so that they come one after the other
//! /registry/.charges/stamps/GROUP/RESOURCE   see `collections`
//! ```

mod books;
mod ledger;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use essaim_store::{Key, Record, Revision};
use serde_json::Value;

pub(super) use ledger::{Entry, Plan};

use super::{AdmissionRequest, Collection, collections::OWN_PREFIX};
use crate::ApiError;

/// Whole numbers by what they count: `servers`, `memory`, `gpu/a100`.
pub type Amounts = BTreeMap<String, u64>;

/// What an object takes from one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Whose account: a login, a namespace.
    pub account: String,
    /// How much of what.
    pub amounts: Amounts,
}

/// A sum that a write makes larger, in at least one of its amounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The account or the total.
    pub name: String,
    /// What is charged now.
    pub before: Amounts,
    /// What would be charged with the write.
    pub after: Amounts,
}

impl Growth {
    /// Holds the sum against limits, which concern only what grows: who is over a limit may still shrink, and change the
    /// rest.
    ///
    /// Errors: `exceeded quota: RULE, requested: servers=1, used: servers=10, limited: servers=10`.
    pub fn within(&self, rule: &str, limits: &Amounts) -> Result<(), String> {
        let mut told = [const { Vec::new() }; 3];
        for (what, limit) in limits {
            let [before, after] = [&self.before, &self.after].map(|amounts| amounts.get(what).copied().unwrap_or(0));
            if after > before && after > *limit {
                for (list, amount) in told.iter_mut().zip([after - before, before, *limit]) {
                    list.push(format!("{what}={amount}"));
                }
            }
        }
        let [requested, used, limited] = told.map(|list| list.join(","));
        if limited.is_empty() {
            return Ok(());
        }
        Err(format!("exceeded quota: {rule}, requested: {requested}, used: {used}, limited: {limited}"))
    }
}

/// A client's write that makes accounts grow.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The write, with the object as it is going to be stored.
    pub write: &'a AdmissionRequest<'a>,
    /// The accounts that grow.
    pub accounts: &'a [Growth],
    /// The totals that [`Quota::totals`] named, whether or not they grow.
    pub totals: &'a [Growth],
}

/// A limit on sums over objects.
///
/// Nothing here waits or remembers: the registry adds up, stores, and tries again. What the implementation needs besides
/// its arguments, such as the groups of a login, it brings along.
///
/// ```
/// use std::sync::Arc;
///
/// use essaim_apiserver::{Amounts, ApiError, Charge, Claim, Collection, Options, Quota};
/// use serde_json::Value;
///
/// /// So many Widgets a namespace as its Allowance says, which is named like it.
/// struct WidgetsPerNamespace;
///
/// const ALLOWANCES: Collection = Collection::new("example.dev", "allowances");
///
/// impl Quota for WidgetsPerNamespace {
///     fn name(&self) -> &'static str {
///         "widgets-per-namespace"
///     }
///
///     fn version(&self) -> u32 {
///         1
///     }
///
///     fn charged(&self) -> Vec<Collection> {
///         vec![Collection::new("example.dev", "widgets")]
///     }
///
///     fn rests_on(&self) -> Vec<Collection> {
///         vec![ALLOWANCES]
///     }
///
///     fn charges(&self, stored: &Value) -> Vec<Charge> {
///         let account = stored["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
///         vec![Charge { account, amounts: Amounts::from([("widgets".to_owned(), 1)]) }]
///     }
///
///     fn judge(&self, claim: &Claim<'_>) -> Result<Vec<String>, ApiError> {
///         let allowances = claim.write.looks.objects(ALLOWANCES)?;
///         for growth in claim.accounts {
///             let found = allowances.iter().find(|one| one["metadata"]["name"] == growth.name.as_str());
///             let limit = found.and_then(|one| one["spec"]["widgets"].as_u64()).unwrap_or(0);
///             let limits = Amounts::from([("widgets".to_owned(), limit)]);
///             growth.within("widgets-per-namespace", &limits).map_err(|detail| claim.write.forbidden(&detail))?;
///         }
///         Ok(Vec::new())
///     }
/// }
///
/// let clock: essaim_apiserver::Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// let mut options = Options::new(clock);
/// options.quotas.push(Arc::new(WidgetsPerNamespace));
/// ```
pub trait Quota: Send + Sync + 'static {
    /// A name in lower-case letters, digits and dashes. The accounts lie under it for good.
    fn name(&self) -> &'static str;

    /// To be raised whenever [`charged`](Self::charged) or [`charges`](Self::charges) says something else than before: all
    /// accounts are then added up anew at the next start.
    fn version(&self) -> u32;

    /// The resources whose objects are charged. Asked once.
    fn charged(&self) -> Vec<Collection>;

    /// The collections that [`totals`](Self::totals) and [`judge`](Self::judge) look at, as for
    /// [`Admission`](super::Admission::rests_on). Asked once.
    fn rests_on(&self) -> Vec<Collection> {
        Vec::new()
    }

    /// What an object takes, as it is stored: in the version that was stored when it was written, without its revision.
    ///
    /// Must follow from the object alone, or what is given back would not be what was taken.
    fn charges(&self, stored: &Value) -> Vec<Charge>;

    /// The names of the totals that a write has to be held against, when these accounts grow.
    fn totals(&self, _write: &AdmissionRequest<'_>, _accounts: &BTreeSet<String>) -> Result<Vec<String>, ApiError> {
        Ok(Vec::new())
    }

    /// Whether a total is also the sum over this account. May change at any time, since totals are added up when they are
    /// needed; a write is refused or not by what this says then.
    fn counts(&self, _total: &str, _account: &str) -> bool {
        false
    }

    /// Refuses that accounts grow, or gives warnings for the client. Asked only about clients' writes, and only if they make
    /// an account grow; may be asked several times about one write.
    fn judge(&self, claim: &Claim<'_>) -> Result<Vec<String>, ApiError>;
}

/// A quota, and what the registry knows of it.
pub(super) struct Kept {
    rule: Arc<dyn Quota>,
    prefixes: Vec<String>,
    rests_on: Vec<Collection>,
    book: Key,
    /// The revision of the open book, as it was read last. A std mutex: it is held for a copy.
    open: Mutex<Option<Revision>>,
}

impl Kept {
    pub(super) fn new(rule: Arc<dyn Quota>) -> Self {
        let prefixes = rule.charged().into_iter().map(Collection::prefix).collect();
        let (rests_on, book) = (rule.rests_on(), Key::new(format!("{}{}", books::PREFIX, rule.name())));
        Self { rule, prefixes, rests_on, book, open: Mutex::default() }
    }

    pub(super) fn rests_on(&self) -> &[Collection] {
        &self.rests_on
    }

    fn charges_for(&self, key: &Key) -> bool {
        self.prefixes.iter().any(|prefix| key.as_str().starts_with(prefix))
    }

    fn accounts(&self) -> String {
        format!("{OWN_PREFIX}accounts/{}/", self.rule.name())
    }

    fn account(&self, name: &str) -> Key {
        Key::new(self.accounts() + name)
    }

    fn total(&self, name: &str) -> Key {
        Key::new(format!("{OWN_PREFIX}totals/{}/{name}", self.rule.name()))
    }

    fn known_open(&self) -> Option<Revision> {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_open(&self, revision: Option<Revision>) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = revision;
    }

    /// The book was written, by whomever.
    pub(super) fn forget(&self, key: &Key) {
        if *key == self.book {
            self.set_open(None);
        }
    }

    /// What stored bytes are charged for. Bytes that are no object are charged nothing, in every sum alike.
    fn charges(&self, bytes: &[u8]) -> Vec<Charge> {
        let stored = serde_json::from_slice(bytes);
        stored.map(|stored: Value| self.rule.charges(&stored)).unwrap_or_default()
    }
}

/// An account as it is stored; nothing is charged to one that is not there.
fn amounts(record: Option<&Record>) -> Result<Amounts, ApiError> {
    record
        .map_or_else(|| Ok(Amounts::new()), |record| serde_json::from_slice(&record.value).map_err(ApiError::internal))
}
