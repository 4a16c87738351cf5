//! What a store holds and has done since it was opened: plain numbers, for whoever shows them.

use std::sync::{Mutex, PoisonError};

use crate::model::Revision;

/// Transactions that shared a commit.
const BATCHES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// Seconds.
const COMMITS: [f64; 12] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0];

/// The figures of one moment. What an engine does not measure it leaves out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The newest revision.
    pub revision: Revision,
    /// The newest revision that the log no longer holds.
    pub compacted: Revision,
    /// How many keys exist.
    pub objects: usize,
    /// How many changes the log holds.
    pub changes: usize,
    /// How many transactions shared a commit; its count is that of commits, its sum that of transactions.
    pub batches: Option<Spread>,
    /// How many seconds a commit took on disk, its sync included.
    pub commits: Option<Spread>,
}

/// How often which size occurred.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// The upper bounds of all ranges but the last, which has none.
    pub bounds: &'static [f64],
    /// One for each range.
    pub counts: Vec<u64>,
    /// Of all sizes.
    pub sum: f64,
}

impl Spread {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    fn add(&mut self, size: f64) {
        let range = self.bounds.partition_point(|bound| *bound < size);
        if let Some(count) = self.counts.get_mut(range) {
            *count += 1;
        }
        self.sum += size;
    }
}

/// Filled by the one thread that writes, once a commit.
#[derive(Debug)]
pub(crate) struct Meter(Mutex<(Spread, Spread)>);

impl Default for Meter {
    fn default() -> Self {
        Self(Mutex::new((Spread::new(&BATCHES), Spread::new(&COMMITS))))
    }
}

impl Meter {
    pub(crate) fn committed(&self, transactions: usize, seconds: f64) {
        let mut spreads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spreads.0.add(f64::from(u32::try_from(transactions).unwrap_or(u32::MAX)));
        spreads.1.add(seconds);
    }

    /// Of batches and of commits.
    pub(crate) fn spreads(&self) -> (Spread, Spread) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Meter;

    #[test]
    fn each_size_counts_in_its_range() {
        let meter = Meter::default();
        for (transactions, seconds) in [(1, 0.0001), (2, 0.001), (600, 9.0)] {
            meter.committed(transactions, seconds);
        }
        let (batches, commits) = meter.spreads();
        assert_eq!((batches.counts[..2].to_vec(), batches.counts[10], batches.sum), (vec![1, 1], 1, 603.0));
        assert_eq!((commits.counts[0], commits.counts[2], commits.counts[12]), (1, 1, 1));
    }
}
