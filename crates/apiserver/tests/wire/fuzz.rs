//! Hostile requests, at random: whatever is asked, the answer is a refusal or a success, and the server goes on.
//!
//! A panic in a handler is an answer with 500 and fails here like every other. Those in tasks beside the handlers are seen
//! by a hook. What must never happen is in `judge`; what the requests are made of is in the modules below.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here should fail the test")]

mod definitions;
mod requests;
mod values;

use std::{
    env, panic,
    sync::{Mutex, Once, PoisonError},
    thread,
    time::Duration,
};

use axum::{Router, body::Body};
use futures::future::join_all;
use http::{HeaderValue, Request, Uri};
use http_body_util::BodyExt as _;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use self::{definitions::Defined, requests::Hostile};
use crate::support::Fixture;

/// Longer than any handler may take.
const HANGS: Duration = Duration::from_mins(1);
/// Requests that are under way together, so that those that wait do so at once.
const TOGETHER: usize = 8;
/// How often a definition is tried again without what was wrong with it.
const MENDED: usize = 6;
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS: &str = "/apis/fuzz.test/v1/namespaces/default/things";

/// What tasks of the server said when they panicked.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn listen_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            // The threads of tests have the tests' names. What panics there is a test, or a handler that answers 500.
            let is_beside = thread::current().name().is_some_and(|name| !name.contains("::") && name != "main");
            if is_beside {
                PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(panicked.to_string());
            }
            before(panicked);
        }));
        let log = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::ERROR);
        // Whoever was first keeps the log.
        let _ = log.with_test_writer().try_init();
    });
}

/// How many cases, where so many are for every day.
#[expect(clippy::disallowed_methods, reason = "a test is told by its environment that it has time")]
fn cases(ordinary: u32) -> u32 {
    if env::var("ESSAIM_SOAK").is_ok() { ordinary * 100 } else { ordinary }
}

