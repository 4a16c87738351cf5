//! The power goes in the middle of a commit, at any byte; or the disk refuses to sync. The server is in this process, its file a drive in memory.

use std::{net::TcpListener, sync::Arc};

use essaim_apiserver::{ApiServer, Options, StaticToken, Tls, UserInfo, tls};
use essaim_store::{Embedded, FaultyDrive, Retention};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};
use tokio_util::sync::CancellationToken;
use xtask::platform;

use super::{Random, client::Door, herd::Herd, history::Heard, let_alice, report, writer::spark};
use crate::fixture::{now, soak, wait_until};

/// In the bounded form about so many cuts lie somewhere in a commit, which has about so many bytes.
const SPREAD: u64 = 40;
const COMMIT: u64 = 34_000;
/// The log of the server, so short that who dozes is told that the past is gone; and how many writes the dozer sleeps through.
const LOG: usize = 400;
const DOZE: u64 = 450;

#[test]
fn power_cut_at_any_byte_of_a_commit_leaves_all_of_it_or_nothing() {
    let mut machine = Machine::new();
    machine.switch_on();
    let (herd, began) = (Herd::start(machine.door(), 0), now());
    let mut writer = herd.writer();
    for name in ["cut", "other"] {
        herd.run(writer.create(name)).unwrap().unwrap();
    }
    let (mut cuts, mut at, mut random) = (0, 0, Random::new(7));
    loop {
        machine.drive.cut_after_bytes(Some(at));
        let acknowledged = herd.run(writer.put("cut")).is_ok_and(|revision| revision.is_some());
        assert_eq!(
            acknowledged,
            !machine.drive.is_cut(),
            "cut at byte {at}: acknowledged is what is on disk, and nothing else"
        );
        if acknowledged {
            machine.drive.cut_after_bytes(None);
            break;
        }
        // Of what was not acknowledged nobody may learn.
        assert!(herd.run(writer.get("cut")).unwrap(), "reads need no disk");
        machine.switch_off();
        let broken = machine.drive.clone();
        machine.drive = broken.after_cut();
        machine.switch_on();
        wait_until("an answer", || herd.run(writer.get("cut")).ok().filter(|answered| *answered));
        herd.run(writer.list(0)).unwrap();
        cuts += 1;
        // In the full form every byte that makes a difference.
        let spared = u64::try_from(broken.spared()).unwrap();
        at += usize::try_from(soak(1 + random.below(2 * COMMIT / SPREAD), 1 + spared)).unwrap();
    }
    assert!(cuts >= SPREAD / 4, "only {cuts} cuts: a commit became much shorter");
    report("cuts of the power in a commit", cuts, began, &herd.judge());
}

#[test]
fn refused_sync_ends_acknowledgement_and_readiness_until_the_next_start() {
    let mut machine = Machine::new();
    machine.switch_on();
    let (mut herd, began) = (Herd::start(machine.door(), 8), now());
    herd.add_dozer(DOZE);
    let mut writer = herd.writer();
    herd.run(writer.create("before")).unwrap().unwrap();
    let failures = soak(3, 20);
    for round in 0..failures {
        herd.wait_for_writes(DOZE);
        machine.drive.fail_after_syncs(Some(0));
        wait_until("a write to fail", || {
            (!matches!(herd.run(writer.create(&format!("probe-{round}"))), Ok(Some(_)))).then_some(())
        });
        let failed = herd.stamp();
        // A disk that works again does not make known what is on it.
        machine.drive.fail_after_syncs(None);
        assert_eq!(ready(&herd), (500, 500), "neither ready as a whole nor in its store");
        assert!(!matches!(herd.run(writer.create("after")), Ok(Some(_))), "nothing is acknowledged any more");
        assert!(herd.run(writer.get("before")).unwrap(), "reads go on");
        let acknowledged =
            herd.history().operations.into_iter().find(|one| one.asked > failed && one.is_acknowledged());
        assert!(acknowledged.is_none(), "not to others either: {acknowledged:?}");
        machine.switch_off();
        machine.drive = machine.drive.after_power_loss(round + 1);
        machine.switch_on();
        assert_eq!(ready(&herd), (200, 200));
    }
    let history = herd.judge();
    report("refused syncs", failures, began, &history);
    let expired = history.watchers.iter().flatten().filter(|(_, heard)| matches!(heard, Heard::Expired)).count();
    assert!(expired > 0, "the dozer was never told that the past is gone");
}

/// An API server on a drive, with the address and the certificates that it always has.
struct Machine {
    drive: FaultyDrive,
    folder: TempDir,
    address: String,
    runtime: Runtime,
    running: Option<Running>,
}

struct Running {
    server: Arc<ApiServer>,
    store: Arc<Embedded>,
    serving: JoinSet<()>,
}

impl Machine {
    fn new() -> Self {
        // The port is free again when this is over; the server listens on it from then on.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
        let machine = Self { drive: FaultyDrive::default(), folder, address, runtime, running: None };
        machine.certificates();
        machine
    }

    fn door(&self) -> Door {
        Door::new(&[&self.address], &self.folder.path().join("tls/ca.crt"), &platform::token("alice"))
    }

    fn certificates(&self) -> Tls {
        let endpoint = tls::Endpoint { names: vec![], url: format!("https://{}", self.address) };
        tls::ensure(self.folder.path(), &endpoint, wall_clock()).unwrap()
    }

    fn switch_on(&mut self) {
        let tls = self.certificates();
        let retention = Retention { events: LOG, ..Retention::default() };
        let options = essaim_store::Options { retention, ..essaim_store::Options::default() };
        let store = Embedded::open_on(&self.drive, options).unwrap();
        let mut options = Options::new(Arc::new(wall_clock));
        let token_sha256 = Sha256::digest(platform::token("alice")).into();
        options.tokens = vec![StaticToken { token_sha256, user: UserInfo::new("alice", Vec::<String>::new()) }];
        options.bootstrap_manifests = vec![spark(), let_alice()];
        self.running = Some(self.runtime.block_on(async {
            let server = Arc::new(ApiServer::start(store.clone(), options).await.unwrap());
            let listener = tokio::net::TcpListener::bind(&self.address).await.unwrap();
            let mut serving = JoinSet::new();
            let served = server.clone();
            serving.spawn(async move { served.serve(listener, tls, CancellationToken::new()).await.unwrap() });
            Running { server, store, serving }
        }));
    }

    /// As the power does it: connections break, and nothing more is written.
    fn switch_off(&mut self) {
        let Running { server, store, mut serving } = self.running.take().unwrap();
        self.runtime.block_on(serving.shutdown());
        drop(server);
        store.close();
    }
}

/// What `/readyz` says, and `/readyz/store`.
fn ready(herd: &Herd) -> (u16, u16) {
    let mut client = herd.client();
    ["/readyz", "/readyz/store"].map(|path| herd.run(client.ask("GET", path, None)).unwrap().0).into()
}

#[expect(clippy::disallowed_methods, reason = "a server that runs in real time")]
fn wall_clock() -> Timestamp {
    Timestamp::now()
}
