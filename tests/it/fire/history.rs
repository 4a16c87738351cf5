//! What clients asked, when, and what they were told: nothing but testimony, judged later by `check`.
//!
//! Times are nanoseconds since the history began. `asked` is taken before the request leaves, `told` after the whole answer came, so that
//! of two requests the later one began after the earlier one had ended only if that is certain.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use serde_json::Value;

use crate::fixture::now;

pub(super) type Revision = u64;
pub(super) type Stamp = u64;

/// An object as it was shown to somebody, whoever it was and in whatever kind of answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) revision: Revision,
    /// What the last writers of spec and of status left there; no two writes leave the same.
    pub(super) marks: [String; 2],
    /// Of everything but the revision.
    pub(super) digest: u64,
}

/// What a client wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Create,
    /// Replace what stands at this revision.
    Put(Revision),
    /// Change whatever stands there.
    Patch,
    /// Of what stands at this revision, or of whatever stands there.
    Delete(Option<Revision>),
    Get,
    /// In one answer or in pages.
    List,
}

/// What it was told.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Written(Sight),
    /// The object with this uid is gone.
    Deleted(String),
    Found(Sight),
    Absent,
    Listed(Revision, Vec<Sight>),
    /// An answer that says that nothing was done.
    Refused(u16),
    /// No answer, or one that leaves open what was done.
    Unknown,
}

/// One request of one client.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) ask: Ask,
    /// Empty for lists.
    pub(super) name: String,
    /// What the write would leave there; empty for all others.
    pub(super) mark: String,
    pub(super) asked: Stamp,
    pub(super) told: Stamp,
    pub(super) answer: Answer,
}

impl Operation {
    /// Whether somebody may rely on this write.
    pub(super) fn is_acknowledged(&self) -> bool {
        matches!(self.answer, Answer::Written(_) | Answer::Deleted(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Modified,
    Deleted,
}

/// What a watcher was told.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// It listed, and watches from there.
    Listed(Revision, Vec<Sight>),
    /// It connected again and asked for what came after this.
    Resumed(Revision),
    Event(Kind, Sight),
    Bookmark(Revision),
    /// 410: it has to list.
    Expired,
}

/// All testimony.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) operations: Vec<Operation>,
    pub(super) watchers: Vec<Vec<(Stamp, Heard)>>,
}

/// Where clients write down what they see. Clones are the same record.
#[derive(Clone)]
pub(super) struct Recorder {
    began: Instant,
    history: Arc<Mutex<History>>,
    acknowledged: Arc<AtomicU64>,
    closing: Arc<AtomicBool>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { began: now(), history: Arc::default(), acknowledged: Arc::default(), closing: Arc::default() }
    }

    pub(super) fn stamp(&self) -> Stamp {
        u64::try_from(now().duration_since(self.began).as_nanos()).unwrap()
    }

    /// An operation that has just ended.
    pub(super) fn operation(&self, ask: Ask, name: &str, mark: &str, asked: Stamp, answer: Answer) {
        let (name, mark, told) = (name.to_owned(), mark.to_owned(), self.stamp());
        let operation = Operation { ask, name, mark, asked, told, answer };
        self.acknowledged.fetch_add(operation.is_acknowledged().into(), Ordering::Relaxed);
        self.history.lock().unwrap().operations.push(operation);
    }

    /// A place for what one more watcher hears.
    pub(super) fn watcher(&self) -> usize {
        let watchers = &mut self.history.lock().unwrap().watchers;
        watchers.push(Vec::new());
        watchers.len() - 1
    }

    pub(super) fn heard(&self, watcher: usize, heard: Heard) {
        let told = self.stamp();
        self.history.lock().unwrap().watchers[watcher].push((told, heard));
    }

    /// So many writes were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// From now on there are no more writes to wait for.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// The testimony so far.
    pub(super) fn history(&self) -> History {
        self.history.lock().unwrap().clone()
    }
}

impl Sight {
    pub(super) fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        Self {
            name: text(&metadata["name"]),
            uid: text(&metadata["uid"]),
            revision: revision(metadata),
            marks: [text(&object["spec"]["mark"]), text(&object["status"]["mark"])],
            digest: digest(object),
        }
    }
}

/// `resourceVersion` of an object or a list.
pub(super) fn revision(metadata: &Value) -> Revision {
    let text = metadata["resourceVersion"].as_str().expect("an object or list without a revision");
    text.parse().expect("a revision that is no number")
}

fn digest(object: &Value) -> u64 {
    let mut object = object.clone();
    object["metadata"]["resourceVersion"].take();
    let mut hasher = DefaultHasher::new();
    object.to_string().hash(&mut hasher);
    hasher.finish()
}
