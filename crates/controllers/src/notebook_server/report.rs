//! Last step: one status write if anything differs, and Events for what changed.

use essaim_api::{
    NotebookServer, NotebookServerStatus, find_condition,
    names::{condition, field_manager, reason},
};
use essaim_backend::{directory::Directory, swarm, swarm::Swarm};
use essaim_plan::notebook::{Finalizer, Reason, report_failure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use serde_json::json;

use super::Converged;
use crate::{Context, Error, error::chain};

/// Longest note that an Event takes, in bytes.
const NOTE_LIMIT: usize = 1_000;

/// Writes the status of this pass if it differs from what stands there.
pub(super) async fn report<S: Swarm, D: Directory>(
    server: &NotebookServer,
    context: &Context<S, D>,
    done: &Converged,
) -> Result<(), Error> {
    let Some((valid, plan)) = &done.valid_plan else { return Ok(()) };
    if plan.finalizer == Finalizer::Remove && done.result.is_ok() {
        return Ok(()); // the object is gone
    }
    let status = match &done.result {
        Ok(()) => plan.status.clone(),
        Err(error) => match failure(error) {
            Some(why) => report_failure(valid, plan, &why, (context.clock)()),
            None => plan.status.clone(),
        },
    };
    let reported = server.status.clone().unwrap_or_default();
    if status == reported {
        return Ok(());
    }
    if !write(server, context, &status).await? {
        return Ok(());
    }
    for changed in changed_conditions(&reported, &status) {
        publish(server, context, changed).await;
    }
    Ok(())
}

/// What a failed action means for the report; `None` where it will be tried again at once and nothing is worth saying.
fn failure(error: &Error) -> Option<Reason> {
    let why = match error {
        Error::Swarm(swarm::Error::Unreachable { .. }) => reason::SWARM_UNREACHABLE,
        Error::Swarm(swarm::Error::NameTaken { .. }) => reason::NAME_TAKEN,
        Error::Swarm(swarm::Error::Refused { .. }) => reason::REFUSED,
        _ => return None,
    };
    Some(Reason { reason: why.into(), message: chain(error) })
}

/// Whether the object was still there to be written.
async fn write<S, D>(
    server: &NotebookServer,
    context: &Context<S, D>,
    status: &NotebookServerStatus,
) -> Result<bool, Error> {
    let api: Api<NotebookServer> = Api::namespaced(context.client.clone(), &server.namespace().unwrap_or_default());
    let params = PatchParams::apply(field_manager::NOTEBOOK_SERVER).force();
    // The uid keeps this report off a server that was made anew under the same name.
    let document = json!({
        "apiVersion": NotebookServer::api_version(&()), "kind": NotebookServer::kind(&()),
        "metadata": {"uid": server.uid()}, "status": status,
    });
    match api.patch_status(&server.name_any(), &params, &Patch::Apply(&document)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status))
            if status.code == 404 || (status.code == 409 && server.metadata.deletion_timestamp.is_some()) =>
        {
            Ok(false)
        }
        Err(error) => Err(Error::WriteStatus(error)),
    }
}

/// Conditions whose status or reason is new, and worth telling.
fn changed_conditions<'a>(
    before: &'a NotebookServerStatus,
    now: &'a NotebookServerStatus,
) -> impl Iterator<Item = &'a Condition> {
    let told = [condition::READY, condition::SUSPENDED, condition::RESTART_PENDING];
    now.conditions.iter().filter(move |new| {
        let old = find_condition(&before.conditions, &new.type_);
        let same = old.is_some_and(|old| old.status == new.status && old.reason == new.reason);
        let said_nothing = old.is_none() && new.status == "False" && new.type_ != condition::READY;
        told.contains(&new.type_.as_str()) && !same && !said_nothing
    })
}

/// Events tell a story to people; nothing depends on them, so a failure is logged and the pass goes on.
async fn publish<S, D>(server: &NotebookServer, context: &Context<S, D>, changed: &Condition) {
    let trouble = changed.type_ == condition::READY && changed.status != "True" && !is_ordinary(&changed.reason);
    let mut note = changed.message.clone();
    note.truncate(note.floor_char_boundary(NOTE_LIMIT));
    let event = Event {
        type_: if trouble { EventType::Warning } else { EventType::Normal },
        reason: changed.reason.clone(),
        note: Some(note),
        action: "Reconcile".into(),
        secondary: None,
    };
    let reporter = Reporter { controller: field_manager::NOTEBOOK_SERVER.into(), instance: None };
    if let Err(error) = Recorder::new(context.client.clone(), reporter).publish(&event, &server.object_ref(&())).await {
        tracing::warn!(
            namespace = server.namespace(),
            name = server.name_any(),
            error = chain(&error),
            "an event could not be published"
        );
    }
}

/// Steps of a normal life.
fn is_ordinary(why: &str) -> bool {
    [reason::CREATING, reason::PREPARING, reason::STARTING, reason::STOPPING, reason::RESTARTING, condition::SUSPENDED]
        .contains(&why)
}
