//! A backup of a platform that is written to, and a new platform that is made from it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use xtask::{etcd::Etcd, platform::Platform};

use crate::fixture::{api_alone, api_with, binary, wait_until};

/// What belongs beside a store and is in no backup.
const APART: [&str; 4] = ["sealing.keys", "tls/ca.crt", "tls/ca.key", "tls/service-account.key"];

const OBJECTS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: stones.quarry.test}
spec:
  group: quarry.test
  scope: Namespaced
  names: {plural: stones, singular: stone, kind: Stone}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Secret
metadata: {name: word, namespace: default}
stringData: {word: plain-as-day}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kept, namespace: default, labels: {tier: front}}
data: {a: b}
";

const STONE: &str =
    "{apiVersion: quarry.test/v1, kind: Stone, metadata: {name: marble, namespace: default}, weight: 7}";
/// In the order in which they are compared.
const KEPT: [&str; 4] = ["secret/word", "configmap/kept", "stone/marble", "crd/stones.quarry.test"];

/// A platform with some objects, and the backup that was taken of it while it was written to.
struct Saved {
    folder: tempfile::TempDir,
    platform: Platform,
    file: PathBuf,
    objects: Vec<Value>,
    revision: String,
    token: String,
}

fn saved() -> Saved {
    let folder = tempfile::tempdir().unwrap();
    let platform = api_alone(&folder.path().join("first"));
    platform.apply(OBJECTS).unwrap();
    wait_until("the definition is served", || platform.apply(STONE).ok());
    platform.kubectl(&["apply", "--server-side", "-f", &manifest(folder.path(), "stone", STONE)]).unwrap();
    let objects = KEPT.map(|name| get(&platform, name)).to_vec();
    let page = platform.kubectl(&["get", "--raw", "/api/v1/namespaces?limit=1"]).unwrap();
    let page: Value = serde_json::from_str(&page).unwrap();
    let text = |field: &str| page["metadata"][field].as_str().unwrap().to_owned();
    let (revision, token) = (text("resourceVersion"), text("continue"));

    let many: Vec<String> = (0..300)
        .map(|n| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: w{n:03}, namespace: default}}}}"))
        .collect();
    let many = manifest(folder.path(), "many", &many.join("\n---\n"));
    let mut writer = platform.kubectl_in_background(&["create", "-f", &many]).unwrap();
    wait_until("the first write", || platform.kubectl(&["get", "configmap", "w005"]).ok());
    let file = folder.path().join("essaim.backup");
    let (said, code) = platform.essaim(&["backup", "--output", file.to_str().unwrap()]).unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("revision ") && said.contains(" objects, "), "{said}");
    let running = writer.try_wait().unwrap().is_none();
    assert!(writer.wait().unwrap().success());
    assert!(running, "the backup was taken while somebody wrote");
    Saved { folder, platform, file, objects, revision, token }
}

fn manifest(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(format!("{name}.yaml"));
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// All of an object but its revision.
fn get(platform: &Platform, name: &str) -> Value {
    let mut object = platform.kubectl_json(&["get", name, "--show-managed-fields"]).unwrap();
    object["metadata"].as_object_mut().unwrap().remove("resourceVersion").unwrap();
    object
}

/// `essaim restore`: what it said, and whether it worked.
fn restore(arguments: &[&str]) -> (String, bool) {
    let output = Command::new(binary()).arg("restore").args(arguments).env_remove("KUBECONFIG").output().unwrap();
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.success())
}

