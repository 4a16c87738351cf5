//! What is still to be looked at: each object once, and none twice at a time. Pure.

use std::collections::{HashSet, VecDeque};

use super::graph::Uid;

/// Objects by uid, first come, first served.
///
/// Invariant: what is added while it is being looked at is looked at once more.
#[derive(Default)]
pub(super) struct Queue {
    order: VecDeque<Uid>,
    waiting: HashSet<Uid>,
    under_way: HashSet<Uid>,
}

impl Queue {
    pub(super) fn add(&mut self, uid: Uid) {
        if self.waiting.insert(uid.clone()) && !self.under_way.contains(&uid) {
            self.order.push_back(uid);
        }
    }

    /// The next one; it counts as being looked at until it is [done](Self::done).
    pub(super) fn take(&mut self) -> Option<Uid> {
        let uid = self.order.pop_front()?;
        self.waiting.remove(&uid);
        self.under_way.insert(uid.clone());
        Some(uid)
    }

    pub(super) fn done(&mut self, uid: &Uid) {
        self.under_way.remove(uid);
        if self.waiting.contains(uid) {
            self.order.push_back(uid.clone());
        }
    }
}

impl Extend<Uid> for Queue {
    fn extend<I: IntoIterator<Item = Uid>>(&mut self, uids: I) {
        uids.into_iter().for_each(|uid| self.add(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::{Queue, Uid};

    #[test]
    fn each_waits_once_and_again_only_after_it_is_done() {
        let mut queue = Queue::default();
        queue.extend(["a", "b", "a"].map(Uid::from));
        assert_eq!(queue.take().as_deref(), Some("a"));
        queue.add("a".into());
        assert_eq!(queue.take().as_deref(), Some("b"));
        assert_eq!(queue.take(), None, "it is being looked at");
        queue.done(&"a".into());
        assert_eq!(queue.take().as_deref(), Some("a"));
        queue.done(&"a".into());
        queue.done(&"b".into());
        assert_eq!(queue.take(), None);
    }
}
