//! `essaim why NAME`: one server's state in sentences.

use clap::Args;
use essaim_api::NotebookServer;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    Error, Exit,
    output::relative,
    reconciles::{self, Entry},
    status::is_as_wanted,
};

/// So many events are told, the newest last.
const EVENTS: usize = 10;

/// What `essaim why` takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The server's name, or NAMESPACE/NAME.
    name: String,
    /// Its namespace (its user's login); the kubeconfig's if absent.
    #[arg(short, long)]
    namespace: Option<String>,
}

/// Reads and tells.
pub(crate) async fn run(client: &Client, arguments: &Arguments, now: Timestamp) -> Result<Exit, Error> {
    let (namespace, name) = place(client, arguments);
    let api: Api<NotebookServer> = Api::namespaced(client.clone(), &namespace);
    let found =
        api.get_opt(&name).await.map_err(|source| Error::Api { operation: "read the notebook server", source })?;
    let server = found.ok_or_else(|| Error::NoSuchServer { namespace: namespace.clone(), name: name.clone() })?;
    let journal = reconciles::fetch(client).await.unwrap_or_default();
    println!("{}", story(&server, journal.get(&(namespace.clone(), name.clone())), now));
    for line in events(client, &namespace, &server, now).await? {
        println!("{line}");
    }
    Ok(if is_as_wanted(&server) { Exit::AsWanted } else { Exit::NotAsWanted })
}

fn place(client: &Client, arguments: &Arguments) -> (String, String) {
    if let Some((namespace, name)) = arguments.name.split_once('/') {
        return (namespace.to_owned(), name.to_owned());
    }
    let namespace = arguments.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    (namespace, arguments.name.clone())
}

fn story(server: &NotebookServer, entry: Option<&Entry>, now: Timestamp) -> String {
    let status = server.status.clone().unwrap_or_default();
    let wanted = match (server.metadata.deletion_timestamp.is_some(), server.spec.suspend) {
        (true, _) => "wanted: gone".to_owned(),
        (_, true) => "wanted: suspended".to_owned(),
        _ => format!("wanted: running, class {}", server.spec.class),
    };
    let mut lines = vec![format!("{}/{}", server.namespace().unwrap_or_default(), server.name_any()), wanted];
    for condition in &status.conditions {
        let since = relative(condition.last_transition_time.0, now);
        lines.push(format!(
            "{} {} since {since}: {}: {}",
            condition.type_, condition.status, condition.reason, condition.message
        ));
    }
    if status.conditions.is_empty() {
        lines.push("the controllers have not looked at it yet: are they running?".into());
    }
    if status.observed_generation != server.metadata.generation {
        lines.push("the report is about an older specification; the new one has not been looked at yet".into());
    }
    lines.extend(status.node.map(|node| format!("machine: {node}")));
    lines.extend(status.service.map(|service| format!("Swarm service: {service}")));
    if let Some(entry) = entry {
        lines.push(format!(
            "last reconcile {}, next {}",
            relative(entry.last_reconcile, now),
            relative(entry.next_try, now)
        ));
        lines.extend(entry.error().map(|error| format!("last error ({} in a row): {error}", entry.failures)));
    }
    lines.join("\n")
}

async fn events(
    client: &Client,
    namespace: &str,
    server: &NotebookServer,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let selector = format!("involvedObject.uid={}", server.uid().unwrap_or_default());
    let list = api.list(&ListParams::default().fields(&selector)).await;
    let mut events = list.map_err(|source| Error::Api { operation: "list the events", source })?.items;
    events.sort_by_key(time);
    let newest = events.iter().skip(events.len().saturating_sub(EVENTS));
    let line = |event: &Event| {
        let when = time(event).map_or_else(|| "at an unknown time".into(), |time| relative(time, now));
        format!("event {when}: {}: {}", event.reason.as_deref().unwrap_or("-"), event.message.as_deref().unwrap_or("-"))
    };
    Ok(newest.map(line).collect())
}

fn time(event: &Event) -> Option<Timestamp> {
    let seen = event.last_timestamp.as_ref().map(|time| time.0);
    let seen = seen.or_else(|| event.event_time.as_ref().map(|time| time.0));
    seen.or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}
