//! What can go wrong in the gateway itself, and how errors are printed into the log.

use std::fmt::Write as _;

/// Why a gateway could not be made, could not run, or could not answer a question.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The site key is too short. Terminal: operations must give a longer one.
    #[error("the site key has {bytes} bytes; at least 32 are needed")]
    SiteKeyTooShort {
        /// Length of the key that was given.
        bytes: usize,
    },
    /// The system gave no random bytes for a session.
    #[error("cannot get random bytes for a session")]
    Random(#[source] getrandom::Error),
    /// The API did not do what it was asked. Transient.
    #[error("cannot {operation}")]
    Api {
        /// What was tried.
        operation: &'static str,
        /// The client's error.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API did not answer in time. Transient.
    #[error("no answer in time: {operation}")]
    ApiTimeout {
        /// What was tried.
        operation: &'static str,
    },
    /// The login cannot have a namespace, because its name means something else. Terminal: the user must change.
    #[error("the login {login} is a reserved name")]
    ReservedLogin {
        /// The login.
        login: String,
    },
    /// The session would be too large for a cookie. Terminal: the account has too many groups.
    #[error("the groups of {login} do not fit into a session cookie")]
    SessionTooLarge {
        /// The login.
        login: String,
    },
}

/// The error and its causes, for one field of a log line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {source}");
        cause = source.source();
    }
    text
}
