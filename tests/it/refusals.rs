//! Bad input: a clear message in the condition or the refusal, and nothing left behind.

use crate::fixture::{Stage, stage, wait_until};

/// What kubectl says when it refuses.
fn refusal(stage: &Stage, manifest: &str) -> String {
    stage.essaim.apply(manifest).expect_err("the manifest was accepted").to_string()
}

fn server(name: &str, spec: &str) -> String {
    Stage::manifest(name, spec)
}

#[test]
fn what_cannot_be_carried_out_says_why_in_its_condition() {
    let stage = stage();
    stage.server("no-class", "{class: nowhere}");
    let words = stage.wait_for("no-class", "Ready", "False", "ClassNotFound");
    assert!(words.contains("\"nowhere\""), "{words}");
    assert_eq!(stage.leftovers("no-class"), Vec::<String>::new());
    stage.delete("no-class");

    stage.server("no-image", "{class: fake, image: absent}");
    let words = stage.wait_for("no-image", "Ready", "False", "ImageUnavailable");
    assert!(words.contains("essaim/no-such-image:testbed"), "{words}");
    stage.delete("no-image");

    stage.server("too-large", "{class: fake, memory: 900Gi}");
    let words = stage.wait_for("too-large", "Ready", "False", "NoMachineFits");
    assert!(words.contains("engine1: has ") && words.contains("900Gi are asked for"), "{words}");
    stage.delete("too-large");

    stage
        .essaim
        .apply(&crate::fixture::FAKE_CLASS.replace("name: fake}", "name: mountless}").replace(
            "  resources:\n",
            "  mounts: [{source: '/no/such/directory/{login}', target: /data}]\n  resources:\n",
        ))
        .unwrap();
    stage.server("no-mount", "{class: mountless}");
    let words = stage.wait_for("no-mount", "Ready", "False", "MountMissing");
    assert!(words.contains("/no/such/directory/alice"), "{words}");
    stage.delete("no-mount");
}

#[test]
fn an_unknown_login_is_refused_with_that_word() {
    let stage = stage();
    stage.essaim.kubectl(&["create", "namespace", "nobody"]).unwrap();
    stage.essaim.apply(&server("lab", "{class: fake}").replace("namespace: alice", "namespace: nobody")).unwrap();
    let words = wait_until("the refusal", || {
        let object = stage.essaim.kubectl_json(&["get", "nbs", "lab", "-n", "nobody"]).unwrap();
        crate::fixture::condition(&object, "Ready").map(|ready| ready["message"].as_str().unwrap().to_owned())
    });
    assert!(words.contains("unknown login"), "{words}");
    stage.essaim.kubectl(&["delete", "namespace", "nobody", "--timeout=60s"]).unwrap();
}

#[test]
fn malformed_manifests_are_refused_with_what_to_change() {
    let stage = stage();
    let long = "a".repeat(80);
    let cases = [
        (server(&long, "{class: fake}"), "longer than the 40 characters that Docker Swarm"),
        (server("Upper", "{class: fake}"), "lowercase RFC 1123"),
        (server("unknown", "{class: fake, memry: 1Gi}"), "unknown field \"spec.memry\""),
        (server("potatoes", "{class: fake, memory: 3 potatoes}"), "spec.memory"),
        (server("token", "{class: fake, env: [{name: JUPYTER_TOKEN, value: x}]}"), "essaim sets the token itself"),
        ("kind: [".to_owned(), "yaml"),
    ];
    for (manifest, words) in cases {
        let said = refusal(&stage, &manifest);
        assert!(
            said.to_lowercase().contains(&words.to_lowercase()),
            "{manifest}\n--- should say {words:?}, says\n{said}"
        );
    }
    assert!(stage.essaim.kubectl(&["get", "nbs", "-A"]).unwrap().is_empty(), "something was made all the same");
}

/// kubectl itself drops all but the last of equal keys, so this one goes to the server as it is.
#[test]
fn a_key_that_stands_twice_is_refused() {
    let stage = stage();
    let path = stage.folder().join("twice.json");
    let text = r#"{"apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServer", "metadata": {"name": "twice"},
        "spec": {"class": "fake", "memory": "64Mi", "memory": "65Mi"}}"#;
    std::fs::write(&path, text).unwrap();
    let url = "/apis/essaim.dev/v1alpha1/namespaces/alice/notebookservers?fieldValidation=Strict";
    let said = stage.essaim.kubectl(&["create", "--raw", url, "-f", path.to_str().unwrap()]).unwrap_err().to_string();
    assert!(said.contains("duplicate field \"spec.memory\""), "{said}");
    assert!(stage.essaim.kubectl(&["get", "nbs", "-A"]).unwrap().is_empty());
}

#[test]
fn a_namespace_that_is_not_the_callers_is_forbidden() {
    let stage = stage();
    wait_until("bob's right in his own namespace", || {
        stage.essaim.kubectl_as("bob", &["get", "nbs", "-n", "bob"]).ok()
    });
    let said = stage.essaim.kubectl_as("bob", &["get", "nbs", "-n", "alice"]).unwrap_err().to_string();
    assert!(said.contains("Forbidden") && said.contains("in the namespace \"alice\""), "{said}");
    let manifest = stage.folder().join("intruder.yaml");
    std::fs::write(&manifest, server("intruder", "{class: fake}")).unwrap();
    let said = stage.essaim.kubectl_as("bob", &["create", "-f", manifest.to_str().unwrap()]).unwrap_err().to_string();
    assert!(said.contains("Forbidden") || said.contains("forbidden"), "{said}");
    assert_eq!(stage.leftovers("intruder"), Vec::<String>::new());
    // Status belongs to the controllers: a user cannot forge an address.
    let said = stage
        .essaim
        .kubectl_as("bob", &["auth", "can-i", "patch", "notebookservers", "--subresource=status", "-n", "bob"])
        .unwrap_err()
        .to_string();
    assert!(said.contains("failed"), "{said}");
}

#[test]
fn a_manifest_of_10_mb_is_refused_and_the_server_goes_on() {
    let stage = stage();
    let huge =
        format!("{}    - {{name: BIG, value: {}}}\n", server("huge", "\n  class: fake\n  env:"), "x".repeat(10 << 20));
    let path = stage.folder().join("huge.yaml");
    std::fs::write(&path, huge).unwrap();
    let said =
        stage.essaim.kubectl(&["create", "--validate=false", "-f", path.to_str().unwrap()]).unwrap_err().to_string();
    assert!(said.contains("larger than the limit") || said.contains("too large"), "{said}");
    assert!(stage.essaim.kubectl(&["get", "nbs", "-A"]).unwrap().is_empty());
}
