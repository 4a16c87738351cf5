//! Versions that differ in shape: what a webhook makes of them, wherever an object crosses versions.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]

mod garage;

use serde_json::{Value, json};

use self::garage::{Garage, Mood, gate, gate_v2};

const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

/// The names in a list with something of each, in their order.
fn each<'a>(list: &'a Value, path: &str) -> Vec<(&'a str, Value)> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|one| (one["metadata"]["name"].as_str().unwrap(), one.pointer(path).cloned().unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn what_is_created_in_one_version_is_read_in_both() {
    let garage = Garage::open("v2").await;
    let (code, made) = garage.post("v1", gate("a", "north:80")).await;
    assert_eq!(
        (code, &made["spec"]["hostPort"], &made["apiVersion"]),
        (201, &json!("north:80"), &json!("garage.test/v1"))
    );
    assert_eq!(made["spec"].get("host"), None, "{made}");
    let asked = garage.questions();
    let (_, stored) = garage.get("v2", "a").await;
    assert_eq!((&stored["spec"]["host"], &stored["spec"]["port"]), (&json!("north"), &json!(80)));
    assert_eq!(stored["spec"]["color"], "grey", "the default of the second version");
    assert_eq!(garage.questions(), asked, "the stored version needs nobody");
    let (_, read) = garage.get("v1", "a").await;
    assert_eq!(read, made);
    assert_eq!(read["metadata"]["resourceVersion"], stored["metadata"]["resourceVersion"]);
    let again = garage.questions();
    assert_eq!(garage.get("v1", "a").await.1, made);
    assert_eq!(garage.questions(), again, "what was asked once is kept");
    let (code, _) = garage.post("v2", gate_v2("b", "south", 81)).await;
    assert_eq!((code, garage.questions()), (201, again));
    assert_eq!(garage.get("v1", "b").await.1["spec"]["hostPort"], "south:81");
}

#[tokio::test]
async fn a_page_of_a_list_is_one_question() {
    let garage = Garage::open("v2").await;
    for (name, port) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)] {
        garage.post("v2", gate_v2(name, "h", port)).await;
    }
    assert_eq!(garage.questions(), 0);
    let (_, list) = garage.list("v2", "").await;
    assert_eq!(each(&list, "/spec/port")[4], ("e", json!(5)));
    assert_eq!(garage.questions(), 0);
    let (code, list) = garage.list("v1", "limit=3").await;
    assert_eq!((code, garage.questions()), (200, 1));
    assert_eq!(each(&list, "/spec/hostPort"), [("a", json!("h:1")), ("b", json!("h:2")), ("c", json!("h:3"))]);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("GateList"), &json!("garage.test/v1")));
    let (_, list) = garage.list("v1", "").await;
    assert_eq!((each(&list, "/spec/hostPort").len(), garage.questions()), (5, 2));
    assert_eq!(garage.largest(), 3, "what is known is not asked again");
    let (_, chosen) = garage.list("v1", "fieldSelector=spec.hostPort%3Dh:4").await;
    assert_eq!(each(&chosen, "/spec/hostPort"), [("d", json!("h:4"))]);
}

#[tokio::test]
async fn a_long_list_is_asked_for_in_pieces() {
    let garage = Garage::open("v2").await;
    for at in 0..6 {
        let mut large = gate_v2(&format!("g{at}"), "h", at);
        large["spec"]["note"] = "x".repeat(400_000).into();
        assert_eq!(garage.post("v2", large).await.0, 201);
    }
    let (_, list) = garage.list("v1", "").await;
    assert_eq!((each(&list, "/spec/hostPort")[5].clone(), garage.questions()), (("g5", json!("h:5")), 3));
}

#[tokio::test]
async fn watches_tell_the_same_story_in_both_versions() {
    let garage = Garage::open("v2").await;
    let mut first = garage.watch("v1", "fieldSelector=spec.hostPort%3Dh:1").await;
    let mut second = garage.watch("v2", "fieldSelector=spec.host%3Dh").await;
    garage.post("v2", gate_v2("a", "h", 1)).await;
    garage.patch("v1", "a", MERGE, json!({"metadata": {"labels": {"x": "y"}}})).await;
    garage.patch("v2", "a", MERGE, json!({"spec": {"port": 2}})).await;
    garage.patch("v1", "a", MERGE, json!({"spec": {"hostPort": "h:1"}})).await;
    garage.delete("v2", "a").await;
    for (kind, host_port) in
        [("ADDED", "h:1"), ("MODIFIED", "h:1"), ("DELETED", "h:1"), ("ADDED", "h:1"), ("DELETED", "h:1")]
    {
        let event = first.next().await;
        assert_eq!(
            (event["type"].as_str(), event["object"]["spec"]["hostPort"].as_str()),
            (Some(kind), Some(host_port)),
            "{event}"
        );
        assert_eq!(event["object"]["apiVersion"], "garage.test/v1");
    }
    for (kind, port) in [("ADDED", 1), ("MODIFIED", 1), ("MODIFIED", 2), ("MODIFIED", 1), ("DELETED", 1)] {
        let event = second.next().await;
        assert_eq!(
            (event["type"].as_str(), event["object"]["spec"]["port"].as_i64()),
            (Some(kind), Some(port)),
            "{event}"
        );
    }
}

