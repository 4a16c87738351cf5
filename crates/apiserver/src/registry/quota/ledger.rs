//! What a write means for the accounts: which change, may they, and what goes into its transaction.

use std::collections::{BTreeMap, BTreeSet};

use essaim_store::{Key, Mutation, Precondition, Record, Transaction};
use futures::future::try_join_all;

use super::{Amounts, Charge, Claim, Growth, Kept, amounts};
use crate::{
    ApiError,
    registry::{
        Looks, Registry,
        admission::ClientWrite,
        collections::{guarded, standing},
        commit::Failure,
    },
};

/// By how much the amounts of an account change.
type Change = BTreeMap<String, i128>;

/// What a write changes in the accounts of one quota; possibly nothing.
pub(in crate::registry) struct Posting<'a> {
    kept: &'a Kept,
    changes: BTreeMap<String, Change>,
}

/// What a posting needs to know.
pub(in crate::registry) struct Plan<'a> {
    posting: &'a Posting<'a>,
    book: Precondition,
    looks: Looks,
    totals: Vec<String>,
}

/// What goes into the transaction of the write.
#[derive(Default)]
pub(in crate::registry) struct Entry {
    pub(in crate::registry) preconditions: Vec<Precondition>,
    pub(in crate::registry) mutations: Vec<Mutation>,
    pub(in crate::registry) warnings: Vec<String>,
}

impl Posting<'_> {
    fn add(&mut self, charges: Vec<Charge>, sign: i128) {
        for Charge { account, amounts } in charges {
            let change = self.changes.entry(account).or_default();
            for (what, amount) in amounts {
                *change.entry(what).or_default() += sign * i128::from(amount);
            }
        }
    }

    fn settle(&mut self) {
        for change in self.changes.values_mut() {
            change.retain(|_, by| *by != 0);
        }
        self.changes.retain(|_, change| !change.is_empty());
    }

    fn growing(&self) -> BTreeSet<String> {
        let grows = |change: &Change| change.values().any(|by| *by > 0);
        self.changes.iter().filter(|(_, change)| grows(change)).map(|(account, _)| account.clone()).collect()
    }
}

impl Plan<'_> {
    /// The keys that others may want to change at the same time.
    pub(in crate::registry) fn keys(&self) -> impl Iterator<Item = Key> {
        let Posting { kept, changes } = self.posting;
        let accounts = changes.keys().map(|name| kept.account(name));
        accounts.chain(self.totals.iter().map(|name| kept.total(name)))
    }
}

