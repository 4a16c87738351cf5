//! The pages, and the same facts for programs.

use http::{StatusCode, header};
use serde_json::json;

use crate::api::{ready, suspended};
use crate::site::{ALICE, BOB, HTML, Site};

const LAB: &str = "/user/alice/lab/";

/// Writes a status and waits until the gateway answers with its reason.
async fn becomes(site: &Site, suspend: bool, status: &serde_json::Value, reason: &str) {
    site.api.put("alice", "lab", suspend, status);
    site.until("the gateway knows", async || {
        let answer = site.get(LAB, &[ALICE]).await;
        answer.headers.get("essaim-reason").is_some_and(|value| value == reason)
    })
    .await;
}

#[tokio::test]
async fn a_starting_server_shows_the_reason_and_looks_again() {
    let site = Site::start().await;
    becomes(&site, false, &ready("False", "NoMachineFits", "2 machines lack <memory> & cpu", None), "NoMachineFits")
        .await;
    let page = site.get(LAB, &[ALICE, HTML]).await;
    assert_eq!(
        (page.status, &page.headers[header::RETRY_AFTER]),
        (StatusCode::SERVICE_UNAVAILABLE, &"2".parse().unwrap())
    );
    assert!(page.text.contains("2 machines lack &lt;memory&gt; &amp; cpu"), "{}", page.text);
    assert!(page.text.contains(r#"<meta http-equiv="refresh" content="2">"#));
    assert!(page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
    let program = site.get(LAB, &[ALICE]).await;
    assert_eq!(
        program.json(),
        json!({"code": 503, "reason": "NoMachineFits", "message": "2 machines lack <memory> & cpu"})
    );
}

#[tokio::test]
async fn a_stopped_server_shows_why_and_starts_by_the_button_only() {
    let site = Site::start().await;
    becomes(&site, true, &suspended("ShutDownInJupyter", "Shut down by its user."), "ShutDownInJupyter").await;
    let page = site.get(LAB, &[ALICE, HTML]).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text.contains(r#"<form method="post" action="/servers/alice/lab/start">"#), "{}", page.text);
    assert!(!page.text.contains("http-equiv"));
    assert!(!page.headers.contains_key(header::RETRY_AFTER));
    assert!(site.api.patches().is_empty());

    let cookie = site.cookie_of("alice").await;
    let started = site.post("/servers/alice/lab/start", &[("cookie", &cookie)], "").await;
    assert_eq!((started.status, &started.headers[header::LOCATION]), (StatusCode::SEE_OTHER, &LAB.parse().unwrap()));
    assert_eq!(site.api.patches(), [("alice/lab".to_owned(), json!({"spec": {"suspend": false}}))]);
}

#[tokio::test]
async fn only_who_may_change_a_server_starts_it() {
    let site = Site::start().await;
    for (who, path) in [
        (BOB, "/servers/alice/lab/start"),
        (BOB, "/servers/alice/nothing/start"),
        (("authorization", "token token-of-teacher"), "/servers/alice/lab/start"),
    ] {
        assert_eq!(site.post(path, &[who], "").await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(site.post("/servers/alice/lab/start", &[], "").await.status, StatusCode::UNAUTHORIZED);
    let expired = site.post("/servers/alice/lab/start", &[HTML], "").await;
    assert_eq!(
        (expired.status, &expired.headers[header::LOCATION]),
        (StatusCode::SEE_OTHER, &"/login?next=/".parse().unwrap())
    );
    assert_eq!(site.get("/servers/alice/lab/start", &[ALICE]).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(site.api.patches().is_empty());
}

#[tokio::test]
async fn failed_and_unreachable_servers_say_so_and_do_not_reload() {
    let site = Site::start().await;
    for (reason, title) in
        [("ImageUnavailable", "cannot run"), ("SwarmOff", "cannot be reached"), ("NeverHeardOf", "is unknown")]
    {
        becomes(&site, false, &ready("False", reason, "In words.", None), reason).await;
        let page = site.get(LAB, &[ALICE, HTML]).await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            page.text.contains(title) && page.text.contains("In words.") && !page.text.contains("http-equiv"),
            "{}",
            page.text
        );
    }
}

#[tokio::test]
async fn the_list_shows_the_own_servers_and_no_others() {
    let site = Site::start().await;
    site.api.put("alice", "gpu", true, &suspended("SuspendedByRequest", "Stopped <b>."));
    let alice = site.cookie_of("alice").await;
    site.until("both are listed", async || {
        site.get("/", &[("cookie", &alice)]).await.text.contains("/user/alice/gpu/")
    })
    .await;
    let page = site.get("/", &[("cookie", &alice), HTML]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("/user/alice/lab/")
            && page.text.contains("SuspendedByRequest")
            && page.text.contains("Stopped &lt;b&gt;.")
    );
    assert!(page.text.contains("/servers/alice/gpu/start") && !page.text.contains("/servers/alice/lab/start"));
    assert!(!page.text.contains("secret"));
    let anonymous = site.get("/", &[HTML]).await;
    assert_eq!(
        (anonymous.status, &anonymous.headers[header::LOCATION]),
        (StatusCode::SEE_OTHER, &"/login?next=/".parse().unwrap())
    );
}

#[tokio::test]
async fn an_own_server_that_does_not_exist_is_not_found() {
    let site = Site::start().await;
    assert_eq!(site.get("/user/alice/nothing/", &[ALICE]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_login_page_keeps_the_way_back_and_escapes_it() {
    let site = Site::start().await;
    let page = site.get("/login?next=/user/alice/lab/%22%3E%3Cscript%3E", &[HTML]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("value=\"/user/alice/lab/&quot;&gt;&lt;script&gt;\""), "{}", page.text);
    assert!(site.get("/login?next=https://evil.example", &[HTML]).await.text.contains(r#"name="next" value="/""#));
}

#[tokio::test]
async fn health_needs_no_login() {
    let site = Site::start().await;
    assert_eq!(site.get("/healthz", &[]).await.text, "ok");
    assert!(site.get("/essaim.css", &[]).await.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/css"));
}
