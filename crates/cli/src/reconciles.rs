//! What the controllers remember of their last passes, as the server tells it.

use std::collections::HashMap;

use essaim_api::names::RECONCILES_PATH;
use jiff::Timestamp;
use kube::Client;
use serde::Deserialize;

/// The last pass over one object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    kind: String,
    namespace: String,
    name: String,
    pub(crate) last_reconcile: Timestamp,
    pub(crate) outcome: serde_json::Value,
    pub(crate) next_try: Timestamp,
    pub(crate) failures: u32,
}

impl Entry {
    /// The chain of causes of the last failure.
    pub(crate) fn error(&self) -> Option<&str> {
        self.outcome.get("failed")?.as_str()
    }
}

/// The journal by namespace and name of notebook servers.
pub(crate) type Journal = HashMap<(String, String), Entry>;

/// Asks for the journal.
///
/// `None` where the caller may not see it, or where the controllers run in another process: then the commands leave those columns out.
pub(crate) async fn fetch(client: &Client) -> Option<Journal> {
    let request = http::Request::get(RECONCILES_PATH).body(Vec::new()).ok()?;
    let entries: Vec<Entry> = client.request(request).await.ok()?;
    let servers = entries.into_iter().filter(|entry| entry.kind == "NotebookServer");
    Some(servers.map(|entry| ((entry.namespace.clone(), entry.name.clone()), entry)).collect())
}