/// Copies what is kept apart, as an administrator does.
fn copy_apart(from: &Path, to: &Path) {
    let (from, to) = (from.join("data"), to.join("data"));
    fs::create_dir_all(to.join("tls")).unwrap();
    for directory in [to.clone(), to.join("tls")] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    for file in APART {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// The objects are there, and those that were being written as far as they were.
fn assert_restored(platform: &Platform, saved: &Saved) {
    for (name, before) in KEPT.iter().zip(&saved.objects) {
        assert_eq!(get(platform, name), *before, "{name}");
    }
    let names = platform.kubectl(&["get", "configmap", "-n", "default", "-o", "name"]).unwrap();
    let mut written: Vec<&str> = names.lines().filter_map(|line| line.strip_prefix("configmap/w")).collect();
    written.sort_unstable();
    let expected: Vec<String> = (0..written.len()).map(|n| format!("{n:03}")).collect();
    assert!(written.len() > 5, "{} of them were there before the backup", written.len());
    assert_eq!(written, expected, "one moment: nothing that came later is there without what came before");
}

/// What clients remember of the platform before is answered with 410 or 409.
fn assert_forgotten(platform: &Platform, saved: &Saved) {
    let watch = format!("/api/v1/configmaps?watch=1&timeoutSeconds=5&resourceVersion={}", saved.revision);
    let event: Value = serde_json::from_str(&platform.kubectl(&["get", "--raw", &watch]).unwrap()).unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&"ERROR".into(), &410.into()), "{event}");
    let next = format!("/api/v1/namespaces?limit=1&continue={}", saved.token);
    let refused = platform.kubectl(&["get", "--raw", &next]).unwrap_err();
    assert!(refused.to_string().contains("continue parameter is too old"), "{refused}");
    let mut late = platform.kubectl_json(&["get", "configmap", "kept"]).unwrap();
    assert!(late["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 1_000_000_000_000);
    late["metadata"]["resourceVersion"] = saved.revision.clone().into();
    let late = manifest(saved.folder.path(), "late", &late.to_string());
    let refused = platform.kubectl(&["replace", "-f", &late]).unwrap_err();
    assert!(refused.to_string().contains("the object has been modified"), "{refused}");
}

#[test]
fn a_platform_is_restored_from_a_backup_that_was_taken_while_it_was_written_to() {
    let mut saved = saved();
    let text = String::from_utf8_lossy(&fs::read(&saved.file).unwrap()).into_owned();
    assert!(text.contains("marble") && !text.contains("cGxhaW4tYXMtZGF5"), "Secrets are sealed in it");
    saved.platform.stop().unwrap();
    let (file, second) = (saved.file.to_str().unwrap(), saved.folder.path().join("second"));
    let data = second.join("data");
    let data_dir = ["--data-dir", data.to_str().unwrap()];

    let (said, worked) = restore(&[file, "--check"]);
    assert!(worked && said.starts_with("the backup is whole: revision "), "{said}");
    let (said, worked) = restore(&[&[file][..], &data_dir].concat());
    assert!(!worked && said.contains("sealing.keys does not open the Secrets of this backup"), "no keys: {said}");
    assert!(!data.exists(), "and nothing was made");
    copy_apart(&saved.folder.path().join("first"), &second);
    let keys = fs::read(data.join("sealing.keys")).unwrap();
    fs::write(data.join("sealing.keys"), format!("{}\n", "ab".repeat(32))).unwrap();
    let (said, worked) = restore(&[&[file][..], &data_dir].concat());
    assert!(!worked && said.contains("which this process does not have"), "other keys: {said}");
    assert!(!data.join("store.redb").exists());

    fs::write(data.join("sealing.keys"), keys).unwrap();
    let (said, worked) = restore(&[&[file][..], &data_dir].concat());
    assert!(worked && said.starts_with("restored revision ") && !said.contains("note:"), "{said}");
    let (said, worked) = restore(&[&[file][..], &data_dir].concat());
    assert!(!worked && said.contains("is there already"), "a second time: {said}");
    let platform = api_alone(&second);
    assert_restored(&platform, &saved);
    assert_forgotten(&platform, &saved);
    platform.apply(STONE).unwrap();
    platform.kubectl(&["create", "configmap", "after", "--from-literal=a=b"]).unwrap();
    let (said, code) = platform.essaim(&["backup", "--output", file]).unwrap();
    assert_eq!(code, Some(0), "a backup of what was restored: {said}");
}

#[test]
fn a_platform_is_restored_into_an_etcd_that_is_younger_than_it() {
    let saved = saved();
    let etcd = Etcd::start(&saved.folder.path().join("etcd")).unwrap();
    let store = format!("etcd={}", etcd.address());
    let second = saved.folder.path().join("second");
    copy_apart(&saved.folder.path().join("first"), &second);
    let data = second.join("data");
    let arguments = [saved.file.to_str().unwrap(), "--data-dir", data.to_str().unwrap(), "--store", &store];
    let (said, worked) = restore(&arguments);
    assert!(worked, "{said}");
    let (said, worked) = restore(&arguments);
    assert!(!worked && said.contains("is there already"), "a second time: {said}");
    let platform = api_with(&second, &["--store", &store]);
    assert_restored(&platform, &saved);
    assert_forgotten(&platform, &saved);
}

#[test]
fn only_who_may_gets_a_backup_and_a_broken_one_is_refused() {
    let saved = saved();
    let platform = &saved.platform;
    let kubeconfig = platform.user_kubeconfig("alice").unwrap();
    let target = saved.folder.path().join("hers.backup");
    let take = || {
        let mut command = Command::new(binary());
        command.args(["backup", "--output", target.to_str().unwrap(), "--kubeconfig", kubeconfig.to_str().unwrap()]);
        let output = command.env_remove("KUBECONFIG").output().unwrap();
        (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.success())
    };
    let (said, worked) = take();
    assert!(!worked && said.contains("forbidden"), "{said}");
    assert!(!target.exists());
    platform
        .kubectl(&["create", "clusterrolebinding", "backups", "--clusterrole=essaim-backup", "--user=alice"])
        .unwrap();
    let (said, worked) = take();
    assert!(worked, "{said}");
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = fs::read(&target).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 4;
    for (wrong, what) in [(&changed[..], "damaged"), (&whole[..whole.len() - 1], "cut short"), (b"else", "no backup")] {
        fs::write(&target, wrong).unwrap();
        let (said, worked) = restore(&[target.to_str().unwrap(), "--check"]);
        assert!(!worked && said.contains(what), "{said}");
    }
}
