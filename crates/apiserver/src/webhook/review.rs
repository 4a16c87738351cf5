//! The question and its answer: `AdmissionReview` of `admission.k8s.io/v1`.

use serde_json::{Value, json};

use crate::{ApiError, error::Cause};

/// The versions of the review that can be sent.
pub(crate) const REVIEW_VERSIONS: [&str; 1] = ["v1"];

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// Longer refusals are cut off: they are put into an answer as they are.
const MESSAGE_CHARS: usize = 32 * 1024;
/// More warnings than an answer has room for.
const WARNINGS: usize = 100;
const CAUSES: usize = 100;
/// Reasons that clients know; another word would mean nothing to them.
const REASONS: &[&str] = &[
    "Unauthorized",
    "Forbidden",
    "NotFound",
    "AlreadyExists",
    "Conflict",
    "Gone",
    "Invalid",
    "ServerTimeout",
    "StoreReadError",
    "Timeout",
    "TooManyRequests",
    "BadRequest",
    "MethodNotAllowed",
    "NotAcceptable",
    "RequestEntityTooLarge",
    "UnsupportedMediaType",
    "InternalError",
    "Expired",
    "ServiceUnavailable",
];

/// A question, still without the objects.
pub(crate) struct Review {
    pub(crate) uid: String,
    pub(crate) request: Value,
}

/// What a webhook said.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// For the client.
    pub(crate) warnings: Vec<String>,
    /// The refusal, if it is one.
    pub(crate) denial: Option<ApiError>,
}

impl Review {
    /// The document to send. Nothing stands for an object that is not there, or is no more.
    pub(crate) fn with_objects(mut self, object: &Value, old: &Value) -> Value {
        self.request["uid"] = self.uid.into();
        self.request["object"] = object.clone();
        self.request["oldObject"] = old.clone();
        json!({"kind": KIND, "apiVersion": API_VERSION, "request": self.request})
    }
}

impl Verdict {
    /// Reads an answer to the question with this uid; the error says why it is none.
    pub(crate) fn read(answer: &Value, uid: &str, webhook: &str) -> Result<Self, String> {
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, kind) = (text(answer, "apiVersion"), text(answer, "kind"));
        if (version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
            return Err(format!(
                "expected webhook response of {API_VERSION}, Kind={KIND}, got {}, Kind={}",
                shortened(&version, 100),
                shortened(&kind, 100)
            ));
        }
        let response = answer.get("response").filter(|response| response.is_object());
        let response = response.ok_or("webhook response was absent")?;
        let given = text(response, "uid");
        if given != uid {
            return Err(format!("expected response.uid={uid:?}, got {:?}", shortened(&given, 100)));
        }
        let warnings = response.get("warnings").and_then(Value::as_array).into_iter().flatten();
        let warnings = warnings.filter_map(Value::as_str).take(WARNINGS).map(str::to_owned).collect();
        let denial = match response.get("allowed").and_then(Value::as_bool) {
            Some(true) => None,
            Some(false) => Some(denial(response.get("status").unwrap_or(&Value::Null), webhook)),
            None => return Err("response.allowed is no boolean".into()),
        };
        Ok(Self { warnings, denial })
    }
}

/// A refusal never looks like a success, whatever code the webhook names.
fn denial(status: &Value, webhook: &str) -> ApiError {
    let text = |field: &str| status.get(field).and_then(Value::as_str).unwrap_or_default();
    let code = status.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (400..600).contains(code)).unwrap_or(400);
    let denied = format!("admission webhook {webhook:?} denied the request");
    let message = match (text("message"), text("reason")) {
        ("", "") => format!("{denied} without explanation"),
        ("", reason) => format!("{denied}: {}", shortened(reason, MESSAGE_CHARS)),
        (message, _) => format!("{denied}: {}", shortened(message, MESSAGE_CHARS)),
    };
    let reason = REASONS.iter().find(|known| **known == text("reason")).copied().unwrap_or_default();
    let mut error = ApiError::new(code, reason, message);
    let causes = status.pointer("/details/causes").and_then(Value::as_array).into_iter().flatten().take(CAUSES);
    let field = |cause: &Value, name: &str| {
        shortened(cause.get(name).and_then(Value::as_str).unwrap_or_default(), MESSAGE_CHARS / CAUSES)
    };
    error.causes = causes
        .map(|one| Cause { reason: field(one, "reason"), message: field(one, "message"), field: field(one, "field") })
        .collect();
    error
}

fn shortened(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{REASONS, Verdict};

    fn read(response: &Value) -> Result<Verdict, String> {
        let answer = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response});
        Verdict::read(&answer, "u1", "a.b.c")
    }

    fn denied(status: &Value) -> (u16, &'static str, String) {
        let denial = read(&json!({"uid": "u1", "allowed": false, "status": status})).unwrap().denial.unwrap();
        (denial.code, denial.reason, denial.message)
    }

    #[test]
    fn what_is_allowed_may_come_with_warnings() {
        let verdict =
            read(&json!({"uid": "u1", "allowed": true, "warnings": ["one", 2, "three"], "status": {"code": 500}}))
                .unwrap();
        assert_eq!(verdict.warnings, ["one", "three"]);
        assert!(verdict.denial.is_none());
    }

    #[test]
    fn a_refusal_has_the_code_and_words_of_the_webhook() {
        let said = "admission webhook \"a.b.c\" denied the request";
        assert_eq!(denied(&json!({})), (400, "", format!("{said} without explanation")));
        assert_eq!(
            denied(&json!({"code": 403, "reason": "Forbidden", "message": "too big"})),
            (403, "Forbidden", format!("{said}: too big"))
        );
        assert_eq!(denied(&json!({"reason": "TooBig"})), (400, "", format!("{said}: TooBig")));
        for code in [json!(200), json!(0), json!(-1), json!(99999), json!("x")] {
            assert_eq!(denied(&json!({"code": code})).0, 400, "{code}");
        }
        let causes = json!({"details": {"causes": [{"reason": "R", "message": "M", "field": "spec.size"}]}});
        let denial = read(&json!({"uid": "u1", "allowed": false, "status": causes})).unwrap().denial.unwrap();
        assert_eq!(denial.causes[0].field, "spec.size");
        assert!(denied(&json!({"message": "x".repeat(1 << 20)})).2.len() < 40_000);
        assert!(REASONS.contains(&"Invalid"));
    }

    #[test]
    fn what_is_no_answer_is_said() {
        for (response, words) in [
            (json!(null), "webhook response was absent"),
            (json!({"uid": "u2", "allowed": true}), "expected response.uid=\"u1\", got \"u2\""),
            (json!({"allowed": true}), "got \"\""),
            (json!({"uid": "u1"}), "response.allowed is no boolean"),
            (json!({"uid": "u1", "allowed": "true"}), "response.allowed is no boolean"),
        ] {
            assert!(read(&response).unwrap_err().contains(words), "{response}");
        }
        let other = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1"});
        assert_eq!(
            Verdict::read(&other, "u1", "a.b.c").unwrap_err(),
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1beta1, Kind=AdmissionReview"
        );
        assert!(Verdict::read(&json!("garbage"), "u1", "a.b.c").is_err());
    }
}
