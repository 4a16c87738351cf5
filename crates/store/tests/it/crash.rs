//! A process that is killed while it writes: nothing that it said is gone.

use std::{
    collections::HashMap,
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use essaim_store::{Key, Options, Retention, Revision, Store as _};
use futures::{StreamExt as _, future::join_all};

use crate::{open, put, write};

const DIRECTORY: &str = "ESSAIM_STORE_CRASH_DIRECTORY";
const WRITERS: usize = 16;

#[expect(clippy::disallowed_methods, reason = "a test that runs itself again is told so by its environment")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// A short log, so that kills also fall into its compaction, and the file stays small.
fn options() -> Options {
    Options { retention: Retention { events: 2_000, ..Retention::default() }, ..Options::default() }
}

/// The process that is killed. Run as a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_writes_until_it_is_killed() {
    let Some(directory) = variable(DIRECTORY) else { return };
    let store = open(Path::new(&directory), options());
    let watcher = async {
        let mut watch = store.watch("", store.revision()).unwrap();
        while let Some(batch) = watch.next().await {
            for change in batch.unwrap() {
                say(&format!("seen {} {}", change.revision, change.key.as_str()));
            }
        }
    };
    let writers = join_all((0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        async move {
            for n in 0.. {
                let key = format!("/w{writer}/{}", n % 50);
                let revision = write(&store, vec![put(&key, vec![b'v'; 1_300])]).await;
                say(&format!("acknowledged {revision} {key}"));
            }
        }
    }));
    futures::join!(watcher, writers);
}

/// One line in one write, so that a kill cannot cut it in the middle.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn start_child(directory: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the child said: the newest revision of each key, and the newest revision of all.
#[derive(Default)]
struct Testimony {
    keys: HashMap<String, Revision>,
    newest: Revision,
}

impl Testimony {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let &["acknowledged" | "seen", revision, key] = &words[..] else {
            return; // What the test harness prints.
        };
        let revision = Revision(revision.parse().unwrap());
        let known = self.keys.entry(key.to_owned()).or_default();
        *known = revision.max(*known);
        self.newest = self.newest.max(revision);
    }
}

/// Lets a child write for a while, kills it, and returns everything that it managed to say.
fn write_and_kill(directory: &Path, lifetime: Duration) -> Testimony {
    let mut child = start_child(directory);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut testimony = Testimony::default();
    // The lifetime counts from the first word, so that no kill is wasted on the start of the process.
    while testimony.newest == Revision(0) {
        testimony.hear(&lines.next().expect("the child writes").unwrap());
    }
    let killer = thread::spawn(move || {
        thread::sleep(lifetime);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    lines.map_while(Result::ok).for_each(|line| testimony.hear(&line));
    killer.join().unwrap();
    testimony
}

#[tokio::test]
async fn killed_process_loses_nothing_that_it_acknowledged_or_showed() {
    let kills = if variable("ESSAIM_SOAK").is_some() { 500 } else { 10 };
    let directory = tempfile::tempdir().unwrap();
    for round in 0..kills {
        let lifetime = Duration::from_micros(1_000 + round * 7_919 % 120_000);
        let testimony = write_and_kill(directory.path(), lifetime);

        let store = open(directory.path(), options());
        assert!(store.revision() >= testimony.newest, "round {round}: a revision was seen and is gone");
        for (key, revision) in testimony.keys {
            let record = store.get(&Key::new(key.as_str())).await.unwrap().0;
            assert!(record.is_some_and(|record| record.modified >= revision), "round {round}: {key} at {revision}");
        }
    }
}