impl Registry {
    /// What a transaction changes for each quota that charges for one of its keys. The states that it replaces become
    /// preconditions, if they are not.
    pub(in crate::registry) async fn postings(
        &self,
        transaction: &mut Transaction,
    ) -> Result<Vec<Posting<'_>>, Failure> {
        let mut postings = Vec::new();
        let Transaction { preconditions, mutations } = transaction;
        for kept in &self.quotas {
            let mut posting = Posting { kept, changes: BTreeMap::new() };
            let mut concerned = false;
            for mutation in mutations.iter() {
                let (key, new) = match mutation {
                    Mutation::Put(key, bytes) => (key, Some(bytes)),
                    Mutation::Delete(key) => (key, None),
                };
                if !kept.charges_for(key) {
                    continue;
                }
                concerned = true;
                let old = self.replaced(key, preconditions).await?;
                posting.add(old.map(|record| kept.charges(&record.value)).unwrap_or_default(), -1);
                posting.add(new.map(|bytes| kept.charges(bytes)).unwrap_or_default(), 1);
            }
            posting.settle();
            // Also where nothing changes: for another version of the quota, which may have taken over, it might.
            if concerned {
                postings.push(posting);
            }
        }
        Ok(postings)
    }

    /// What stands under a key when the preconditions hold.
    async fn replaced(&self, key: &Key, preconditions: &mut Vec<Precondition>) -> Result<Option<Record>, Failure> {
        let known = preconditions.iter().find(|one| guarded(one) == key);
        if let Some(Precondition::Absent(_)) = known {
            return Ok(None);
        }
        let record = self.fetch(key).await?;
        let found = standing(key.clone(), record.as_ref().map(|record| record.modified));
        match known {
            Some(known) if *known != found => return Err(Failure::Lost(key.clone())),
            Some(_) => {}
            None => preconditions.push(found),
        }
        Ok(record)
    }

    /// What has to be looked at to carry out postings. Waits while accounts are added up anew.
    pub(in crate::registry) async fn plans<'a>(
        &self,
        postings: &'a [Posting<'a>],
        write: Option<&ClientWrite<'_>>,
    ) -> Result<Vec<Plan<'a>>, Failure> {
        let mut plans = Vec::with_capacity(postings.len());
        for posting in postings {
            let book = self.open_book(posting.kept).await?;
            let mut plan = Plan { posting, book, looks: Looks::default(), totals: Vec::new() };
            let growing = posting.growing();
            if let Some(write) = write.filter(|_| !growing.is_empty()) {
                plan.looks = self.look(&posting.kept.rests_on).await?;
                let totals = posting.kept.rule.totals(&write.request(&plan.looks), &growing);
                plan.totals = self.unless_stale(&plan, totals).await?;
                plan.totals.sort();
                plan.totals.dedup();
            }
            plans.push(plan);
        }
        Ok(plans)
    }

    /// Reads the accounts and asks the quotas. Errors: lost if something that was read before is not so any more.
    pub(in crate::registry) async fn enter(
        &self,
        plans: &[Plan<'_>],
        write: Option<&ClientWrite<'_>>,
    ) -> Result<Entry, Failure> {
        let mut entry = Entry::default();
        for plan in plans {
            let accounts = self.change_accounts(plan, &mut entry).await?;
            if let Some(write) = write.filter(|_| !accounts.is_empty()) {
                let totals = self.change_totals(plan, &mut entry).await?;
                let request = write.request(&plan.looks);
                let claim = Claim { write: &request, accounts: &accounts, totals: &totals };
                let judged = plan.posting.kept.rule.judge(&claim);
                entry.warnings.extend(self.unless_stale(plan, judged).await?);
            }
            entry.preconditions.push(plan.book.clone());
            entry.preconditions.extend(plan.looks.preconditions());
        }
        Ok(entry)
    }

    /// A refusal counts only if it rests on what stands there now.
    async fn unless_stale<T>(&self, plan: &Plan<'_>, outcome: Result<T, ApiError>) -> Result<T, Failure> {
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let preconditions = [vec![plan.book.clone()], plan.looks.preconditions()].concat();
        match self.stale(&preconditions).await? {
            Some(key) => Err(Failure::Lost(key)),
            None => Err(Failure::Refused(error)),
        }
    }

    /// Puts the new sums into the entry; gives those that grow.
    async fn change_accounts(&self, plan: &Plan<'_>, entry: &mut Entry) -> Result<Vec<Growth>, Failure> {
        let Posting { kept, changes } = plan.posting;
        let keys: Vec<Key> = changes.keys().map(|name| kept.account(name)).collect();
        let records = try_join_all(keys.iter().map(|key| self.fetch(key))).await?;
        let (mut growths, mut sound) = (Vec::new(), true);
        for ((key, record), (name, change)) in keys.into_iter().zip(records).zip(changes) {
            let before = amounts(record.as_ref())?;
            let after = changed(&before, change, &mut sound)?;
            entry.preconditions.push(standing(key.clone(), record.map(|record| record.modified)));
            entry.mutations.push(if after.is_empty() { Mutation::Delete(key) } else { put(key, &after)? });
            if change.values().any(|by| *by > 0) {
                growths.push(Growth { name: name.clone(), before, after });
            }
        }
        if !sound {
            // Somebody wrote past the registry. What gives back must not be held up by it.
            tracing::error!(quota = kept.rule.name(), "the charges of a quota are wrong and are added up anew");
            entry.mutations.push(Mutation::Delete(kept.book.clone()));
        }
        Ok(growths)
    }

    /// Adds up the totals, and makes all who grow under them come one after the other.
    async fn change_totals(&self, plan: &Plan<'_>, entry: &mut Entry) -> Result<Vec<Growth>, Failure> {
        let Plan { posting: Posting { kept, changes }, totals, .. } = plan;
        if totals.is_empty() {
            return Ok(Vec::new());
        }
        // Before the accounts: who grows after they were read makes this write lose.
        for name in totals {
            let key = kept.total(name);
            let record = self.fetch(&key).await?;
            entry.preconditions.push(standing(key.clone(), record.map(|record| record.modified)));
            entry.mutations.push(Mutation::Put(key, "{}".into()));
        }
        let prefix = kept.accounts();
        let mut sums: Vec<Amounts> = vec![Amounts::new(); totals.len()];
        for record in self.records(&prefix).await? {
            let account = record.key.as_str().strip_prefix(&prefix).unwrap_or_default();
            let counting = totals.iter().zip(&mut sums).filter(|(name, _)| kept.rule.counts(name, account));
            for (_, sum) in counting {
                add(sum, amounts(Some(&record))?);
            }
        }
        let grown = totals.iter().zip(sums).map(|(name, before)| {
            let mut after = before.clone();
            for (_, change) in changes.iter().filter(|(account, _)| kept.rule.counts(name, account)) {
                // An account that was changed meanwhile may make less of it than nothing; then the write loses.
                after = changed(&after, change, &mut true)?;
            }
            Ok(Growth { name: name.clone(), before, after })
        });
        grown.collect()
    }
}

/// Adds amounts to a sum.
pub(super) fn add(sum: &mut Amounts, amounts: Amounts) {
    for (what, amount) in amounts {
        let total = sum.entry(what).or_default();
        *total = total.saturating_add(amount);
    }
}

/// The sum with a change; what becomes nothing is left out, and what would be less than that is not `sound`.
fn changed(before: &Amounts, change: &Change, sound: &mut bool) -> Result<Amounts, ApiError> {
    let mut after = before.clone();
    for (what, by) in change {
        let sum = i128::from(after.remove(what).unwrap_or_default()) + by;
        *sound &= sum >= 0;
        let too_much = |_| ApiError::forbidden(format!("more of {what:?} is asked for than can be counted"));
        let sum = u64::try_from(sum.max(0)).map_err(too_much)?;
        if sum > 0 {
            after.insert(what.clone(), sum);
        }
    }
    Ok(after)
}

/// Writes a sum down.
pub(super) fn put(key: Key, amounts: &Amounts) -> Result<Mutation, ApiError> {
    Ok(Mutation::Put(key, serde_json::to_vec(amounts).map_err(ApiError::internal)?.into()))
}
