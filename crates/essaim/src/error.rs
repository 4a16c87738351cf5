//! Why the program ends with an error: each says what to change.

use std::path::PathBuf;

/// A failure that ends the process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot start the asynchronous runtime")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Command(essaim_cli::Error),
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is not acceptable", path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{0}")]
    Configuration(String),
    #[error("cannot open the store: {place}")]
    Store {
        place: String,
        #[source]
        source: essaim_store::Error,
    },
    #[error("cannot use the backup {}", path.display())]
    Backup {
        path: PathBuf,
        #[source]
        source: essaim_store::BackupError,
    },
    #[error("cannot restore the backup {}", path.display())]
    Restore {
        path: PathBuf,
        #[source]
        source: essaim_store::RestoreError,
    },
    #[error(
        "{} does not open the Secrets of this backup: put the sealing.keys of the site there that the backup is of",
        path.display()
    )]
    SealingKeys {
        path: PathBuf,
        #[source]
        source: essaim_store::Error,
    },
    #[error("cannot start the API server")]
    ApiServer(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot open the directory of accounts")]
    Directory(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot use the Swarm")]
    Swarm(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot listen on {address}")]
    Listen {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read or make the site key")]
    SiteKey(#[source] kube::Error),
    #[error(
        "the site key in the Secret essaim-system/site-key is shorter than 32 bytes; delete it to have a new one made"
    )]
    SiteKeyTooShort,
    #[error("there is no site key yet: a process with the role controllers makes it at its first start")]
    SiteKeyMissing,
    #[error("cannot use the kubeconfig")]
    Kubeconfig(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot draw random bytes")]
    Random(#[source] getrandom::Error),
    #[error("a role of this process ended unexpectedly")]
    Role(#[source] tokio::task::JoinError),
    #[error("the gateway failed")]
    Gateway(#[source] Box<dyn std::error::Error + Send + Sync>),
}
