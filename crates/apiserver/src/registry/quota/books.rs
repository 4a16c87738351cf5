//! The books of the quotas: whether their accounts can be used, and how they are added up anew.
//!
//! ```text
//! absent ──┐
//! of another version ─┴─► counting ─► open
//! ```
//!
//! Every write of a charged object commits on condition that the book is open and stands as it stood. So from the moment
//! that the book says "counting" nobody writes such an object, here or in another process; whoever wants to waits. The one
//! who counts then reads all objects, writes the accounts in pieces, each on condition that the book is still its own, and
//! opens it. If it dies, another one takes over after a while and begins again; a slow one that comes back loses at its next
//! piece. Readers, and writers of other objects, notice nothing.
//!
//! A start takes over what another version of the quota kept; a running server does not: it refuses writes of the charged
//! objects until it is replaced. So after an upgrade, as after the way back, the last one who started keeps the books. All
//! processes of one store must have the same quotas: one that does not know a quota charges nothing for it, and removes its book
//! when it starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use essaim_store::{Key, Mutation, Precondition, Record, Revision, Transaction};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    Amounts, Kept,
    ledger::{add, put},
};
use crate::{
    ApiError,
    registry::{Registry, collections::standing, commit::Failure, tasks::RETRY},
};

pub(super) const PREFIX: &str = "/registry/.charges/books/";
/// How long a write waits for the book to be opened.
const WAIT: Duration = Duration::from_secs(10);
/// How often one looks whether it is.
const LOOK: Duration = Duration::from_millis(50);
/// Who has counted for so long is taken for dead.
const TAKE_OVER: Duration = Duration::from_secs(30);
/// How often counting begins again because others began meanwhile.
const ATTEMPTS: usize = 20;
/// Accounts in one transaction; etcd takes 128.
const PIECE: usize = 100;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    version: u32,
    open: bool,
}

impl Book {
    /// One that cannot be read is as good as none.
    fn read(record: &Record) -> Option<Self> {
        serde_json::from_slice(&record.value).ok()
    }
}

/// What has to be done about a book.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Another version keeps it.
    Foreign,
    Counting,
    Absent,
}

impl Kept {
    fn state(&self, record: Option<&Record>) -> State {
        match record.and_then(Book::read) {
            Some(Book { open: false, .. }) => State::Counting,
            Some(Book { version, .. }) if version == self.rule.version() => State::Open,
            Some(_) => State::Foreign,
            None => State::Absent,
        }
    }

    fn unavailable(&self, why: &str) -> ApiError {
        let message = format!("the charges of the quota {:?} {why}", self.rule.name());
        let mut error = ApiError::new(503, "ServiceUnavailable", message);
        error.retry_after_seconds = Some(1);
        error
    }
}

impl Registry {
    /// The condition that the book is open; waits for that, but not for long.
    pub(super) async fn open_book(&self, kept: &Kept) -> Result<Precondition, ApiError> {
        let deadline = Instant::now() + WAIT;
        loop {
            if let Some(revision) = kept.known_open() {
                return Ok(Precondition::ModifiedAt(kept.book.clone(), revision));
            }
            let record = self.fetch(&kept.book).await?;
            match kept.state(record.as_ref()) {
                State::Open => kept.set_open(record.map(|record| record.modified)),
                State::Foreign => return Err(kept.unavailable("are kept by another version of this server")),
                State::Counting | State::Absent if Instant::now() < deadline => sleep(LOOK).await,
                State::Counting | State::Absent => return Err(kept.unavailable("are being added up")),
            }
        }
    }

