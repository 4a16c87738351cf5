//! Fifth step, and the only one that changes anything outside the status.
//!
//! The order matters: the finalizer is on before anything is made, so that nothing made can be forgotten; it comes off last.

use essaim_api::{
    NotebookServer,
    names::{self, field_manager},
};
use essaim_backend::{directory::Directory, swarm::Swarm};
use essaim_plan::notebook::{Finalizer, Plan, Valid};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{Context, Error};

/// Carries the plan out, in its order, and stops at the first failure.
pub(super) async fn apply<S: Swarm, D: Directory>(
    server: &NotebookServer,
    valid: &Valid,
    plan: &Plan,
    context: &Context<S, D>,
) -> Result<(), Error> {
    if plan.finalizer == Finalizer::Add {
        write_finalizers(server, context, true).await?;
        (context.checkpoint)("apply finalizer");
    }
    if plan.suspend {
        suspend(server, context).await?;
        (context.checkpoint)("apply suspend");
    }
    for action in &plan.actions {
        context.swarm.apply(&valid.owner, action).await?;
        (context.checkpoint)("apply action");
    }
    if plan.finalizer == Finalizer::Remove {
        write_finalizers(server, context, false).await?;
        (context.checkpoint)("apply end");
    }
    Ok(())
}

/// Puts our finalizer on or takes it off, on condition that nobody wrote the object since it was read.
async fn write_finalizers<S, D>(server: &NotebookServer, context: &Context<S, D>, on: bool) -> Result<(), Error> {
    let others = server.finalizers().iter().filter(|finalizer| *finalizer != names::FINALIZER).cloned();
    let finalizers: Vec<String> = others.chain(on.then(|| names::FINALIZER.to_owned())).collect();
    let patch = json!({"metadata": {"resourceVersion": server.resource_version(), "finalizers": finalizers}});
    match write(server, context, &patch).await {
        // Taken off by an earlier pass whose answer was lost: the object is gone.
        Err(kube::Error::Api(status)) if !on && status.code == 404 => Ok(()),
        written => written.map_err(Error::WriteFinalizer),
    }
}

/// Suspends as our own field manager, so that everybody can see afterwards who did it.
async fn suspend<S, D>(server: &NotebookServer, context: &Context<S, D>) -> Result<(), Error> {
    let patch = json!({"metadata": {"resourceVersion": server.resource_version()}, "spec": {"suspend": true}});
    write(server, context, &patch).await.map_err(Error::WriteSuspend)
}

async fn write<S, D>(
    server: &NotebookServer,
    context: &Context<S, D>,
    patch: &serde_json::Value,
) -> Result<(), kube::Error> {
    let api: Api<NotebookServer> = Api::namespaced(context.client.clone(), &server.namespace().unwrap_or_default());
    let params = PatchParams { field_manager: Some(field_manager::NOTEBOOK_SERVER.into()), ..PatchParams::default() };
    api.patch(&server.name_any(), &params, &Patch::Merge(patch)).await.map(|_| ())
}
