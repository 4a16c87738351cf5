//! Who is asked about what, and what becomes of the answer.

use essaim_apiserver::UserInfo;
use futures::future::join_all;
use serde_json::{Value, json};

use super::{CONFIGURATIONS, NAME, Site, WIDGETS, allow, warnings, widget};
use crate::hook::{Hook, Reply};
use crate::support::{json_of, send};

#[tokio::test]
async fn the_webhook_hears_what_is_done_and_by_whom() {
    let site = Site::answering(allow).await;
    site.fixture.let_alice_do_everything().await;
    site.configure(json!({})).await;
    let mut alice = UserInfo::new("alice", ["staff"]);
    alice.uid = "uid-of-alice".into();
    alice.extra.insert("scopes".into(), vec!["toys".into()]);
    let router = site.fixture.server.in_process(alice);
    let path = format!("{WIDGETS}?fieldManager=tester&fieldValidation=Strict");
    let (status, stored) = json_of(send(router, "POST", &path, &[], widget("a").to_string()).await).await;
    assert_eq!(status, 201, "{stored}");
    let request = site.asked().remove(0);
    let kind = json!({"group": "toys.test", "version": "v1", "kind": "Widget"});
    let resource = json!({"group": "toys.test", "version": "v1", "resource": "widgets"});
    for (field, value) in [
        ("kind", &kind),
        ("requestKind", &kind),
        ("resource", &resource),
        ("requestResource", &resource),
        ("name", &json!("a")),
        ("namespace", &json!("default")),
        ("operation", &json!("CREATE")),
        ("dryRun", &json!(false)),
        ("oldObject", &Value::Null),
    ] {
        assert_eq!(&request[field], value, "{field}");
    }
    assert!(request.get("subResource").is_none());
    let user = &request["userInfo"];
    assert_eq!((&user["username"], &user["uid"]), (&json!("alice"), &json!("uid-of-alice")));
    assert_eq!(user["extra"], json!({"scopes": ["toys"]}));
    assert!(user["groups"].as_array().unwrap().contains(&json!("system:authenticated")), "{user}");
    assert_eq!(request["options"]["kind"], "CreateOptions");
    assert_eq!(request["options"]["fieldManager"], "tester");
    assert_eq!(request["options"]["fieldValidation"], "Strict");
    assert_eq!(request["object"]["metadata"]["uid"], stored["metadata"]["uid"], "defaults and metadata are settled");
    assert_eq!(request["object"]["metadata"]["managedFields"], stored["metadata"]["managedFields"]);
}

