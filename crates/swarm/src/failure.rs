//! Why a call to the manager gave no result, and which class of error that is.

use std::{fmt::Write as _, sync::Arc};

use essaim_backend::swarm::Error;
use serde::Deserialize;

/// A call that gave no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The manager answered that it will not or cannot.
    #[error("the manager answered {status}: {message}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The manager's sentence, cleaned.
        message: String,
    },
    /// No answer, or none that can be read.
    #[error("no answer: {tried}")]
    Silence {
        /// What was tried.
        tried: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("no answer within {seconds} s")]
    Late {
        /// The limit.
        seconds: f32,
    },
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl Failure {
    /// From an answer that is no success.
    pub(crate) fn answer(status: u16, body: &[u8]) -> Self {
        let message = serde_json::from_slice(body)
            .map_or_else(|_| String::from_utf8_lossy(body).trim().to_owned(), |Message { message }| clean(&message));
        Failure::Answer { status, message }
    }

    pub(crate) fn silence(tried: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Failure::Silence { tried, source: source.into() }
    }

    /// Whether the manager said that the thing is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Failure::Answer { status: 404, .. })
    }

    /// Whether the manager said that the name is in use.
    pub(crate) fn is_name_taken(&self) -> bool {
        matches!(self, Failure::Answer { status: 409, .. }) || self.says("already exists")
    }

    /// Whether somebody else changed the thing meanwhile; engines before 23 say so with status 500.
    pub(crate) fn is_out_of_sequence(&self) -> bool {
        self.says("update out of sequence")
    }

    /// Whether a service still uses the secret.
    pub(crate) fn is_in_use(&self) -> bool {
        self.says("is in use by the following service")
    }

    fn says(&self, words: &str) -> bool {
        matches!(self, Failure::Answer { message, .. } if message.contains(words))
    }

    /// Whether trying the same again gives the same. A missing network is answered with status 500.
    fn is_final(&self) -> bool {
        match self {
            Failure::Answer { status: 408 | 429, .. } | Failure::Silence { .. } | Failure::Late { .. } => false,
            Failure::Answer { status, .. } => (400..500).contains(status) || (*status == 500 && self.says("not found")),
        }
    }

    /// The error for the caller.
    pub(crate) fn into_error(self, operation: &'static str) -> Error {
        match self {
            Failure::Answer { ref message, .. } if self.is_final() => {
                Error::Refused { operation, message: message.clone() }
            }
            other => Error::Unreachable { operation, source: Box::new(other) },
        }
    }
}

/// A failed look, shared by everybody who waited for it.
#[derive(Clone, Debug)]
pub(crate) struct LookFailure {
    /// What was tried.
    pub operation: &'static str,
    /// Why there is no picture.
    pub failure: Arc<Failure>,
}

impl LookFailure {
    pub(crate) fn error(&self) -> Error {
        let operation = self.operation;
        match &*self.failure {
            Failure::Answer { message, .. } if self.failure.is_final() => {
                Error::Refused { operation, message: message.clone() }
            }
            _ => Error::Unreachable { operation, source: Box::new(Arc::clone(&self.failure)) },
        }
    }

    /// The whole chain on one line, for the log.
    pub(crate) fn chain(&self) -> String {
        let mut line = format!("cannot {}: {}", self.operation, self.failure);
        let mut cause = std::error::Error::source(&*self.failure);
        while let Some(error) = cause {
            // Writing to a String cannot fail.
            let _ = write!(line, ": {error}");
            cause = error.source();
        }
        line
    }
}

/// The manager's sentence without the wrapping of the protocol between its parts.
fn clean(message: &str) -> String {
    let message = message.trim();
    let inner = message.strip_prefix("rpc error: code = ").and_then(|rest| rest.split_once(" desc = "));
    inner.map_or(message, |(_code, sentence)| sentence).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, message: &str) -> Failure {
        Failure::answer(status, serde_json::json!({ "message": message }).to_string().as_bytes())
    }

    #[test]
    fn the_managers_sentence_is_freed_of_its_wrapping() {
        let error = answer(400, "rpc error: code = InvalidArgument desc = name must be 63 characters or fewer")
            .into_error("create the service");
        assert_eq!(error.to_string(), "the Swarm refused to create the service: name must be 63 characters or fewer");
    }

    #[test]
    fn a_busy_or_headless_manager_is_unreachable_and_a_missing_network_is_refused() {
        let headless = answer(500, "rpc error: code = Unknown desc = The swarm does not have a leader.")
            .into_error("list services");
        assert!(matches!(headless, Error::Unreachable { .. }));
        assert!(matches!(
            answer(503, "This node is not a swarm manager.").into_error("list services"),
            Error::Unreachable { .. }
        ));
        assert!(matches!(answer(429, "slow down").into_error("list services"), Error::Unreachable { .. }));
        assert!(matches!(
            answer(500, "network essaim not found").into_error("create the service"),
            Error::Refused { .. }
        ));
    }

    #[test]
    fn an_answer_that_is_no_json_is_kept_as_it_is() {
        assert_eq!(Failure::answer(502, b"bad gateway\n").to_string(), "the manager answered 502: bad gateway");
    }

    #[test]
    fn the_log_line_names_every_cause() {
        let failure = LookFailure {
            operation: "list nodes",
            failure: Arc::new(Failure::silence("connecting", std::io::Error::other("refused"))),
        };
        assert_eq!(failure.chain(), "cannot list nodes: no answer: connecting: refused");
    }
}
