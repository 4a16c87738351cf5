//! Several processes on one etcd: each sees at once what the others acknowledged, one acts, and any may die.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use xtask::{etcd::Etcd, platform::Platform};

use crate::fixture::{api_with, wait_until};

/// What the processes of one site have in common; everything else each makes for itself.
const SHARED: [&str; 4] = ["sealing.keys", "tls/ca.crt", "tls/ca.key", "tls/service-account.key"];

#[test]
fn processes_on_one_etcd_are_one_api_with_one_acting_controller() {
    let folder = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(&folder.path().join("etcd")).unwrap();
    let store = format!("etcd={}", etcd.address());
    let arguments = ["--store", &store, "--roles", "api,controllers"];
    let mut first = api_with(&folder.path().join("first"), &arguments);
    share(&folder.path().join("first"), &folder.path().join("second"));
    let second = api_with(&folder.path().join("second"), &arguments);

    for number in 0..10 {
        let name = format!("n{number}");
        let (writer, reader) = if number % 2 == 0 { (&first, &second) } else { (&second, &first) };
        writer.kubectl(&["create", "configmap", &name, "--from-literal=a=b"]).unwrap();
        reader.kubectl(&["get", "configmap", &name]).unwrap();
    }
    first.kubectl(&["create", "secret", "generic", "s", "--from-literal=word=plain-as-day"]).unwrap();
    let read = second.kubectl(&["get", "secret", "s", "-o", "jsonpath={.data.word}"]).unwrap();
    assert_eq!(read, "cGxhaW4tYXMtZGF5");

    let leader = wait_until("a leader", || holder(&second));
    first.kill();
    second.kubectl(&["create", "configmap", "later", "--from-literal=a=b"]).unwrap();
    // The first to come led; with it gone its lease runs out, and the other takes it.
    let next = wait_until("the next leader", || holder(&second).filter(|holder| *holder != leader));
    first.launch(&[]).unwrap();
    first.wait_until_ready().unwrap();
    first.kubectl(&["get", "configmap", "later"]).unwrap();
    assert_eq!(holder(&first), Some(next), "whoever comes back waits for its turn");
}

/// Copies what the processes have in common, as an administrator does.
pub(crate) fn share(from: &Path, to: &Path) {
    let (from, to) = (from.join("data"), to.join("data"));
    fs::create_dir_all(to.join("tls")).unwrap();
    for directory in [to.clone(), to.join("tls")] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    for file in SHARED {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

fn holder(platform: &Platform) -> Option<String> {
    let lease = platform.kubectl_json(&["get", "lease", "essaim-controllers", "-n", "essaim-system"]).ok()?;
    lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()).map(str::to_owned)
}
