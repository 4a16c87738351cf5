//! `essaim status`: each notebook server, wanted against observed.

use clap::Args;
use essaim_api::{NotebookServer, find_condition, names::condition};
use jiff::Timestamp;
use kube::{Api, Client, ResourceExt, api::ListParams};
use serde::Serialize;

use crate::{
    Error, Exit, Format,
    output::{self, relative},
    reconciles::{self, Entry},
};

/// What `essaim status` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only this namespace (a user's login). All of them if absent.
    #[arg(short, long)]
    namespace: Option<String>,
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    wanted: String,
    observed: String,
    as_wanted: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reconcile: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try: Option<Timestamp>,
}

/// Lists and prints.
pub(crate) async fn run(client: &Client, arguments: &Arguments, now: Timestamp) -> Result<Exit, Error> {
    let api: Api<NotebookServer> = match &arguments.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let list = api.list(&ListParams::default()).await;
    let list = list.map_err(|source| Error::Api { operation: "list the notebook servers", source })?;
    let journal = reconciles::fetch(client).await.unwrap_or_default();
    let rows: Vec<Row> = list.iter().map(|server| row(server, journal.get(&key(server)))).collect();
    let wide = arguments.output == Format::Wide;
    let cells = rows.iter().map(|row| cells(row, wide, now)).collect();
    let mut headings = vec!["NAMESPACE", "NAME", "WANTED", "OBSERVED", "LAST", "NEXT TRY", "ERROR"];
    if wide {
        headings.push("MESSAGE");
    }
    output::print(arguments.output, &headings, cells, &rows)?;
    Ok(if rows.iter().all(|row| row.as_wanted) { Exit::AsWanted } else { Exit::NotAsWanted })
}

fn key(server: &NotebookServer) -> (String, String) {
    (server.namespace().unwrap_or_default(), server.name_any())
}

fn row(server: &NotebookServer, entry: Option<&Entry>) -> Row {
    let (namespace, name) = key(server);
    let (observed, message) = observed(server);
    Row {
        namespace,
        name,
        wanted: wanted(server),
        observed,
        as_wanted: is_as_wanted(server),
        message,
        last_reconcile: entry.map(|entry| entry.last_reconcile),
        error: entry.and_then(|entry| entry.error().map(str::to_owned)),
        next_try: entry.map(|entry| entry.next_try),
    }
}

fn cells(row: &Row, wide: bool, now: Timestamp) -> Vec<String> {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| relative(time, now));
    let error = row.error.clone().unwrap_or_else(|| "-".into());
    let mut cells = vec![row.namespace.clone(), row.name.clone(), row.wanted.clone(), row.observed.clone()];
    cells.extend([time(row.last_reconcile), time(row.next_try), error]);
    if wide {
        cells.push(row.message.clone());
    }
    cells
}

fn wanted(server: &NotebookServer) -> String {
    if server.metadata.deletion_timestamp.is_some() {
        return "Gone".into();
    }
    if server.spec.suspend {
        return "Suspended".into();
    }
    format!("Running ({})", server.spec.class)
}

/// Ready's reason, with the machine, and the sentence behind it.
fn observed(server: &NotebookServer) -> (String, String) {
    let status = server.status.clone().unwrap_or_default();
    let Some(ready) = find_condition(&status.conditions, condition::READY) else {
        return ("Unobserved".into(), "the controllers have not looked at it yet".into());
    };
    let machine = status.node.map(|node| format!(" on {node}")).unwrap_or_default();
    (format!("{}{machine}", ready.reason), ready.message.clone())
}

/// Running and Ready, or suspended with nothing left that may run; the report must be about the present specification, and nothing may wait for a restart.
pub(crate) fn is_as_wanted(server: &NotebookServer) -> bool {
    let status = server.status.clone().unwrap_or_default();
    let is = |kind: &str, value: &str| {
        find_condition(&status.conditions, kind).is_some_and(|condition| condition.status == value)
    };
    if status.observed_generation != server.metadata.generation || server.metadata.deletion_timestamp.is_some() {
        return false;
    }
    if server.spec.suspend {
        // Suspended is true from the moment it is wanted; Ready's reason tells when the container is gone.
        return find_condition(&status.conditions, condition::READY)
            .is_some_and(|ready| ready.reason == condition::SUSPENDED);
    }
    is(condition::READY, "True") && !is(condition::RESTART_PENDING, "True")
}
