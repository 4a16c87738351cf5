//! Clients that watch, and go on where they were whenever they are cut off.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    Random,
    client::{Client, Trouble},
    history::{Heard, Kind, Recorder, Revision, Sight, revision},
    writer::SPARKS,
};

/// Between two attempts while nobody answers.
const PAUSE: Duration = Duration::from_millis(10);
/// A watch asks for at most so many seconds, and so gets a bookmark when they are over.
const LONGEST: u64 = 6;
/// Without a sign for so long after that, the connection is dead.
const SILENCE: Duration = Duration::from_secs(20);

/// One client.
pub(super) struct Watcher {
    client: Client,
    recorder: Recorder,
    random: Random,
    /// Its place in the record.
    place: usize,
    /// Where it is; nothing when it has to list.
    position: Option<Revision>,
    /// Half of all get their lists as the beginning of a watch: here is what came of it so far.
    streams: bool,
    initial: Option<Vec<Sight>>,
    /// Between two watches it sleeps through so many writes.
    doze: u64,
}

impl Watcher {
    pub(super) fn new(number: usize, client: Client, recorder: Recorder) -> Self {
        let place = recorder.watcher();
        let (random, streams) = (Random::new(number), number % 2 == 1);
        Self { client, recorder, random, place, position: None, streams, initial: None, doze: 0 }
    }

    /// Sleeps through so many writes between two watches, so that what it asks for may be gone.
    pub(super) fn dozing(mut self, writes: u64) -> Self {
        self.doze = writes;
        self
    }

    /// Works until it is over.
    pub(super) async fn run(mut self, mut over: watch::Receiver<bool>) {
        let watching = async {
            loop {
                let outcome = match self.position {
                    Some(from) => {
                        self.sleep().await;
                        self.watch(from).await
                    }
                    None if self.streams => self.stream().await,
                    None => self.list().await,
                };
                self.client.hang_up();
                if outcome.is_err() {
                    sleep(PAUSE).await;
                }
            }
        };
        tokio::select! {
            () = watching => {}
            _ = over.wait_for(|over| *over) => {}
        }
    }

    async fn sleep(&self) {
        let end = self.recorder.acknowledged() + self.doze;
        while self.recorder.acknowledged() < end && !self.recorder.is_closing() {
            sleep(PAUSE).await;
        }
    }

    async fn list(&mut self) -> Result<(), Trouble> {
        let (200, list) = self.client.ask("GET", SPARKS, None).await? else { return Err(Trouble::Lost) };
        let items = list["items"].as_array().unwrap().iter().map(Sight::of).collect();
        self.hear(Heard::Listed(revision(&list["metadata"]), items));
        Ok(())
    }

    /// The same in one stream with what comes then.
    async fn stream(&mut self) -> Result<(), Trouble> {
        let begin = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        let query = format!("watch=true&allowWatchBookmarks=true&{begin}&timeoutSeconds={LONGEST}");
        let (200, body) = self.client.open(&format!("{SPARKS}?{query}")).await? else { return Err(Trouble::Lost) };
        self.initial = Some(Vec::new());
        let outcome = self.listen(body).await;
        self.initial = None;
        outcome
    }

    /// Watches until the stream ends, however it does.
    async fn watch(&mut self, from: Revision) -> Result<(), Trouble> {
        let seconds = 1 + self.random.below(LONGEST);
        let query = format!("watch=true&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds={seconds}");
        let (status, body) = self.client.open(&format!("{SPARKS}?{query}")).await?;
        match status {
            200 => {
                self.hear(Heard::Resumed(from));
                self.listen(body).await
            }
            410 => {
                self.hear(Heard::Expired);
                Ok(())
            }
            // Not ready, too much to do, or another process that is not there yet.
            _ => Err(Trouble::Lost),
        }
    }

    async fn listen(&mut self, mut body: Incoming) -> Result<(), Trouble> {
        let mut text = Vec::new();
        while let Some(frame) = timeout(SILENCE, body.frame()).await.map_err(|_| Trouble::Lost)? {
            let frame = frame.map_err(|_| Trouble::Lost)?;
            text.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                self.line(&serde_json::from_slice(&line).unwrap())?;
            }
        }
        Ok(())
    }

    fn line(&mut self, event: &Value) -> Result<(), Trouble> {
        let object = &event["object"];
        if let Some(items) = &mut self.initial {
            match event["type"].as_str().unwrap() {
                "ADDED" => items.push(Sight::of(object)),
                "BOOKMARK" => {
                    let items = self.initial.take().unwrap();
                    self.hear(Heard::Listed(revision(&object["metadata"]), items));
                }
                _ => return Err(Trouble::Lost),
            }
            return Ok(());
        }
        let heard = match event["type"].as_str().unwrap() {
            "ADDED" => Heard::Event(Kind::Added, Sight::of(object)),
            "MODIFIED" => Heard::Event(Kind::Modified, Sight::of(object)),
            "DELETED" => Heard::Event(Kind::Deleted, Sight::of(object)),
            "BOOKMARK" => Heard::Bookmark(revision(&object["metadata"])),
            _ if object["code"] == 410 => Heard::Expired,
            _ => return Err(Trouble::Lost),
        };
        self.hear(heard);
        Ok(())
    }

    fn hear(&mut self, heard: Heard) {
        self.position = match &heard {
            Heard::Listed(revision, _)
            | Heard::Event(_, Sight { revision, .. })
            | Heard::Bookmark(revision)
            | Heard::Resumed(revision) => Some(*revision),
            Heard::Expired => None,
        };
        self.recorder.heard(self.place, heard);
    }
}
