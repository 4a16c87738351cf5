//! Every way a request can fail, and the `Status` object that a client sees.
//!
//! The message of a [`Status`](ApiError::to_status) is safe for the client; the internal cause stays in `source` and goes to the log.

use serde_json::{Value, json};

/// One reason among several why an object was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A machine-readable word, such as `FieldValueInvalid`.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The path of the field, such as `spec.memory`.
    pub field: String,
}

/// What the failure is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// API group, empty for core.
    pub group: String,
    /// The kind where the object was refused, else the plural resource.
    pub kind: String,
    /// The object's name.
    pub name: String,
}

/// A failed request, in the vocabulary of the Kubernetes API conventions.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// `reason` of the Status: `NotFound`, `Invalid`, …
    pub reason: &'static str,
    /// A sentence for the client.
    pub message: String,
    /// What it is about, if a particular object.
    pub subject: Option<Box<Subject>>,
    /// The reasons, for `Invalid` and for conflicts of field managers.
    pub causes: Vec<Cause>,
    /// When to try again.
    pub retry_after_seconds: Option<u32>,
    /// `metadata.continue` of the Status: a token that goes on after a compacted page.
    pub continue_token: Option<Box<str>>,
    /// The internal cause, for the log only.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// A failure with this code, reason and message.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            subject: None,
            causes: Vec::new(),
            retry_after_seconds: None,
            continue_token: None,
            source: None,
        }
    }

    /// The request makes no sense: says what to change.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// Nobody, or a credential that is not known.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// A credential that does not hold, and why; nothing that helps to guess another one.
    pub fn unauthenticated(why: &str) -> Self {
        Self::new(401, "Unauthorized", format!("Unauthorized: {why}"))
    }

    /// Known, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "Forbidden", message)
    }

    /// The object is not there.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(resource, group));
        Self::new(404, "NotFound", message).about(group, resource, name)
    }

    /// The path leads nowhere.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// An object of this name exists.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", qualified(resource, group));
        Self::new(409, "AlreadyExists", message).about(group, resource, name)
    }

    /// Somebody else was faster.
    pub fn conflict(group: &str, resource: &str, name: &str, detail: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {detail}", qualified(resource, group));
        Self::new(409, "Conflict", message).about(group, resource, name)
    }

    /// The object was refused, field by field.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let list = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>();
        let list = if list.len() == 1 { list.concat() } else { format!("[{}]", list.join(", ")) };
        let message = format!("{} \"{name}\" is invalid: {list}", qualified(kind, group));
        let mut error = Self::new(422, "Invalid", message).about(group, kind, name);
        error.causes = causes;
        error
    }

    /// The body is too large.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("the request body is larger than the limit of {limit} bytes");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// The revision asked for is gone: list again.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// Too much at once: come back later.
    pub fn too_many_requests() -> Self {
        let mut error = Self::new(429, "TooManyRequests", "too many requests, please try again later");
        error.retry_after_seconds = Some(1);
        error
    }

    /// Something inside failed; the client learns only that.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let mut error = Self::new(500, "InternalError", "an error on the server prevented the request from succeeding");
        error.source = Some(source.into());
        error
    }

    /// Names the object that the failure is about.
    #[must_use]
    pub fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        self.subject = Some(Box::new(Subject { group: group.into(), kind: kind.into(), name: name.into() }));
        self
    }

    /// The `Status` object of the Kubernetes API.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let (true, Some(status)) = (self.reason.is_empty(), status.as_object_mut()) {
            status.remove("reason");
        }
        let mut details = serde_json::Map::new();
        if let Some(subject) = &self.subject {
            for (key, value) in [("name", &subject.name), ("group", &subject.group), ("kind", &subject.kind)] {
                if !value.is_empty() {
                    details.insert(key.into(), value.as_str().into());
                }
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter();
            let causes =
                causes.map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}));
            details.insert("causes".into(), causes.collect());
        }
        if let Some(seconds) = self.retry_after_seconds {
            details.insert("retryAfterSeconds".into(), seconds.into());
        }
        if !details.is_empty() {
            status["details"] = Value::Object(details);
        }
        if let Some(token) = &self.continue_token {
            status["metadata"]["continue"] = (**token).into();
        }
        status
    }
}

/// The error and what lies behind it, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// `notebookservers.essaim.dev`, or just the resource in the core group.
fn qualified(resource: &str, group: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}