    /// At the start: removes the books of quotas that are none any more, and opens those of the others.
    pub(in crate::registry) async fn open_books(&self) -> Result<(), ApiError> {
        self.check_names()?;
        for record in self.records(PREFIX).await? {
            if self.quotas.iter().any(|kept| kept.book == record.key) {
                continue;
            }
            tracing::warn!(key = record.key.as_str(), "removes the book of a quota that this server does not have");
            let held = vec![Precondition::ModifiedAt(record.key.clone(), record.modified)];
            match self.commit_one(held, Mutation::Delete(record.key)).await {
                Ok(_) | Err(Failure::Lost(_)) => {}
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
        for kept in &self.quotas {
            self.settle_book(kept, true).await?;
        }
        Ok(())
    }

    /// Refuses quotas that would write into each other's accounts.
    fn check_names(&self) -> Result<(), ApiError> {
        let mut names = BTreeSet::new();
        for name in self.quotas.iter().map(|kept| kept.rule.name()) {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || !name.bytes().all(plain) || !names.insert(name) {
                let what = "is not made of lower-case letters, digits and dashes, or stands twice";
                return Err(ApiError::internal(format!("the name {name:?} of a quota {what}")));
            }
        }
        Ok(())
    }

    /// Opens books that somebody lost or left. Ends with the store.
    pub(in crate::registry) async fn keep_books(self: Arc<Self>) {
        let mut follower = self.follow(PREFIX);
        let mut failed = false;
        loop {
            tokio::select! {
                news = follower.next() => if news.is_none() { return },
                () = sleep(RETRY), if failed => {}
            }
            failed = false;
            for kept in &self.quotas {
                if let Err(error) = self.settle_book(kept, false).await {
                    tracing::warn!(quota = kept.rule.name(), %error, "cannot open the book of a quota");
                    failed = true;
                }
            }
        }
    }

    /// Adds up all accounts anew from the objects.
    pub(crate) async fn recount(&self) -> Result<(), ApiError> {
        for kept in &self.quotas {
            let record = self.fetch(&kept.book).await?;
            if matches!(kept.state(record.as_ref()), State::Foreign) {
                return Err(kept.unavailable("are kept by a server with another version of the quota"));
            }
            match self.count(kept, record.as_ref()).await {
                Err(Failure::Lost(_)) => self.settle_book(kept, false).await?,
                Err(Failure::Refused(error)) => return Err(error),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Counts if nobody has, and waits for whoever does. Takes over from another version only if told to.
    async fn settle_book(&self, kept: &Kept, take_over: bool) -> Result<(), ApiError> {
        let (mut since, mut attempts) = ((None, Instant::now()), 0);
        while attempts < ATTEMPTS {
            let record = self.fetch(&kept.book).await?;
            let modified = record.as_ref().map(|record| record.modified);
            if since.0 != modified {
                since = (modified, Instant::now());
            }
            match kept.state(record.as_ref()) {
                State::Open => return Ok(()),
                State::Foreign if !take_over => return Ok(()),
                State::Counting if since.1.elapsed() < TAKE_OVER => sleep(LOOK).await,
                State::Counting | State::Foreign | State::Absent => {
                    attempts += 1;
                    match self.count(kept, record.as_ref()).await {
                        Err(Failure::Lost(_)) => {}
                        Err(Failure::Refused(error)) => return Err(error),
                        Ok(()) => return Ok(()),
                    }
                }
            }
        }
        Err(kept.unavailable("are added up by many at once"))
    }

    /// Counts, unless the book is not as it was found any more.
    async fn count(&self, kept: &Kept, found: Option<&Record>) -> Result<(), Failure> {
        let as_found = standing(kept.book.clone(), found.map(|record| record.modified));
        let taken = self.write_book(kept, as_found, false).await?;
        let held = Precondition::ModifiedAt(kept.book.clone(), taken);
        let (objects, sums) = self.add_up(kept).await?;
        let accounts = sums.len();
        for piece in self.differences(kept, sums).await?.chunks(PIECE) {
            let transaction = Transaction { preconditions: vec![held.clone()], mutations: piece.to_vec() };
            self.commit(transaction).await?;
        }
        let opened = self.write_book(kept, held, true).await?;
        kept.set_open(Some(opened));
        tracing::info!(quota = kept.rule.name(), objects, accounts, "added up the charges of a quota");
        Ok(())
    }

    async fn write_book(&self, kept: &Kept, condition: Precondition, open: bool) -> Result<Revision, Failure> {
        let book = Book { version: kept.rule.version(), open };
        let bytes = serde_json::to_vec(&book).map_err(ApiError::internal)?;
        self.commit_one(vec![condition], Mutation::Put(kept.book.clone(), bytes.into())).await
    }

    /// How many objects are charged, and what each account should be.
    async fn add_up(&self, kept: &Kept) -> Result<(usize, BTreeMap<Key, Amounts>), ApiError> {
        let (mut objects, mut sums) = (0, BTreeMap::<Key, Amounts>::new());
        for prefix in &kept.prefixes {
            for record in self.records(prefix).await? {
                for charge in kept.charges(&record.value) {
                    add(sums.entry(kept.account(&charge.account)).or_default(), charge.amounts);
                }
                objects += 1;
                if objects % 256 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
        for sum in sums.values_mut() {
            sum.retain(|_, amount| *amount > 0);
        }
        sums.retain(|_, sum| !sum.is_empty());
        Ok((objects, sums))
    }

    /// What has to be written so that the accounts are these.
    async fn differences(&self, kept: &Kept, mut sums: BTreeMap<Key, Amounts>) -> Result<Vec<Mutation>, ApiError> {
        let mut mutations = Vec::new();
        for record in self.records(&kept.accounts()).await? {
            match sums.get(&record.key) {
                Some(sum) if super::amounts(Some(&record)).is_ok_and(|stored| stored == *sum) => {
                    sums.remove(&record.key);
                }
                Some(_) => {}
                None => mutations.push(Mutation::Delete(record.key)),
            }
        }
        for (key, sum) in sums {
            mutations.push(put(key, &sum)?);
        }
        Ok(mutations)
    }
}
