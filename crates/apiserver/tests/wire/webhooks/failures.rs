//! Webhooks that do not answer as they should, and who suffers from it.

use std::time::Duration;

use bytes::Bytes;
use essaim_apiserver::{ApiServer, Limits, Options, UserInfo};
use futures::future::join_all;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{CONFIGURATIONS, NAME, Site, WIDGETS, allow, widget};
use crate::hook::Reply;
use crate::support::{SOON, clock, json_of, send};

fn failed(why: &str) -> String {
    format!("Internal error occurred: failed calling webhook \"{NAME}\": {why}")
}

#[tokio::test]
async fn answers_that_are_none_are_failures_unless_they_are_ignored() {
    let review =
        |response: Value| json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    let raw = |status: u16, body: Vec<u8>| {
        http::Response::builder().status(status).body(Full::from(Bytes::from(body))).unwrap()
    };
    let large = [b"\"".to_vec(), vec![b'x'; 3 << 20], b"\"".to_vec()].concat();
    for (answer, why) in [
        (raw(200, b"garbage".to_vec()), "failed to call webhook: Post"),
        (raw(200, large), "the answer is larger than 3145728 bytes"),
        (raw(404, b"{}".to_vec()), "the webhook answered 404"),
        (
            raw(200, review(json!({"uid": "wrong", "allowed": true})).to_string().into()),
            "received invalid webhook response: expected response.uid=",
        ),
        (
            raw(200, review(Value::Null).to_string().into()),
            "received invalid webhook response: webhook response was absent",
        ),
        (
            raw(200, b"{}".to_vec()),
            "received invalid webhook response: expected webhook response of admission.k8s.io/v1",
        ),
    ] {
        let site = Site::replying(move |_| Reply::Raw(answer.clone())).await;
        site.configure(json!({})).await;
        let (status, body) = site.create("a").await;
        assert_eq!((status, &body["reason"]), (500, &json!("InternalError")));
        let message = body["message"].as_str().unwrap();
        assert!(message.starts_with(&failed("")) && message.contains(why), "{message}");
        site.merge(&format!("{CONFIGURATIONS}/site"), &json!({"webhooks": null})).await;
        assert_eq!(site.delete(&format!("{CONFIGURATIONS}/site")).await.0, 200);
        site.configure(json!({"failurePolicy": "Ignore"})).await;
        assert_eq!(site.create("a").await.0, 201);
    }
}

#[tokio::test]
async fn a_webhook_that_hangs_up_is_a_failure() {
    let site = Site::replying(|_| Reply::HangUp).await;
    site.configure(json!({})).await;
    let (status, body) = site.create("a").await;
    assert_eq!(status, 500);
    assert!(body["message"].as_str().unwrap().starts_with(&failed("failed to call webhook: Post")), "{body}");
}

#[tokio::test]
async fn silence_lasts_as_long_as_the_configuration_says() {
    for (policy, expected) in [("Fail", 500), ("Ignore", 201)] {
        let site = Site::replying(|_| Reply::Silence).await;
        site.configure(json!({"failurePolicy": policy, "timeoutSeconds": 1})).await;
        let begun = Instant::now();
        let (status, body) = site.create("a").await;
        assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&begun.elapsed()));
        assert_eq!(status, expected, "{body}");
        let said = body["message"].as_str().unwrap_or_default();
        assert!(policy == "Ignore" || said.ends_with("/ask?timeout=1s\": context deadline exceeded"), "{said}");
    }
}

#[tokio::test]
async fn no_webhook_waits_longer_than_the_request_may_take() {
    let limits = Limits { handler: Duration::from_secs(2), ..Limits::default() };
    let site = Site::with(Options { limits, ..Options::new(clock()) }, |_| Reply::Silence).await;
    site.configure(json!({"failurePolicy": "Ignore", "timeoutSeconds": 30})).await;
    assert_eq!(site.create("a").await.0, 201, "ignored in time for the commit");
}

#[tokio::test]
async fn a_webhook_with_the_wrong_certificate_is_not_asked() {
    let (site, other) = (Site::answering(allow).await, Site::answering(allow).await);
    let mut config = site.hook.config();
    config["caBundle"] = other.hook.config()["caBundle"].clone();
    site.configure(json!({"clientConfig": config})).await;
    let (status, body) = site.create("a").await;
    assert_eq!(status, 500);
    assert!(body["message"].as_str().unwrap().contains("certificate"), "{body}");
    assert_eq!((site.asked().len(), site.hook.connections()), (0, 0));
}

