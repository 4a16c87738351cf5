//! Which keys of etcd are ours: those under the prefix, of which a few serve the engine itself.
//!
//! The engine's own keys lie under the prefix, so that its one watch hears of them too: their changes move the revision
//! on although they are no changes of the store.
//!
//! And what etcd's revisions are to the store: the same, until a backup was restored into an etcd, whose own revisions cannot be set.
//! From then on each is greater by a number that lies in etcd too, the epoch.

use crate::model::{Error, Key, Revision};

/// Below the prefix; no path of an API begins with a dot.
const OWN: &str = ".essaim/";

/// The prefix and what follows from it.
pub(super) struct Keyspace {
    prefix: String,
    own: String,
    /// Written to learn a revision of our own, see `barrier`.
    pub(super) fence: String,
    /// Written by whoever compacts, see `compaction`.
    pub(super) compaction: String,
    /// Written by a restore only, see `epoch`.
    pub(super) epoch_key: String,
    epoch: Epoch,
}

/// What a restore left in the key of the epoch; nothing where there was none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch {
    /// What etcd's revisions lack.
    pub(super) number: u64,
    /// When it was written, in etcd's revisions: every write compares it.
    pub(super) written: i64,
}

/// What a key of etcd is to the store.
pub(super) enum Place {
    /// The store's.
    Object(Key),
    /// The engine's own, or not UTF-8, which no key of the store can be.
    Other,
}

impl Keyspace {
    pub(super) fn new(prefix: &str) -> Result<Self, Error> {
        if !prefix.is_empty() && !prefix.ends_with('/') {
            return Err(Error::Invalid(format!("the prefix {prefix:?} of the keys in etcd must end with /")));
        }
        let own = format!("{prefix}{OWN}");
        let (fence, compaction) = (format!("{own}fence"), format!("{own}compaction"));
        let epoch_key = format!("{own}epoch");
        Ok(Self { prefix: prefix.to_owned(), own, fence, compaction, epoch_key, epoch: Epoch::default() })
    }

    /// The same keys in another epoch.
    pub(super) fn in_epoch(self, epoch: Epoch) -> Self {
        Self { epoch, ..self }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// A revision as etcd tells it; what etcd has not set stays 0.
    pub(super) fn revision(&self, number: i64) -> Revision {
        match u64::try_from(number) {
            Ok(number) if number > 0 => Revision(self.epoch.number.saturating_add(number)),
            _ => Revision(0),
        }
    }

    /// A revision as etcd is told it; those of earlier epochs are 0 or less.
    pub(super) fn number(&self, revision: Revision) -> i64 {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        signed(revision.0).saturating_sub(signed(self.epoch.number))
    }

    /// The first key, and the first behind the last, as etcd wants them.
    pub(super) fn range(&self) -> (Vec<u8>, Vec<u8>) {
        let (start, mut end) = (self.prefix.clone().into_bytes(), self.prefix.clone().into_bytes());
        match end.last_mut() {
            Some(last) => {
                *last += 1; // It is a slash.
                (start, end)
            }
            None => (vec![0], vec![0]),
        }
    }

    pub(super) fn place(&self, key: &[u8]) -> Place {
        match std::str::from_utf8(key) {
            Ok(key) if !key.starts_with(&self.own) => Place::Object(Key::new(key)),
            _ => Place::Other,
        }
    }

    /// Refuses a key that this store would not find again.
    pub(super) fn check(&self, key: &Key) -> Result<(), Error> {
        let key = key.as_str();
        if key.starts_with(&self.prefix) && !key.starts_with(&self.own) {
            return Ok(());
        }
        Err(Error::Invalid(format!("the key {key} does not belong under {}", self.prefix)))
    }
}