#[tokio::test]
async fn every_way_to_change_an_object_is_asked_about() {
    let site = Site::answering(allow).await;
    site.configure(json!({})).await;
    site.create("a").await;
    let object = format!("{WIDGETS}/a");
    site.merge(&object, &json!({"spec": {"size": 2}})).await;
    site.merge(&format!("{object}/status"), &json!({"status": {"size": 2}})).await;
    let (_, scale) = site.merge(&format!("{object}/scale"), &json!({"spec": {"replicas": 5}})).await;
    assert_eq!(scale["spec"]["replicas"], 5);
    let apply = json!({"apiVersion": "toys.test/v1", "kind": "Widget", "spec": {"color": "blue"}});
    let headers = [("content-type", "application/apply-patch+yaml")];
    let applied = format!("{object}?fieldManager=x&force=true");
    assert_eq!(send(site.root(), "PATCH", &applied, &headers, apply.to_string()).await.status(), 200);
    let applied = format!("{WIDGETS}/b?fieldManager=x");
    assert_eq!(send(site.root(), "PATCH", &applied, &headers, apply.to_string()).await.status(), 201);
    let body = json!({"propagationPolicy": "Orphan"}).to_string();
    let deleted = send(site.root(), "DELETE", &object, &[("content-type", "application/json")], body).await;
    assert_eq!(deleted.status(), 200);

    let asked = site.asked();
    let told: Vec<_> = asked
        .iter()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
            let options = one["options"]["kind"].as_str().unwrap();
            format!("{} {} {} {}", text("operation"), text("name"), text("subResource"), options)
        })
        .collect();
    assert_eq!(
        told,
        [
            "CREATE a  CreateOptions",
            "UPDATE a  UpdateOptions",
            "UPDATE a status UpdateOptions",
            "UPDATE a scale UpdateOptions",
            "UPDATE a  UpdateOptions",
            "CREATE b  CreateOptions",
            "DELETE a  DeleteOptions",
        ]
    );
    let (update, scale, delete) = (&asked[1], &asked[3], &asked[6]);
    assert_eq!((&update["oldObject"]["spec"]["size"], &update["object"]["spec"]["size"]), (&json!(1), &json!(2)));
    assert_eq!(scale["kind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!((&scale["oldObject"]["spec"]["replicas"], &scale["object"]["spec"]["replicas"]), (&json!(2), &json!(5)));
    assert_eq!((&delete["object"], &delete["oldObject"]["spec"]["color"]), (&Value::Null, &json!("blue")));
    assert_eq!(delete["options"]["propagationPolicy"], "Orphan");
}

#[tokio::test]
async fn a_refusal_stores_nothing_and_says_what_the_webhook_says() {
    let refuse = |_: &Value| json!({"allowed": false, "warnings": ["ask first"], "status": {"code": 403, "reason": "Forbidden", "message": "no more toys"}});
    let site = Site::answering(refuse).await;
    site.configure(json!({})).await;
    let answer = site.post(&widget("a")).await;
    assert_eq!(warnings(&answer), ["ask first"]);
    let (status, body) = json_of(answer).await;
    let words = format!("admission webhook \"{NAME}\" denied the request: no more toys");
    assert_eq!(status, 403);
    assert_eq!((&body["message"], &body["reason"]), (&json!(words), &json!("Forbidden")));
    assert_eq!(crate::support::get(site.root(), &format!("{WIDGETS}/a")).await.0, 404);
}

#[tokio::test]
async fn a_refusal_without_words_is_a_bad_request() {
    let site = Site::answering(|_| json!({"allowed": false})).await;
    site.configure(json!({})).await;
    let (status, body) = site.create("a").await;
    assert_eq!((status, body.get("reason")), (400, None));
    assert_eq!(body["message"], format!("admission webhook \"{NAME}\" denied the request without explanation"));
}

#[tokio::test]
async fn warnings_come_with_the_answer_each_once_and_bounded() {
    let site = Site::answering(|request| {
        let long = "x".repeat(1000);
        let many: Vec<_> = (0..50).map(|at| format!("{at} {long}")).collect();
        let warnings = if request["name"] == "b" { json!(many) } else { json!(["one \"two\"", "one \"two\""]) };
        json!({"allowed": true, "warnings": warnings})
    })
    .await;
    site.configure(json!({})).await;
    assert_eq!(warnings(&site.post(&widget("a")).await), ["one \\\"two\\"]);
    let bounded = warnings(&site.post(&widget("b")).await);
    assert!(bounded.iter().all(|one| one.len() <= 256) && bounded.concat().len() <= 4096, "{}", bounded.len());
    assert!(bounded.len() > 10);
}

#[tokio::test]
async fn deletions_of_a_collection_are_asked_about_one_by_one() {
    let site = Site::answering(|request| json!({"allowed": request["name"] != "b"})).await;
    for name in ["a", "b", "c"] {
        site.create(name).await;
    }
    site.configure(
        json!({"rules": [{"operations": ["DELETE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]}),
    )
    .await;
    let (status, body) = site.delete(WIDGETS).await;
    assert_eq!(status, 400, "{body}");
    assert!(body["message"].as_str().unwrap().contains("denied the request"));
    let mut names: Vec<_> = site.asked().iter().map(|one| one["oldObject"]["metadata"]["name"].clone()).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, ["a", "b", "c"]);
    let (_, left) = crate::support::get(site.root(), WIDGETS).await;
    let left: Vec<_> = left["items"].as_array().unwrap().iter().map(|one| one["metadata"]["name"].clone()).collect();
    assert_eq!(left, ["b"]);
}

#[tokio::test]
async fn selectors_and_conditions_choose_the_objects() {
    let site = Site::answering(|_| json!({"allowed": false})).await;
    let namespace = json!({"metadata": {"name": "strict", "labels": {"toys": "strict"}}}).to_string();
    assert_eq!(send(site.root(), "POST", "/api/v1/namespaces", &[], namespace).await.status(), 201);
    site.configure(json!({
        "namespaceSelector": {"matchLabels": {"toys": "strict"}},
        "objectSelector": {"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]},
        "matchConditions": [
            {"name": "big", "expression": "object.spec.size > 1"},
            {"name": "people", "expression": "!request.userInfo.username.startsWith('system:')"},
        ],
    }))
    .await;
    let strict = WIDGETS.replace("default", "strict");
    let post = async |path: &str, name: &str, size: u64, labels: Value| {
        let mut widget = widget(name);
        widget["spec"]["size"] = size.into();
        widget["metadata"]["labels"] = labels;
        send(site.root(), "POST", path, &[], widget.to_string()).await.status().as_u16()
    };
    assert_eq!(post(&strict, "a", 2, json!({})).await, 400);
    assert_eq!(post(WIDGETS, "a", 2, json!({})).await, 201, "another namespace");
    assert_eq!(post(&strict, "b", 2, json!({"free": "yes"})).await, 201, "another object");
    assert_eq!(post(&strict, "c", 1, json!({})).await, 201, "another size");
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn a_condition_that_cannot_be_evaluated_follows_the_failure_policy() {
    for (policy, expected) in [("Fail", 403), ("Ignore", 201)] {
        let site = Site::answering(|_| json!({"allowed": false})).await;
        let condition = json!([{"name": "c", "expression": "object.spec.nothing.here"}]);
        site.configure(json!({"failurePolicy": policy, "matchConditions": condition})).await;
        let (status, body) = site.create("a").await;
        assert_eq!(status, expected, "{body}");
        assert!(policy == "Ignore" || body["message"].as_str().unwrap().contains("no such key"), "{body}");
        assert!(site.asked().is_empty());
    }
}

#[tokio::test]
async fn a_namespace_is_chosen_by_its_own_labels() {
    let site = Site::answering(|_| json!({"allowed": false})).await;
    site.configure(json!({
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["namespaces"], "scope": "Cluster"}],
        "namespaceSelector": {"matchLabels": {"closed": "yes"}},
    }))
    .await;
    let make = async |name: &str, labels: Value| {
        let body = json!({"metadata": {"name": name, "labels": labels}}).to_string();
        send(site.root(), "POST", "/api/v1/namespaces", &[], body).await.status().as_u16()
    };
    assert_eq!(make("a", json!({"closed": "yes"})).await, 400);
    assert_eq!(make("b", json!({})).await, 201);
    let asked = site.asked();
    assert_eq!((asked.len(), &asked[0]["namespace"]), (1, &json!("a")));
}

#[tokio::test]
async fn a_dry_run_is_asked_about_as_one_and_stores_nothing() {
    let site = Site::answering(|_| json!({"allowed": true, "warnings": ["dry"]})).await;
    site.configure(json!({"sideEffects": "NoneOnDryRun"})).await;
    let path = format!("{WIDGETS}?dryRun=All");
    let answer = send(site.root(), "POST", &path, &[], widget("a").to_string()).await;
    assert_eq!((answer.status().as_u16(), warnings(&answer)), (201, vec!["dry".to_owned()]));
    let asked = site.asked();
    assert_eq!((&asked[0]["dryRun"], &asked[0]["options"]["dryRun"]), (&json!(true), &json!(["All"])));
    assert_eq!(crate::support::get(site.root(), &format!("{WIDGETS}/a")).await.0, 404);
}

#[tokio::test]
async fn who_loses_a_race_asks_again_about_what_is_stored_in_the_end() {
    let site = Site::answering(allow).await;
    site.configure(
        json!({"rules": [{"operations": ["UPDATE"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]}),
    )
    .await;
    let mut first = widget("a");
    first["spec"]["tags"] = json!([]);
    assert_eq!(site.post(&first).await.status(), 201);
    let path = format!("{WIDGETS}/a");
    let add = |at: usize| {
        let patch = json!([{"op": "add", "path": "/spec/tags/-", "value": format!("tag{at}")}]).to_string();
        send(site.root(), "PATCH", &path, &[("content-type", "application/json-patch+json")], patch)
    };
    for answer in join_all((0..8).map(add)).await {
        assert_eq!(answer.status(), 200);
    }
    let (_, stored) = crate::support::get(site.root(), &path).await;
    assert_eq!(stored["spec"]["tags"].as_array().unwrap().len(), 8);
    let asked = site.asked();
    assert!(asked.len() > 8, "{}: those who lost asked again", asked.len());
    assert!(asked.iter().any(|one| one["object"]["spec"] == stored["spec"]), "the last state was shown");
}

#[tokio::test]
async fn an_equivalent_version_is_shown_as_the_rule_names_it() {
    let site = Site::answering(allow).await;
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema":
            {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "integer"}}}}}}})
    };
    let definition = json!({
        "metadata": {"name": "gears.toys.test"},
        "spec": {"group": "toys.test", "scope": "Cluster", "names": {"plural": "gears", "kind": "Gear"},
            "versions": [version("v1", false), version("v2", true)]},
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(send(site.root(), "POST", definitions, &[], definition.to_string()).await.status(), 201);
    let rule =
        json!({"operations": ["CREATE"], "apiGroups": ["toys.test"], "apiVersions": ["v2"], "resources": ["gears"]});
    site.configure(json!({"rules": [rule]})).await;
    let gear = json!({"apiVersion": "toys.test/v1", "kind": "Gear", "metadata": {"name": "g"}, "spec": {"a": 1}});
    assert_eq!(send(site.root(), "POST", "/apis/toys.test/v1/gears", &[], gear.to_string()).await.status(), 201);
    let asked = site.asked().remove(0);
    assert_eq!((&asked["kind"]["version"], &asked["resource"]["version"]), (&json!("v2"), &json!("v2")));
    assert_eq!((&asked["requestKind"]["version"], &asked["requestResource"]["version"]), (&json!("v1"), &json!("v1")));
    assert_eq!((&asked["object"]["apiVersion"], &asked["object"]["spec"]), (&json!("toys.test/v2"), &json!({"a": 1})));
    assert!(asked.get("namespace").is_none());
}

#[tokio::test]
async fn a_changed_configuration_counts_for_the_next_write() {
    let site = Site::answering(|_| json!({"allowed": false})).await;
    assert_eq!(site.create("before").await.0, 201);
    site.configure(json!({})).await;
    assert_eq!(site.create("a").await.0, 400);
    assert_eq!(site.delete(&format!("{CONFIGURATIONS}/site")).await.0, 200);
    assert_eq!(site.create("a").await.0, 201);
}

#[tokio::test]
async fn an_equivalent_version_of_another_shape_is_converted_first() {
    let site = Site::answering(|request| json!({"allowed": request["object"]["spec"]["cm"] != 700})).await;
    // Millimetres in the first version, centimetres in the second.
    let converter = Hook::start(|_, review| {
        let request = &review["request"];
        let convert = |object: &Value| {
            let (mut object, to) = (object.clone(), &request["desiredAPIVersion"]);
            let spec = &object["spec"];
            object["spec"] = match (spec["mm"].as_u64(), spec["cm"].as_u64()) {
                (Some(mm), _) if to == "toys.test/v2" => json!({"cm": mm / 10}),
                (_, Some(cm)) if to == "toys.test/v1" => json!({"mm": cm * 10}),
                _ => spec.clone(),
            };
            object["apiVersion"] = to.clone();
            object
        };
        let converted: Vec<_> = request["objects"].as_array().unwrap().iter().map(convert).collect();
        let response = json!({"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted});
        Reply::Json(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response}))
    })
    .await;
    let version = |name: &str, field: &str| {
        json!({"name": name, "served": true, "storage": name == "v1", "schema": {"openAPIV3Schema": {"type": "object",
            "properties": {"spec": {"type": "object", "properties": {field: {"type": "integer"}}}}}}})
    };
    let webhook = json!({"conversionReviewVersions": ["v1"], "clientConfig": converter.config()});
    let definition = json!({
        "metadata": {"name": "rods.toys.test"},
        "spec": {"group": "toys.test", "scope": "Cluster", "names": {"plural": "rods", "kind": "Rod"},
            "versions": [version("v1", "mm"), version("v2", "cm")],
            "conversion": {"strategy": "Webhook", "webhook": webhook}},
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(send(site.root(), "POST", definitions, &[], definition.to_string()).await.status(), 201);
    let rule = json!({"operations": ["*"], "apiGroups": ["toys.test"], "apiVersions": ["v2"], "resources": ["rods"]});
    site.configure(json!({"rules": [rule]})).await;
    let rod = json!({"apiVersion": "toys.test/v1", "kind": "Rod", "metadata": {"name": "r"}, "spec": {"mm": 50}});
    assert_eq!(send(site.root(), "POST", "/apis/toys.test/v1/rods", &[], rod.to_string()).await.status(), 201);
    let rod = "/apis/toys.test/v1/rods/r";
    assert_eq!(site.merge(rod, &json!({"spec": {"mm": 7000}})).await.0, 400);
    assert_eq!(site.merge(rod, &json!({"spec": {"mm": 60}})).await.0, 200);
    assert_eq!(site.delete(rod).await.0, 200);
    let sizes = |one: &Value| (one["object"]["spec"]["cm"].as_u64(), one["oldObject"]["spec"]["cm"].as_u64());
    let asked: Vec<_> = site.asked().iter().map(sizes).collect();
    assert_eq!(asked, [(Some(5), None), (Some(700), Some(5)), (Some(6), Some(5)), (None, Some(6))]);
}
