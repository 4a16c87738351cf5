//! What can go wrong between here and etcd, and what it means for a write.

use std::error::Error as StdError;

use tonic::{Code, ConnectError, Status};

use super::client::LIMIT;
use crate::{
    memory::Contradiction,
    model::{Error, Revision},
};

/// Why etcd did not do or tell something.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("etcd cannot be reached")]
    Unreachable(#[source] Status),
    #[error("etcd refused")]
    Refused(#[source] Status),
    #[error("the connection to etcd broke")]
    Broken(#[source] Status),
    #[error("etcd did not answer within {} s", LIMIT.as_secs())]
    TimedOut,
    #[error("etcd's watch did not arrive at revision {revision} within {} s", LIMIT.as_secs())]
    Late { revision: Revision },
    #[error("an answer of etcd lacks its {what}")]
    Malformed { what: &'static str },
    #[error("etcd ended the watch: {reason}")]
    Canceled { reason: String },
    #[error("etcd has forgotten what came after revision {revision}")]
    Compacted { revision: Revision },
    #[error("etcd's watch left something out")]
    Contradicted(#[from] Contradiction),
    #[error("etcd's watch told of revision {revision} after it had gone past it")]
    Disordered { revision: Revision },
    #[error("etcd's newest revision is {found}, and it was {known} before: it was restored, or it is another cluster")]
    WentBack { known: Revision, found: Revision },
    #[error("etcd is version {version}, needed is 3.4 or later")]
    TooOld { version: String },
    #[error("changes do not arrive from etcd at the moment")]
    NotFollowed,
    #[error("a restore into this etcd goes on, or did not end: remove all keys under the prefix and restore again")]
    Restoring,
    #[error("a backup was restored into this etcd: start this process again")]
    AnotherEpoch,
    #[error("what another restore wrote is in the way")]
    Disturbed,
}

impl Fault {
    /// Whether the request certainly never left, so that another member can be asked.
    pub(super) fn is_unsent(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether another member may do better.
    pub(super) fn is_of_the_member(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut)
    }

    /// Whether the picture does not follow from the one before any more.
    pub(super) fn needs_reading_anew(&self) -> bool {
        match self {
            Self::Compacted { .. }
            | Self::Contradicted(_)
            | Self::Disordered { .. }
            | Self::WentBack { .. }
            | Self::AnotherEpoch => true,
            Self::Unreachable(_)
            | Self::Refused(_)
            | Self::Broken(_)
            | Self::TimedOut
            | Self::Late { .. }
            | Self::Malformed { .. }
            | Self::Canceled { .. }
            | Self::TooOld { .. }
            | Self::NotFollowed
            | Self::Restoring
            | Self::Disturbed => false,
        }
    }

    /// What the author of a transaction is told. What may have happened is never reported as what did not.
    pub(super) fn of_write(self) -> Error {
        let operation = match &self {
            Self::Refused(status) if is_about_size(status) => return Error::TooLarge(status.message().to_owned()),
            Self::Refused(status) if status.code() == Code::InvalidArgument => {
                return Error::Invalid(status.message().to_owned());
            }
            Self::Refused(status) if status.message().contains("too many requests") => return Error::Busy,
            Self::Refused(_) => "write to etcd",
            Self::Unreachable(_) => "write: nothing was sent to etcd",
            Self::AnotherEpoch => "write: etcd was asked and changed nothing",
            _ => "tell whether the write happened: etcd was asked and did not answer",
        };
        Error::Engine { operation, source: Box::new(self) }
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        let mut cause = status.source();
        while let Some(error) = cause {
            if error.is::<ConnectError>() {
                return Self::Unreachable(status);
            }
            cause = error.source();
        }
        // Without a cause it is what the server said; otherwise the transport made it up from what became of the stream.
        if status.source().is_none() && is_refusal(status.code()) {
            return Self::Refused(status);
        }
        Self::Broken(status)
    }
}

/// Whether etcd was started with a smaller `--max-request-bytes` than usual: it refuses by itself, and before it gRPC does.
fn is_about_size(status: &Status) -> bool {
    let (refused, undelivered) = ("request is too large", "message larger than max");
    status.message().contains(refused) || status.message().contains(undelivered)
}

/// Whether etcd, answering so, has certainly not done what it was asked.
fn is_refusal(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => true,
        // etcd answers "request timed out" and "leader changed" as unavailable, and then it may still happen.
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => false,
    }
}
