//! Calls to a webhook on loopback.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};

use super::{ANSWER_BYTES, Caller, check_client_config};
use crate::webhook::testing::{Hook, Reply};

const SOON: Duration = Duration::from_secs(20);

async fn ask(caller: &Caller, config: &Value, within: Duration) -> Result<Value, String> {
    caller.call(config, "timeout=7s", &json!({"kind": "Question"}), within).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_question_is_answered_and_its_connection_used_again() {
    let hook = Hook::start(|path, body| Reply::Json(json!({"path": path, "asked": body["kind"]}))).await;
    let caller = Caller::default();
    for _ in 0..20 {
        let answer = ask(&caller, &hook.config(), SOON).await.unwrap();
        assert_eq!(answer, json!({"path": "/ask?timeout=7s", "asked": "Question"}));
    }
    assert_eq!(hook.connections(), 1);
}

#[tokio::test]
async fn many_questions_at_once_keep_to_a_bounded_number_of_connections() {
    let hook = Hook::start(|_, _| Reply::Json(json!({}))).await;
    let (caller, config) = (Caller::default(), hook.config());
    let answers = join_all((0..300).map(|_| ask(&caller, &config, SOON))).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|one| one.is_err()));
    assert!(hook.connections() <= super::CALLS_AT_ONCE, "{}", hook.connections());
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_a_second_try_only() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let hook = Hook::start(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
        1 => Reply::HangUp,
        at => Reply::Json(json!({"at": at})),
    })
    .await;
    let caller = Caller::default();
    assert_eq!(ask(&caller, &hook.config(), SOON).await.unwrap()["at"], 0);
    assert_eq!(ask(&caller, &hook.config(), SOON).await.unwrap()["at"], 2);
    assert_eq!((hook.connections(), asked.load(Ordering::SeqCst)), (2, 3));
}

#[tokio::test]
async fn a_webhook_that_always_hangs_up_is_an_error() {
    let hook = Hook::start(|_, _| Reply::HangUp).await;
    let refused = ask(&Caller::default(), &hook.config(), SOON).await.unwrap_err();
    assert!(refused.starts_with(&format!("Post \"https://localhost:{}/ask?timeout=7s\": ", hook.port)), "{refused}");
    assert_eq!(hook.connections(), 1);
}

#[tokio::test]
async fn silence_ends_in_time_and_its_connection_is_not_used_again() {
    let asked = AtomicUsize::new(0);
    let hook = Hook::start(move |_, _| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::Silence,
        _ => Reply::Json(json!({})),
    })
    .await;
    let caller = Caller::default();
    let refused = ask(&caller, &hook.config(), Duration::from_millis(200)).await.unwrap_err();
    assert!(refused.ends_with("context deadline exceeded"), "{refused}");
    ask(&caller, &hook.config(), SOON).await.unwrap();
    assert_eq!(hook.connections(), 2);
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_errors() {
    let raw = |status: u16, body: Vec<u8>| {
        move || Response::builder().status(status).header("location", "/ask").body(Full::from(body.clone())).unwrap()
    };
    let large = format!("\"{}\"", "x".repeat(ANSWER_BYTES));
    for (status, body, why) in [
        (500, b"{}".to_vec(), "answered 500"),
        (302, b"{}".to_vec(), "answered 302"),
        (200, b"garbage".to_vec(), "is not JSON"),
        (200, large.into_bytes(), "larger than 3145728 bytes"),
    ] {
        let reply = raw(status, body);
        let hook = Hook::start(move |_, _| Reply::Raw(reply())).await;
        let refused = ask(&Caller::default(), &hook.config(), SOON).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
        assert_eq!(hook.connections(), 1, "{why}: nothing is followed or asked again");
    }
}

#[tokio::test]
async fn only_a_webhook_with_the_right_certificate_is_asked() {
    let (hook, other) =
        (Hook::start(|_, _| Reply::Json(json!({}))).await, Hook::start(|_, _| Reply::Json(json!({}))).await);
    let caller = Caller::default();
    let mut wrong = hook.config();
    wrong["caBundle"] = other.config()["caBundle"].clone();
    assert!(ask(&caller, &wrong, SOON).await.unwrap_err().contains("certificate"));
    let mut other_name = hook.config();
    other_name["url"] = format!("https://127.0.0.1:{}/ask", hook.port).into();
    assert!(ask(&caller, &other_name, SOON).await.unwrap_err().contains("certificate"));
    ask(&caller, &hook.config(), SOON).await.unwrap();
    assert_eq!(hook.connections(), 1);
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let config = Hook::start(|_, _| Reply::Silence).await.config();
    assert!(ask(&Caller::default(), &config, SOON).await.unwrap_err().contains("cannot connect"));
}

#[tokio::test]
async fn targets_are_bounded() {
    let (caller, hook) = (Caller::default(), Hook::start(|_, _| Reply::Json(json!({}))).await);
    ask(&caller, &hook.config(), SOON).await.unwrap();
    for port in 1..200 {
        let address = crate::outgoing::Address::parse(&format!("https://localhost:{port}/")).unwrap();
        caller.target(&address, hook.config()["caBundle"].as_str()).unwrap();
    }
    assert_eq!(caller.targets.lock().unwrap().len(), super::TARGETS);
    ask(&caller, &hook.config(), SOON).await.unwrap();
}

#[test]
fn a_client_config_names_one_https_address() {
    let says = |config: Value| {
        let errors = check_client_config(&config, "c");
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(says(json!({"url": "https://hooks.example.org/a", "caBundle": ""})), "");
    assert_eq!(says(json!({"url": "https://[::1]:8443"})), "");
    for (config, why) in [
        (json!({}), "c: Required value: exactly one of url or service is required"),
        (json!({"url": "https://a", "service": {}}), "exactly one of url or service is required"),
        (json!({"service": {"name": "a", "namespace": "b"}}), "c.service: Forbidden: this server has no network"),
        (
            json!({"url": "http://localhost/a"}),
            "c.url: Invalid value: \"http\": 'https' is the only allowed URL scheme",
        ),
        (json!({"url": "https://u:p@a/"}), "user information is not permitted in the URL"),
        (json!({"url": "https://a/#f"}), "Invalid value: \"f\": fragments are not permitted in the URL"),
        (json!({"url": "https://a/?q=1"}), "Invalid value: \"q=1\": query parameters are not permitted in the URL"),
        (json!({"url": "/path"}), "host must be specified"),
        (json!({"url": "https://a b"}), "c.url: Required value: url must be a valid URL"),
        (json!({"url": "https://a", "caBundle": "bm90aGluZw=="}), "c.caBundle: Invalid value"),
    ] {
        let said = says(config.clone());
        assert!(said.contains(why), "{config}: {said}");
    }
    assert!(!says(json!({"url": "https://u:secret@a/"})).contains("secret"));
}
