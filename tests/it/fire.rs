//! Consistency under fire: clients write down what they asked and were told while the server is killed, its disk fails, or its etcd is cut
//! to pieces; afterwards their histories must fit together.
//!
//! ```text
//! writers ─┐                    ┌─ story: what happened, as watchers heard it
//!          ├─► history ─► check ┤
//! watchers ┘                    └─ every answer to anybody, against the story
//! ```

mod check;
mod client;
mod cuts;
mod etcd;
mod herd;
mod history;
mod kills;
mod story;
mod watcher;
mod writer;

use std::time::Instant;

use serde_json::{Value, json};
use xtask::platform::Platform;

use self::history::{Answer, History};
use crate::fixture::now;

/// Puts in place what clients need.
fn prepare(server: &Platform) {
    server.apply(&writer::spark().to_string()).unwrap();
    server.apply(&let_alice().to_string()).unwrap();
    server.kubectl(&["wait", "--for=condition=Established", "crd/sparks.fire.test", "--timeout=60s"]).unwrap();
}

/// Lets alice do everything, without being one of those whom limits do not concern.
fn let_alice() -> Value {
    let group = "rbac.authorization.k8s.io";
    json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "fire-alice"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "alice"}],
    })
}

/// Says what was done, for the table in `docs/testing.md`.
#[expect(clippy::print_stdout, reason = "figures for whoever runs the full form")]
fn report(what: &str, count: u64, began: Instant, history: &History) {
    let written = history.operations.iter().filter(|one| one.is_acknowledged()).count();
    let unknown = history.operations.iter().filter(|one| matches!(one.answer, Answer::Unknown)).count();
    let heard: usize = history.watchers.iter().map(Vec::len).sum();
    println!(
        "{count} {what} in {} s: {} requests, {written} writes acknowledged, {unknown} left open, {heard} times heard by {} watchers",
        now().duration_since(began).as_secs(),
        history.operations.len(),
        history.watchers.len(),
    );
}

/// Numbers that a seed repeats: xorshift.
struct Random(u64);

impl Random {
    fn new(seed: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (u64::try_from(seed).unwrap() << 20))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