/// Runs cases against one server; `case` makes its own demands on the answers besides those on all.
fn run<T: std::fmt::Debug>(
    ordinary: u32,
    strategy: impl Strategy<Value = T>,
    case: &impl AsyncFn(&Hostility, T) -> Result<(), String>,
) {
    listen_for_panics();
    let runtime = Runtime::new().unwrap();
    let hostility = runtime.block_on(Hostility::start());
    let config =
        Config { cases: cases(ordinary), failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let ended = TestRunner::new(config).run(&strategy, |value| {
        let outcome = runtime.block_on(async {
            case(&hostility, value).await?;
            hostility.still_lives().await
        });
        outcome.map_err(TestCaseError::fail)
    });
    if let Err(failed) = ended {
        panic!("{failed}");
    }
}

/// A server that is treated badly.
struct Hostility {
    fixture: Fixture,
}

impl Hostility {
    async fn start() -> Self {
        Self { fixture: Fixture::start().await }
    }

    /// Puts there what requests are about; who finds it there leaves it alone.
    async fn stand(&self) -> Result<(), String> {
        let metadata = json!({"name": "one", "labels": {"a/b": "c"}});
        for (path, object) in [
            (
                "/apis/toys.test/v1/namespaces/default/widgets",
                json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": metadata, "spec": {"color": "red", "size": 1, "tags": ["x", "y"]}}),
            ),
            ("/api/v1/namespaces/default/configmaps", json!({"metadata": metadata, "data": {"a": "b"}})),
            (
                "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
                json!({"metadata": metadata, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}),
            ),
        ] {
            let made = self.json("POST", path, &object).await?.0;
            if made != 201 && made != 409 {
                return Err(format!("POST {path} was answered {made}"));
            }
        }
        Ok(())
    }

    async fn json(&self, method: &str, path: &str, body: &Value) -> Result<(u16, String), String> {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).map_err(|error| error.to_string())?;
        answer(self.fixture.router(), request).await.and_then(|(code, text)| judge(code, text, false))
    }

    /// Sends what HTTP lets through, all at once.
    async fn suffer(&self, requests: Vec<Hostile>) -> Result<(), String> {
        let answers = requests.into_iter().map(async |hostile| {
            let Some(request) = request(&hostile) else { return Ok(()) };
            let waits = hostile.query.iter().any(|(name, _)| name == "resourceVersion");
            let judged = answer(self.fixture.router(), request).await.and_then(|(code, text)| judge(code, text, waits));
            judged.map(drop).map_err(|wrong| format!("{hostile:?}: {wrong}"))
        });
        join_all(answers).await.into_iter().collect()
    }

    async fn still_lives(&self) -> Result<(), String> {
        let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
        if !panics.is_empty() {
            return Err(format!("panicked: {panics:?}"));
        }
        let (code, _) = self.json("GET", "/livez", &Value::Null).await?;
        if code == 200 { Ok(()) } else { Err(format!("/livez is answered {code}")) }
    }

    /// Tries a definition and, where it is served, objects of it, and takes it away again.
    async fn define(&self, defined: Defined) -> Result<(), String> {
        let mut definition = defined.definition;
        let mut made = self.json("POST", DEFINITIONS, &definition).await?;
        for _ in 0..MENDED {
            if made.0 != 422 {
                break;
            }
            definition = definitions::mended(definition, &made.1);
            made = self.json("POST", DEFINITIONS, &definition).await?;
        }
        if made.0 != 201 {
            return Ok(());
        }
        let one = |method: &str, path: &str, media_type: &str, object: &Value| Hostile {
            method: method.to_owned(),
            path: format!("{THINGS}{path}"),
            query: [("fieldManager".to_owned(), "one".to_owned())].into(),
            headers: vec![("content-type", format!("application/{media_type}"))],
            body: object.to_string().into(),
        };
        let examples = defined.seeds.iter().map(|seed| definitions::example(&definition, *seed));
        for mut object in defined.objects.into_iter().chain(examples) {
            for _ in 0..MENDED {
                let (code, refusal) = self.json("POST", THINGS, &object).await?;
                if code != 422 {
                    break;
                }
                object = definitions::mended_object(object, &refusal);
            }
            let object = &object;
            for request in [
                one("PATCH", "/one", "merge-patch+json", object),
                one("PATCH", "/one/status", "merge-patch+json", object),
                one("PATCH", "/one", "apply-patch+yaml", object),
            ] {
                self.suffer(vec![request]).await?;
            }
        }
        let table = vec![("accept", "application/json;as=Table;v=v1;g=meta.k8s.io".to_owned())];
        let looks = [
            "/apis/fuzz.test/v1/things",
            "/openapi/v3/apis/fuzz.test/v1",
            &format!("{THINGS}/one/scale"),
            &format!("{THINGS}/one"),
        ];
        let looks = looks.map(|path| Hostile {
            method: "GET".into(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: table.clone(),
            body: Vec::new(),
        });
        self.suffer(looks.into()).await?;
        self.vanish().await
    }

    async fn vanish(&self) -> Result<(), String> {
        let path = format!("{DEFINITIONS}/things.fuzz.test");
        let gone = async {
            while self.json("DELETE", &path, &json!({})).await?.0 != 404 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(())
        };
        tokio::time::timeout(HANGS, gone).await.map_err(|_| "the definition does not go".to_owned())?
    }
}

/// Nothing where HTTP itself would refuse.
fn request(hostile: &Hostile) -> Option<Request<Body>> {
    let mut request = Request::builder().method(hostile.method.as_str()).uri(hostile.uri().parse::<Uri>().ok()?);
    for (name, value) in &hostile.headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    request.body(Body::from(hostile.body.clone())).ok()
}

/// The code and the text of an answer; of a watch, what is there at once.
async fn answer(router: Router, request: Request<Body>) -> Result<(u16, String), String> {
    let answered = async {
        let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
        let (code, is_watch) = (response.status().as_u16(), response.headers().contains_key("x-accel-buffering"));
        let mut body = response.into_body();
        if is_watch {
            let _ = tokio::time::timeout(Duration::from_millis(1), body.frame()).await;
            return Ok((code, String::new()));
        }
        let bytes =
            body.collect().await.map_err(|error| format!("{code}, and the body ends early: {error}"))?.to_bytes();
        Ok((code, String::from_utf8_lossy(&bytes).into_owned()))
    };
    tokio::time::timeout(HANGS, answered).await.map_err(|_| "no answer".to_owned())?
}

/// What the server did is never its own fault; only a moment to come may be waited for in vain.
fn judge(code: u16, text: String, waits: bool) -> Result<(u16, String), String> {
    let late = waits && code == 504 && text.contains("Timeout");
    if code >= 500 && !late {
        return Err(format!("{code}: {text}"));
    }
    if code >= 400 && serde_json::from_str::<Value>(&text).is_ok_and(|status| status["kind"] != "Status") {
        return Err(format!("{code} without a Status: {text}"));
    }
    Ok((code, text))
}

fn together<T: std::fmt::Debug>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    vec(one, 1..=TOGETHER)
}

#[test]
fn any_path_method_and_query_is_answered() {
    run(48, together(requests::anywhere()), &async |server: &Hostility, requests| server.suffer(requests).await);
}

#[test]
fn any_body_is_answered() {
    run(48, together(requests::body()), &async |server: &Hostility, requests| server.suffer(requests).await);
}

#[test]
fn any_options_of_a_deletion_are_answered() {
    run(16, together(requests::deletion()), &async |server: &Hostility, requests| {
        server.stand().await?;
        server.suffer(requests).await
    });
}

#[test]
fn any_patch_is_answered() {
    run(48, together(requests::patch()), &async |server: &Hostility, requests| {
        server.stand().await?;
        server.suffer(requests).await
    });
}

#[test]
fn any_managed_fields_are_answered() {
    run(32, together(requests::managed()), &async |server: &Hostility, requests| {
        server.stand().await?;
        server.suffer(requests).await
    });
}

#[test]
fn any_selection_is_answered() {
    run(24, together(requests::selection()), &async |server: &Hostility, requests| {
        server.stand().await?;
        server.suffer(requests).await
    });
}

#[test]
fn any_wish_for_a_form_is_answered() {
    run(32, together(requests::accepting()), &async |server: &Hostility, requests| {
        server.stand().await?;
        server.suffer(requests).await
    });
}

#[test]
fn any_definition_with_its_objects_is_answered() {
    run(24, definitions::defined(), &async |server: &Hostility, defined| server.define(defined).await);
}
