//! Two processes on an etcd of three members, which are killed, unplugged and parted from each other, as are the processes.

use std::path::Path;

use xtask::{etcd::Cluster, platform, platform::Platform};

use super::{Random, client::Door, herd::Herd, prepare, report};
use crate::{
    fixture::{api_with, now, soak, wait_until},
    several::share,
};

/// Every kind of blow once in the bounded form.
const BLOWS: u64 = 6;

#[test]
fn killed_and_parted_members_of_etcd_make_nobody_a_liar() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(&folder.path().join("etcd")).unwrap();
    let mut servers = start(&cluster, folder.path());
    let addresses = servers.each_ref().map(|server| server.api().to_owned());
    let addresses = addresses.each_ref().map(String::as_str);
    let door = Door::new(&addresses, &servers[0].certificate_authority(), &platform::token("alice"));
    let herd = Herd::start(door, 8);
    let (mut random, began) = (Random::new(200), now());
    let blows = soak(BLOWS, 60);
    for blow in 0..blows {
        herd.wait_for_writes(1 + random.below(100));
        let member = usize::try_from(random.below(3)).unwrap();
        strike(blow % BLOWS, member, &mut cluster, &mut servers[usize::try_from(blow % 2).unwrap()], &herd);
        // It goes on by itself, with a leader.
        herd.wait_for_writes(50);
        wait_until("a leader", || cluster.leader());
    }
    report("blows to etcd and its processes", blows, began, &herd.judge());
}

/// Two processes as one API, which ask different members first.
fn start(cluster: &Cluster, folder: &Path) -> [Platform; 2] {
    let arguments =
        |first| ["--store".to_owned(), format!("etcd={}", cluster.addresses(first)), "--roles".into(), "api".into()];
    let start = |number: usize| {
        let arguments = arguments(number);
        api_with(&folder.join(number.to_string()), &arguments.each_ref().map(String::as_str))
    };
    let first = start(0);
    share(&folder.join("0"), &folder.join("1"));
    prepare(&first);
    [first, start(1)]
}

/// One blow, and its end.
fn strike(kind: u64, member: usize, cluster: &mut Cluster, server: &mut Platform, herd: &Herd) {
    match kind {
        0 => {
            cluster.kill(member);
            herd.wait_for_writes(50);
            cluster.launch(member).unwrap();
        }
        1 => {
            cluster.plug(member, false).unwrap();
            herd.wait_for_writes(50);
            cluster.plug(member, true).unwrap();
        }
        // The leader does not notice at once that the others have another one, and is still asked.
        2 => {
            let leader = wait_until("a leader", || cluster.leader());
            cluster.isolate(leader, true).unwrap();
            herd.wait_for_writes(50);
            cluster.isolate(leader, false).unwrap();
        }
        3 => {
            let others = [(member + 1) % Cluster::MEMBERS, (member + 2) % Cluster::MEMBERS];
            for other in &others {
                cluster.kill(*other);
            }
            nothing_is_answered(herd);
            for other in &others {
                cluster.launch(*other).unwrap();
            }
        }
        4 => {
            server.kill();
            server.launch(&[]).unwrap();
        }
        // No two members reach each other, but the processes reach them all.
        _ => {
            cluster.scatter(true).unwrap();
            nothing_is_answered(herd);
            cluster.scatter(false).unwrap();
        }
    }
}

/// Without a majority nobody knows what is true now: reads and writes fail, or wait.
fn nothing_is_answered(herd: &Herd) {
    let mut writer = herd.writer();
    // A leader that lost the others may know it only after a while, and what was under way may come to its end.
    wait_until("writes to fail", || {
        let written = herd.run(writer.create("without-majority"));
        (!matches!(written, Ok(Some(_)))).then_some(())
    });
    let failed = herd.stamp();
    for _ in 0..3 {
        assert!(!herd.run(writer.get("without-majority")).unwrap_or(false), "a read was answered without a majority");
    }
    let acknowledged = herd.history().operations.into_iter().find(|one| one.asked > failed && one.is_acknowledged());
    assert!(acknowledged.is_none(), "acknowledged without a majority: {acknowledged:?}");
}
