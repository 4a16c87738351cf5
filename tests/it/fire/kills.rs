//! One process on its own file, killed at any moment and started again, also in the middle of its start.

use std::{path::Path, time::Duration};

use xtask::platform::{self, Platform};

use super::{Random, client::Door, herd::Herd, prepare, report};
use crate::fixture::{api_with, now, soak};

/// Every so many restarts is a clean one.
const CLEAN: u64 = 5;

#[test]
fn killed_again_and_again_the_server_keeps_its_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path());
    let door = Door::new(&[server.api()], &server.certificate_authority(), &platform::token("alice"));
    let herd = Herd::start(door, 8);
    let (mut random, began) = (Random::new(100), now());
    let kills = soak(12, 200);
    for round in 1..=kills {
        herd.wait_for_writes(1 + random.below(150));
        server.kill();
        server.launch(&[]).unwrap();
        if round.is_multiple_of(3) {
            // Some do not get far.
            std::thread::sleep(Duration::from_millis(random.below(700)));
            server.kill();
            server.launch(&[]).unwrap();
        }
        if round.is_multiple_of(CLEAN) {
            herd.wait_for_writes(1 + random.below(150));
            server.stop().unwrap();
            server.launch(&[]).unwrap();
        }
    }
    report("kills of the process", kills, began, &herd.judge());
}

fn start(folder: &Path) -> Platform {
    let server = api_with(folder, &["--roles", "api"]);
    prepare(&server);
    server
}