#[tokio::test]
async fn webhooks_are_asked_at_once_and_the_first_refusal_counts() {
    let site = Site::answering(|_| json!({"allowed": false, "status": {"message": "no"}})).await;
    let silent = Site::replying(|_| Reply::Silence).await;
    site.configure(json!({})).await;
    let mut second = json!({"metadata": {"name": "a-silent"}, "webhooks": []});
    second["webhooks"] = json!([0, 1, 2].map(|at| json!({
        "name": format!("w{at}.toys.test"), "clientConfig": silent.hook.config(), "sideEffects": "None", "failurePolicy": "Ignore",
        "admissionReviewVersions": ["v1"], "timeoutSeconds": 2,
        "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["widgets"]}],
    })));
    assert_eq!(send(site.root(), "POST", CONFIGURATIONS, &[], second.to_string()).await.status(), 201);
    let begun = Instant::now();
    let (status, body) = site.create("a").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "three times two seconds pass together");
    assert_eq!(status, 400);
    assert!(body["message"].as_str().unwrap().ends_with("denied the request: no"), "{body}");
    assert_eq!(silent.asked().len(), 3);
}

#[tokio::test]
async fn a_webhook_that_never_answers_holds_up_nobody_else() {
    let limits = Limits { writes: 8, ..Limits::default() };
    let site = Site::with(Options { limits, ..Options::new(clock()) }, |_| Reply::Silence).await;
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "metadata": {"name": "staff"}, "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": "staff"}],
    });
    let bindings = format!("/apis/{group}/v1/clusterrolebindings");
    assert_eq!(send(site.root(), "POST", &bindings, &[], binding.to_string()).await.status(), 201);
    site.configure(json!({"timeoutSeconds": 5})).await;
    let user = |at: usize| site.fixture.server.in_process(UserInfo::new(format!("user{at}"), ["staff"]));
    let users: Vec<_> = (0..6).map(user).collect();
    let hanging = users
        .iter()
        .enumerate()
        .map(|(at, router)| send(router.clone(), "POST", WIDGETS, &[], widget(&format!("w{at}")).to_string()));
    let others = async {
        // Four of the six wait for the webhook, and two were sent away.
        while site.asked.lock().unwrap().len() < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let begun = Instant::now();
        for at in 0..20 {
            let map = json!({"metadata": {"name": format!("m{at}")}}).to_string();
            let path = "/api/v1/namespaces/default/configmaps";
            assert_eq!(send(users[0].clone(), "POST", path, &[], map).await.status(), 201);
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    };
    let (answers, ()) = timeout(SOON, async { tokio::join!(join_all(hanging), others) }).await.unwrap();
    let mut codes: Vec<_> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [429, 429, 500, 500, 500, 500]);
}

#[tokio::test]
async fn a_webhook_that_is_down_keeps_nobody_from_starting_or_repairing() {
    let site = Site::answering(allow).await;
    let everything = json!([{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]);
    site.configure(json!({"rules": everything, "timeoutSeconds": 1})).await;
    assert_eq!(site.create("a").await.0, 201);
    assert!(!site.asked().is_empty());
    let Site { fixture, hook, .. } = site;
    drop(hook);
    drop(fixture.server);
    let store = async {
        let path = fixture.data.path().join("store.redb");
        // The tasks of the server before end soon after it.
        loop {
            match essaim_store::Embedded::open(path.clone(), essaim_store::Options::default()) {
                Ok(store) => return store,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let store = timeout(SOON, store).await.unwrap();
    let server = ApiServer::start(store, Options::new(clock())).await.unwrap();
    let root = || server.in_process(UserInfo::new("root", ["system:masters"]));
    let refused = json_of(send(root(), "POST", WIDGETS, &[], widget("b").to_string()).await).await;
    assert_eq!(refused.0, 500);
    assert!(refused.1["message"].as_str().unwrap().contains("cannot connect"), "{}", refused.1);
    let namespace = json!({"metadata": {"name": "late"}}).to_string();
    assert_eq!(send(root(), "POST", "/api/v1/namespaces", &[], namespace).await.status(), 500);
    let path = format!("{CONFIGURATIONS}/site");
    assert_eq!(send(root(), "DELETE", &path, &[], String::new()).await.status(), 200);
    assert_eq!(send(root(), "POST", WIDGETS, &[], widget("b").to_string()).await.status(), 201);
}

#[tokio::test]
async fn what_the_server_does_by_itself_is_not_asked_about() {
    let site = Site::answering(|request| json!({"allowed": request["operation"] != "DELETE"})).await;
    let namespace = json!({"metadata": {"name": "gone"}}).to_string();
    assert_eq!(send(site.root(), "POST", "/api/v1/namespaces", &[], namespace).await.status(), 201);
    let widgets = WIDGETS.replace("default", "gone");
    assert_eq!(send(site.root(), "POST", &widgets, &[], widget("a").to_string()).await.status(), 201);
    site.configure(json!({})).await;
    assert_eq!(site.delete(&format!("{widgets}/a")).await.0, 400);
    assert_eq!(site.delete("/api/v1/namespaces/gone").await.0, 200);
    let gone = async {
        while crate::support::get(site.root(), "/api/v1/namespaces/gone").await.0 != 404 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();
    assert_eq!(site.asked().len(), 1, "only about the deletion that somebody asked for");
}