#[tokio::test]
async fn many_watchers_are_one_question() {
    let garage = Garage::open("v2").await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        watchers.push(garage.watch("v1", "").await);
    }
    garage.post("v2", gate_v2("a", "h", 1)).await;
    for watcher in &mut watchers {
        assert_eq!(watcher.next().await["object"]["spec"]["hostPort"], "h:1");
    }
    assert_eq!(garage.questions(), 1);
}

#[tokio::test]
async fn patches_change_what_their_version_shows() {
    let garage = Garage::open("v2").await;
    garage.post("v1", gate("a", "h:1")).await;
    let (code, merged) = garage.patch("v1", "a", MERGE, json!({"spec": {"hostPort": "i:2"}})).await;
    assert_eq!((code, &merged["spec"]["hostPort"]), (200, &json!("i:2")));
    let replace = json!([{"op": "test", "path": "/spec/host", "value": "i"}, {"op": "replace", "path": "/spec/port", "value": 3}]);
    let (code, replaced) = garage.patch("v2", "a", JSON_PATCH, replace).await;
    assert_eq!((code, &replaced["spec"]["port"]), (200, &json!(3)));
    let replace = json!([{"op": "test", "path": "/spec/hostPort", "value": "i:3"}, {"op": "add", "path": "/spec/replicas", "value": 4}]);
    let (code, patched) = garage.patch("v1", "a", JSON_PATCH, replace).await;
    assert_eq!((code, &patched["spec"]["replicas"]), (200, &json!(4)), "{patched}");
    let mut wanted = garage.get("v1", "a").await.1;
    assert_eq!(
        (wanted["metadata"]["generation"].as_i64(), garage.get("v2", "a").await.1["spec"]["size"].as_i64()),
        (Some(4), Some(4))
    );
    let before = wanted["metadata"]["resourceVersion"].clone();
    let (_, same) = garage.put("v1", "a", wanted.clone()).await;
    assert_eq!(same["metadata"]["resourceVersion"], before, "a write that changes nothing is none");
    wanted["spec"]["hostPort"] = "j:5".into();
    assert_eq!(garage.put("v1", "a", wanted.clone()).await.1["spec"]["hostPort"], "j:5");
    assert_eq!(garage.put("v1", "a", wanted).await.0, 409);
    assert_eq!(garage.get("v2", "a").await.1["spec"]["host"], "j");
}

#[tokio::test]
async fn subresources_cross_versions() {
    let garage = Garage::open("v2").await;
    garage.post("v1", gate("a", "h:1")).await;
    let (code, scale) = garage.patch("v1", "a/scale", MERGE, json!({"spec": {"replicas": 7}})).await;
    assert_eq!((code, &scale["spec"]["replicas"], &scale["kind"]), (200, &json!(7), &json!("Scale")), "{scale}");
    assert_eq!(garage.get("v2", "a/scale").await.1["spec"]["replicas"], 7);
    assert_eq!(garage.get("v2", "a").await.1["spec"]["size"], 7);
    let status = json!({"status": {"open": true}, "spec": {"hostPort": "not:9"}});
    let (code, open) = garage.patch("v1", "a/status", MERGE, status).await;
    assert_eq!(
        (code, &open["status"]["open"], &open["spec"]["hostPort"]),
        (200, &json!(true), &json!("h:1")),
        "{open}"
    );
    let (_, open) = garage.get("v2", "a/status").await;
    assert_eq!((&open["status"]["state"], &open["spec"]["host"]), (&json!("open"), &json!("h")));
    let mut closed = open;
    closed["status"]["state"] = "closed".into();
    assert_eq!(garage.put("v2", "a/status", closed).await.0, 200);
    assert_eq!(garage.get("v1", "a").await.1["status"]["open"], false);
}

