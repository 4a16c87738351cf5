//! What kube-rs expects of a server: the tests that its published crates carry for a cluster, unmodified, against the API alone.
//!
//! The sources are those that our own build is made from, in the versions of `Cargo.lock`. They are copied, and compiled in a workspace in
//! `target/clients`, where the build stays warm; dependencies that only the tests have are the newest that fit. Publishing drops dependencies
//! without a version, and with them that of the tests on `kube`: the copied manifests get it back, and differ in nothing else.
//!
//! A test for a cluster is one that kube-rs ignores without one. All of them run but those in [`LEFT_OUT`], so that one that a later version
//! brings runs without being named here. The crates `kube-core` and `kube-derive` have none. Behind features that stay off are tests that
//! need pods or a Service too: of `kubelet-debug`, `openssl-tls` and `unstable-client`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::MetadataCommand;

use crate::{
    clients::{bounded, installed, kept, succeed},
    fixture::{api_alone, root},
};

/// A cold build takes two minutes of two processors, and what it needs may come over a slow line.
const BUILD_SECONDS: u32 = 1800;
/// They end within a second.
const RUN_SECONDS: u32 = 90;

/// The copied packages, with the features of `kube` that their tests ask for.
const PACKAGES: [(&str, Option<&str>); 3] = [
    ("kube", None),
    ("kube-client", Some(r#"["derive", "client", "ws"]"#)),
    ("kube-runtime", Some(r#"["derive", "client", "runtime"]"#)),
];

/// Makes the three depend on each other's copies.
const WORKSPACE: &str = r#"
[workspace]
resolver = "3"
members = ["kube", "kube-client", "kube-runtime"]

[patch.crates-io]
kube = { path = "kube" }
kube-client = { path = "kube-client" }
kube-runtime = { path = "kube-runtime" }

[profile.dev]
debug = false
incremental = false
"#;

/// Tests that need what this platform does not have, or need no server, each with what it is.
const LEFT_OUT: [(&str, &str); 17] = [
    ("test::custom_serialized_objects_are_queryable_and_iterable", "lists pods"),
    ("test::pod_can_await_conditions", "runs a pod"),
    ("test::pod_can_use_core_apis", "runs a pod"),
    ("test::pod_can_exec_and_write_to_stdin", "runs a pod, and a program in it"),
    ("test::can_get_pod_logs_and_evict", "runs a pod, reads its log, evicts it"),
    ("test::can_operate_on_pod_metadata", "creates a pod"),
    ("test::can_operate_on_ephemeral_containers", "creates a pod with ephemeral containers"),
    ("test::aggregated_discovery_core", "wants pods among the kinds"),
    ("test::aggregated_discovery_apis", "wants deployments among the kinds"),
    ("test::discovery_run_aggregated", "wants pods and deployments among the kinds"),
    ("test::csr_can_be_approved", "creates a CertificateSigningRequest"),
    ("api::util::test::node_cordon_and_uncordon_works", "creates a node"),
    ("events::test::event_recorder_attaches_events", "reads the Service `kubernetes`"),
    ("events::test::event_recorder_attaches_events_without_namespace", "reads the ComponentStatus of the scheduler"),
    ("client::auth::test::exec_auth_command", "asks no server"),
    ("client::auth::test::exec_token_refresh_via_to_header", "asks no server"),
    ("client::auth::test::exec_token_refresh_does_not_block_runtime", "asks no server, and measures time"),
];

/// One test discovers the group of the APIService and lists that kind; any server may have it by a definition.
const API_SERVICE: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: apiservices.apiregistration.k8s.io
  annotations: {api-approved.kubernetes.io: "unapproved, stands in for the built-in kind"}
spec:
  group: apiregistration.k8s.io
  names: {kind: APIService, plural: apiservices}
  scope: Cluster
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"#;

#[test]
fn the_tests_of_kube_rs_pass() {
    let sources = sources();
    succeed(cargo_test(BUILD_SECONDS, &sources).arg("--no-run"));
    let listed = succeed(cargo_test(RUN_SECONDS, &sources).args(["--", "--ignored", "--list"]));
    let mut chosen: BTreeSet<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    for (name, _) in LEFT_OUT {
        assert!(chosen.remove(name), "kube-rs no longer has the test {name}");
    }

    let folder = tempfile::tempdir().unwrap();
    let essaim = api_alone(folder.path());
    essaim.apply(API_SERVICE).unwrap();
    let definition = "crd/apiservices.apiregistration.k8s.io";
    essaim.kubectl(&["wait", "--for=condition=Established", definition, "--timeout=60s"]).unwrap();
    let mut tests = cargo_test(RUN_SECONDS, &sources);
    tests.args(["--no-fail-fast", "--", "--ignored", "--exact"]).args(&chosen);
    tests.env("KUBECONFIG", essaim.kubeconfig()).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let said = succeed(&mut tests);
    for closing in said.lines().filter(|line| line.starts_with("test result: ")) {
        println!("{closing}");
    }
    assert!(!chosen.is_empty());
    for name in chosen {
        assert!(said.contains(&format!("test {name} ... ok\n")), "{name} did not run:\n{said}");
    }
}

/// `cargo test` of the copied packages, still to be told what to do with the tests.
fn cargo_test(seconds: u32, sources: &Path) -> Command {
    let mut command = bounded(seconds, Path::new("cargo"));
    command.args(["test", "--workspace", "--lib", "--features", "kube/derive,kube/runtime", "--target-dir"]);
    // Beside the sources: these are made anew when `Cargo.lock` changes, and most of the build stays good.
    command.arg(installed().join("kube-rs-target")).current_dir(sources);
    command
}

/// The workspace around the published sources.
fn sources() -> PathBuf {
    let lock = root().join("Cargo.lock");
    let wanted = format!("{PACKAGES:?}\n{WORKSPACE}\n{}", fs::read_to_string(&lock).unwrap());
    kept("kube-rs", "Cargo.toml", &wanted, |folder| {
        let mut metadata = MetadataCommand::new();
        metadata.manifest_path(root().join("Cargo.toml")).other_options(["--locked".to_owned()]);
        let metadata = metadata.exec().unwrap();
        fs::create_dir(folder).unwrap();
        for (name, features) in PACKAGES {
            let published = metadata.packages.iter().find(|package| package.name.as_str() == name).unwrap();
            let copied = folder.join(name);
            let from = published.manifest_path.parent().unwrap();
            // With their times: Cargo sees by them that nothing is to be compiled anew.
            succeed(bounded(RUN_SECONDS, Path::new("cp")).arg("--archive").arg(from).arg(&copied));
            let Some(features) = features else { continue };
            let manifest = copied.join("Cargo.toml");
            let text = fs::read_to_string(&manifest).unwrap();
            let dependency = format!("\n[dev-dependencies.kube]\npath = \"../kube\"\nfeatures = {features}\n");
            fs::write(&manifest, text + &dependency).unwrap();
        }
        fs::write(folder.join("Cargo.toml"), WORKSPACE).unwrap();
        fs::copy(&lock, folder.join("Cargo.lock")).unwrap();
    })
}
