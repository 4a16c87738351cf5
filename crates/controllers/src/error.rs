//! Why a pass failed, and what that means for the next one.

use essaim_backend::swarm;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try again soon, with growing pauses.
    Transient,
    /// The same again gives the same until somebody changes something: look seldom.
    Terminal,
}

/// A failed pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The class could not be read.
    #[error("cannot read the class of a server")]
    FetchClass(#[source] kube::Error),
    /// The finalizer could not be written.
    #[error("cannot write the finalizer")]
    WriteFinalizer(#[source] kube::Error),
    /// `spec.suspend` could not be written.
    #[error("cannot suspend the server")]
    WriteSuspend(#[source] kube::Error),
    /// The status could not be written.
    #[error("cannot write the status")]
    WriteStatus(#[source] kube::Error),
    /// A role binding could not be written.
    #[error("cannot bind the user's role in the own namespace")]
    BindRole(#[source] kube::Error),
    /// A defect of essaim; its words.
    #[error("the pass panicked: {0}")]
    Panicked(String),
    /// The Swarm could not be looked at, or refused or failed an action.
    #[error(transparent)]
    Swarm(#[from] swarm::Error),
    /// The directory did not answer.
    #[error(transparent)]
    Directory(#[from] essaim_backend::directory::Error),
}

impl Error {
    /// Decides the retry.
    pub fn class(&self) -> Class {
        match self {
            Self::Swarm(swarm::Error::Refused { .. } | swarm::Error::NameTaken { .. } | swarm::Error::Off) => {
                Class::Terminal
            }
            _ => Class::Transient,
        }
    }

    /// The variant's name, for metrics: never the message.
    pub fn label(&self) -> &'static str {
        match self {
            Self::FetchClass(_) => "FetchClass",
            Self::WriteFinalizer(_) => "WriteFinalizer",
            Self::WriteSuspend(_) => "WriteSuspend",
            Self::WriteStatus(_) => "WriteStatus",
            Self::BindRole(_) => "BindRole",
            Self::Panicked(_) => "Panicked",
            Self::Swarm(_) => "Swarm",
            Self::Directory(_) => "Directory",
        }
    }
}

/// An error and its causes in one line, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