#[tokio::test]
async fn a_dry_run_is_converted_and_changes_nothing() {
    let garage = Garage::open("v2").await;
    let (code, shown) = garage.send("POST", "v1", "?dryRun=All", "application/json", gate("a", "h:01")).await;
    assert_eq!(
        (code, &shown["spec"]["hostPort"]),
        (201, &json!("h:1")),
        "as the stored version would give it back: {shown}"
    );
    assert_eq!(garage.get("v2", "a").await.0, 404);
    garage.post("v1", gate("a", "h:1")).await;
    let path = "/a?dryRun=All";
    let (code, shown) = garage.send("PATCH", "v1", path, MERGE, json!({"spec": {"hostPort": "h:2"}})).await;
    assert_eq!((code, &shown["spec"]["hostPort"]), (200, &json!("h:2")));
    assert_eq!(garage.get("v2", "a").await.1["spec"]["port"], 1);
}

#[tokio::test]
async fn a_dead_webhook_fails_what_needs_it_and_nothing_else() {
    let garage = Garage::open("v2").await;
    garage.post("v2", gate_v2("a", "h", 1)).await;
    let mut first = garage.watch("v1", "").await;
    let mut second = garage.watch("v2", "").await;
    garage.is(Mood::Dead);
    for (code, error) in [
        garage.get("v1", "a").await,
        garage.list("v1", "").await,
        garage.post("v1", gate("b", "h:2")).await,
        garage.patch("v1", "a", MERGE, json!({"spec": {"hostPort": "h:2"}})).await,
        garage.delete("v1", "a").await,
    ] {
        let message = error["message"].as_str().unwrap_or_default();
        assert!(code == 500 && message.starts_with("conversion webhook for garage.test/v"), "{error}");
        assert!(message.contains(", Kind=Gate failed: Post "), "{error}");
    }
    assert_eq!(garage.get("v2", "b").await.0, 404, "a write that failed left nothing behind");
    assert_eq!(garage.patch("v2", "a", MERGE, json!({"spec": {"port": 3}})).await.0, 200);
    assert_eq!(second.next().await["object"]["spec"]["port"], 3);
    let error = first.next().await;
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(500)), "{error}");
    assert!(first.ended().await);
    garage.is(Mood::Honest);
    assert_eq!(garage.get("v1", "a").await.1["spec"]["hostPort"], "h:3");
    garage.is(Mood::Dead);
    assert_eq!(garage.delete("v2", "a").await.0, 200);
    assert_eq!(second.next().await["type"], "DELETED");
}

#[tokio::test]
async fn a_webhook_that_lies_is_not_believed() {
    let garage = Garage::open("v2").await;
    garage.post("v2", gate_v2("a", "h", 1)).await;
    for (mood, words) in [
        (Mood::WrongUid, "failed: expected response.uid="),
        (Mood::WrongCount, "returned 2 objects, expected 1"),
        (Mood::Renames, "at index 0: must have the same name: a != liar"),
        (Mood::WrongVersion, "at index 0: invalid groupVersion (expected garage.test/v1, received garage.test/v3)"),
        (Mood::Refuses, "failed: not today"),
        (Mood::Mumbles, "failed: no response provided"),
    ] {
        garage.is(mood);
        let (code, error) = garage.get("v1", "a").await;
        let message = error["message"].as_str().unwrap();
        assert!(
            code == 500 && message.starts_with("conversion webhook for garage.test/v2, Kind=Gate "),
            "{mood:?}: {message}"
        );
        assert!(message.contains(words), "{mood:?}: {message}");
    }
    garage.is(Mood::Meddles);
    let (code, read) = garage.get("v1", "a").await;
    let stored = garage.get("v2", "a").await.1;
    assert_eq!(code, 200);
    for field in ["uid", "finalizers", "generation", "creationTimestamp", "managedFields"] {
        assert_eq!(read["metadata"][field], stored["metadata"][field], "{field} is not for webhooks");
    }
    assert_eq!(read["metadata"]["labels"], json!({"by": "webhook"}), "labels are");
    assert_eq!(read["spec"].get("surprise"), None, "what the schema does not know is pruned");
}

#[tokio::test]
async fn objects_move_to_a_new_storage_version_when_they_are_written() {
    let garage = Garage::open("v1").await;
    garage.post("v1", gate("a", "h:1")).await;
    garage.post("v1", gate("b", "h:2")).await;
    assert_eq!(garage.questions(), 0);
    garage.store_in("v2").await;
    let (_, old) = garage.get("v2", "a").await;
    assert_eq!((&old["spec"]["port"], garage.questions()), (&json!(1), 1));
    let mut events = garage.watch("v2", "").await;
    let (_, written) = garage.put("v2", "a", old.clone()).await;
    assert_ne!(written["metadata"]["resourceVersion"], old["metadata"]["resourceVersion"], "the write migrates it");
    assert_eq!(events.next().await["object"]["spec"]["port"], 1);
    garage.is(Mood::Dead);
    assert_eq!(garage.get("v2", "a").await.1["spec"]["host"], "h", "it is stored in the second version now");
    assert_eq!(garage.get("v2", "b").await.0, 500, "this one is not");
    let asked = garage.questions();
    assert!(garage.get("v1", "b").await.0 == 200 && garage.questions() == asked);
    garage.is(Mood::Honest);
    assert_eq!(garage.patch("v1", "b", MERGE, json!({"spec": {"hostPort": "i:2"}})).await.0, 200);
    garage.is(Mood::Dead);
    assert_eq!(garage.get("v2", "b").await.1["spec"]["host"], "i");
}

