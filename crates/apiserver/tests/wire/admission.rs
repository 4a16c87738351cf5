//! Rules of the composition root, as clients see them.

use std::sync::Arc;

use essaim_apiserver::{
    Admission, AdmissionRequest, Admitted, Amounts, ApiError, Charge, Claim, Collection, Operation, Options, Quota,
    UserInfo,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{Fixture, clock, send};

/// Says who made and who removes a Widget; nobody but its owner may.
struct Owned;

impl Admission for Owned {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError> {
        if request.kind != "Widget" {
            return Ok(Admitted::unchanged());
        }
        let who = request.user.map_or("nobody", |user| user.name.as_str());
        if request.operation == Operation::Create {
            let mut object = request.object.clone();
            object["metadata"]["labels"]["owner"] = who.into();
            return Ok(Admitted::with(object).and_warn(format!("it is of {who}")));
        }
        match request.object["metadata"]["labels"]["owner"].as_str() {
            Some(owner) if owner != who => Err(request.forbidden(&format!("it is of {owner}"))),
            _ => Ok(Admitted::unchanged()),
        }
    }
}

/// Two Widgets for each owner.
struct Two;

impl Quota for Two {
    fn name(&self) -> &'static str {
        "two"
    }

    fn version(&self) -> u32 {
        1
    }

    fn charged(&self) -> Vec<Collection> {
        vec![Collection::new("toys.test", "widgets")]
    }

    fn charges(&self, stored: &Value) -> Vec<Charge> {
        let account = stored["metadata"]["labels"]["owner"].as_str().unwrap_or_default().to_owned();
        vec![Charge { account, amounts: Amounts::from([("widgets".to_owned(), 1)]) }]
    }

    fn judge(&self, claim: &Claim<'_>) -> Result<Vec<String>, ApiError> {
        let limits = Amounts::from([("widgets".to_owned(), 2)]);
        for growth in claim.accounts {
            growth.within("two", &limits).map_err(|detail| claim.write.forbidden(&detail))?;
        }
        Ok(vec!["it was counted".to_owned()])
    }
}

const PATH: &str = "/apis/toys.test/v1/namespaces/default/widgets";

#[expect(clippy::unwrap_used, reason = "a helper that fails should fail the test")]
async fn answer(fixture: &Fixture, who: &str, method: &str, path: &str, body: Value) -> (u16, Vec<String>, Value) {
    let router = fixture.server.in_process(UserInfo::new(who, ["system:masters"]));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let response = send(router, method, path, &[], body).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let warnings = headers.get_all("warning").iter().map(|warning| warning.to_str().unwrap().to_owned()).collect();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, warnings, serde_json::from_slice(&bytes).unwrap())
}

fn widget(name: &str) -> Value {
    json!({"apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"color": "red"}})
}

#[tokio::test]
async fn rules_know_who_asks_and_their_words_reach_the_client() {
    let mut options = Options::new(clock());
    options.admission.push(Arc::new(Owned));
    options.quotas.push(Arc::new(Two));
    let fixture = Fixture::with(options).await;

    let (status, warnings, made) = answer(&fixture, "alice", "POST", PATH, widget("a")).await;
    assert_eq!((status, &made["metadata"]["labels"]["owner"]), (201, &json!("alice")));
    assert_eq!(warnings, [r#"299 - "it is of alice""#, r#"299 - "it was counted""#]);
    assert_eq!(answer(&fixture, "alice", "POST", PATH, widget("b")).await.0, 201);
    assert_eq!(answer(&fixture, "bob", "POST", PATH, widget("c")).await.0, 201);

    let (status, _, refused) = answer(&fixture, "alice", "POST", PATH, widget("d")).await;
    assert_eq!((status, &refused["reason"]), (403, &json!("Forbidden")));
    let message = "widgets.toys.test \"d\" is forbidden: exceeded quota: two, requested: widgets=1, used: widgets=2, limited: widgets=2";
    assert_eq!(refused["message"], message);
    assert_eq!(refused["details"], json!({"name": "d", "group": "toys.test", "kind": "widgets"}));

    let (status, _, refused) = answer(&fixture, "bob", "DELETE", &format!("{PATH}/a"), Value::Null).await;
    assert_eq!((status, &refused["message"]), (403, &json!("widgets.toys.test \"a\" is forbidden: it is of alice")));
    assert_eq!(answer(&fixture, "alice", "DELETE", &format!("{PATH}/a"), Value::Null).await.0, 200);
    assert_eq!(answer(&fixture, "alice", "POST", PATH, widget("d")).await.0, 201);
}

#[tokio::test]
async fn charges_are_no_objects() {
    let mut options = Options::new(clock());
    options.quotas.push(Arc::new(Two));
    let fixture = Fixture::with(options).await;
    assert_eq!(answer(&fixture, "alice", "POST", PATH, widget("a")).await.0, 201);
    for path in ["/apis/.charges/v1/accounts", "/apis/.charges/accounts/two", "/api/v1/.charges"] {
        assert_eq!(answer(&fixture, "alice", "GET", path, Value::Null).await.0, 404, "{path}");
    }
    fixture.server.recount().await.unwrap();
}
