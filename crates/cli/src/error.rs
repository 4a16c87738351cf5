//! What can go wrong with a command, and what to do next.

/// A command that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No kubeconfig could be used.
    #[error(
        "cannot read the kubeconfig; name one with --kubeconfig or KUBECONFIG (essaim serve writes DATA-DIR/admin.kubeconfig)"
    )]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// The client could not be made from it.
    #[error("cannot use the kubeconfig")]
    Client(#[source] kube::Error),
    /// The API did not answer, or refused.
    #[error("cannot {operation}")]
    Api {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: kube::Error,
    },
    /// There is no such server.
    #[error("there is no notebook server {name:?} in namespace {namespace:?}; `essaim status` shows which there are")]
    NoSuchServer {
        /// Where it was looked for.
        namespace: String,
        /// What was looked for.
        name: String,
    },
    /// There is no such token.
    #[error("there is no token {0:?}; `essaim token list` shows which there are")]
    NoSuchToken(String),
    /// No token can last so long.
    #[error("a token cannot last {0}")]
    Lifetime(String),
    /// The backup stopped coming.
    #[error("the backup ended early; nothing of it was kept: try again")]
    Interrupted(#[source] std::io::Error),
    /// What came is no whole backup.
    #[error("what arrived is not a whole backup; nothing of it was kept: try again")]
    Backup(#[source] essaim_store::BackupError),
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: std::path::PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The system gave no random bytes.
    #[error("cannot draw random bytes")]
    Random(#[source] getrandom::Error),
    /// The answer could not be written in the form asked for.
    #[error("cannot write the answer as {0}")]
    Output(&'static str),
}