#[tokio::test]
async fn a_definition_may_get_a_webhook_while_watches_run() {
    let garage = Garage::without_webhook().await;
    let mut watch = garage.watch("v1", "").await;
    garage.post("v2", gate_v2("a", "h", 1)).await;
    let event = watch.next().await;
    assert_eq!(event["object"]["spec"].get("hostPort"), None, "nobody converts: {event}");
    garage.take_webhook().await;
    garage.post("v2", gate_v2("b", "h", 2)).await;
    assert_eq!(watch.next().await["object"]["spec"]["hostPort"], "h:2");
    assert_eq!(garage.get("v1", "a").await.1["spec"]["hostPort"], "h:1");
}

#[tokio::test]
async fn deletions_answer_in_their_version() {
    let garage = Garage::open("v2").await;
    let mut held = gate("a", "h:1");
    held["metadata"]["finalizers"] = json!(["garage.test/hold"]);
    garage.post("v1", held).await;
    let (code, pending) = garage.delete("v1", "a").await;
    assert_eq!((code, &pending["spec"]["hostPort"]), (200, &json!("h:1")), "{pending}");
    assert!(pending["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(pending["metadata"]["resourceVersion"], garage.get("v1", "a").await.1["metadata"]["resourceVersion"]);
    garage.patch("v1", "a", MERGE, json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(garage.get("v2", "a").await.0, 404);
    for at in 0..3 {
        garage.post("v2", gate_v2(&format!("g{at}"), "h", at)).await;
    }
    let asked = garage.questions();
    let (code, deleted) = garage.send("DELETE", "v1", "", "application/json", json!({})).await;
    assert_eq!((code, each(&deleted, "/spec/hostPort")[2].clone()), (200, ("g2", json!("h:2"))));
    assert_eq!(garage.questions(), asked + 1, "what the list asked is known to the deletions");
    assert_eq!(garage.list("v2", "").await.1["items"], json!([]));
}

#[tokio::test]
async fn the_server_cleans_up_without_the_webhook() {
    let garage = Garage::open("v1").await;
    let (_, owner) = garage.post("v1", gate("owner", "h:1")).await;
    let mut owned = gate("owned", "h:2");
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "garage.test/v1", "kind": "Gate", "name": "owner", "uid": owner["metadata"]["uid"],
    }]);
    garage.post("v1", owned).await;
    garage.store_in("v2").await;
    garage.is(Mood::Dead);
    garage.delete("v1", "owner").await;
    garage.until_gone("v1", "owned").await;
    garage.is(Mood::Honest);
    garage.post("v1", gate("new", "h:3")).await;
    garage.is(Mood::Dead);
    garage.remove_definition().await;
}

#[tokio::test]
async fn tables_and_metadata_are_of_the_version() {
    let garage = Garage::open("v2").await;
    garage.post("v2", gate_v2("a", "h", 1)).await;
    let table = garage.as_table("v1").await;
    assert_eq!(table["rows"][0]["cells"], json!(["a", "h:1"]), "{table}");
    assert_eq!(garage.as_table("v2").await["rows"][0]["cells"], json!(["a", "h", 1]));
}

#[tokio::test]
async fn a_webhook_that_cannot_be_reached_is_refused_in_a_definition() {
    let garage = Garage::open("v2").await;
    let service = json!({"service": {"namespace": "a", "name": "b"}});
    let patch =
        json!({"spec": {"conversion": {"webhook": {"clientConfig": {"url": null, "service": service["service"]}}}}});
    let (code, error) = garage.change_definition(patch).await;
    assert_eq!(code, 422);
    assert_eq!(error["details"]["causes"][0]["field"], "spec.conversion.webhook.clientConfig.service", "{error}");
    assert!(error["message"].as_str().unwrap().contains("url"), "{error}");
    let patch = json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "bm90IHBlbQ=="}}}}});
    let (code, error) = garage.change_definition(patch).await;
    assert!(code == 422 && error["message"].as_str().unwrap().contains("unable to load root certificates"), "{error}");
}
