//! NotebookServer: one Swarm service with one container, or none.
//!
//! Level-triggered: a pass reads the object and the Swarm as they are now and knows nothing of what happened before. It may run at any
//! moment, twice, or after a week off. Hints (a changed object, class or Swarm picture) only say when to look.

mod apply;
mod fetch;
mod observe;
mod report;

use std::{sync::Arc, time::Duration};

use essaim_api::{NotebookClass, NotebookServer};
use essaim_backend::{
    directory::Directory,
    swarm::{Changed, Swarm},
};
use essaim_plan::notebook::{Plan, Valid, decide, validate};
use futures::{Stream, StreamExt, stream};
use kube::{
    Api, ResourceExt,
    runtime::{
        Controller,
        controller::{Action, Config},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use crate::{Class, Context, Error, Outcome, driver, error::chain};

const KIND: &str = "NotebookServer";
/// A refusal is looked at again after so long, in case its cause lay outside the object.
const REFUSED: Duration = Duration::from_mins(1);
/// Passes at once; each waits mostly for the network.
const CONCURRENCY: u16 = 64;

pub(crate) async fn run<S: Swarm, D: Directory>(context: Arc<Context<S, D>>, shutdown: CancellationToken) {
    let servers: Api<NotebookServer> = Api::all(context.client.clone());
    let classes: Api<NotebookClass> = Api::all(context.client.clone());
    let controller = Controller::new(servers, watcher::Config::default());
    let (of_class, of_picture) = (controller.store(), controller.store());
    let hints = changed_servers(context.swarm.changes(), of_picture);
    let journal = context.journal.clone();
    let passes = controller
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches(classes, watcher::Config::default(), move |class| servers_of(&of_class, &class))
        .reconcile_on(hints)
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(|server, context| driver::contained(reconcile(server, context)), error_policy, context);
    driver::drive(KIND, passes, &journal).await;
}

fn servers_of(store: &Store<NotebookServer>, class: &NotebookClass) -> Vec<ObjectRef<NotebookServer>> {
    let name = class.name_any();
    store
        .state()
        .iter()
        .filter(|server| server.spec.class == name)
        .map(|server| ObjectRef::from_obj(&**server))
        .collect()
}

/// Turns what the Swarm's picture says into objects to look at.
fn changed_servers(
    changes: impl Stream<Item = Changed> + Send + 'static,
    store: Store<NotebookServer>,
) -> impl Stream<Item = ObjectRef<NotebookServer>> + Send + 'static {
    changes.flat_map(move |changed| {
        let concerned = |server: &&Arc<NotebookServer>| match &changed {
            Changed::Everybody => true,
            Changed::Owner(uid) => server.metadata.uid.as_ref() == Some(uid),
        };
        let found: Vec<_> =
            store.state().iter().filter(concerned).map(|server| ObjectRef::from_obj(&**server)).collect();
        stream::iter(found)
    })
}

async fn reconcile<S: Swarm, D: Directory>(
    server: Arc<NotebookServer>,
    context: Arc<Context<S, D>>,
) -> Result<Action, Error> {
    let outcome = converge(&server, &context).await;
    let reported = report::report(&server, &context, &outcome).await; // the pass's only status write, whatever happened
    if let (Err(_), Err(cause)) = (&reported, &outcome.result) {
        // The error policy hears of the report alone, because that is to be written soon.
        let (namespace, name) = (server.namespace(), server.name_any());
        tracing::warn!(namespace, name, error = chain(cause), "a pass failed, and its report cannot be written");
    }
    reported?;
    (context.checkpoint)("report");
    outcome.result.map(|()| Action::requeue(note(&server, &context, outcome.valid_plan.as_ref())))
}

/// What a pass came to: its plan, if it got so far, and whether everything in it was carried out.
pub(crate) struct Converged {
    valid_plan: Option<(Valid, Plan)>,
    result: Result<(), Error>,
}

async fn converge<S: Swarm, D: Directory>(server: &NotebookServer, context: &Context<S, D>) -> Converged {
    let step = &context.checkpoint;
    let lookups = match fetch::fetch(server, context).await {
        Ok(lookups) => lookups,
        Err(error) => return Converged { valid_plan: None, result: Err(error) },
    };
    step("fetch");
    let valid = validate(server, &lookups, &context.site);
    step("validate");
    let look = observe::observe(&valid, context).await;
    step("observe");
    let plan = decide(&valid, &look, (context.clock)());
    step("decide");
    let result = apply::apply(server, &valid, &plan, context).await;
    Converged { valid_plan: Some((valid, plan)), result }
}

fn note<S: Swarm, D: Directory>(
    server: &NotebookServer,
    context: &Context<S, D>,
    done: Option<&(Valid, Plan)>,
) -> Duration {
    let (namespace, name) = (server.namespace().unwrap_or_default(), server.name_any());
    let Some((_, plan)) = done else { return REFUSED };
    let changes = plan.actions.len() + usize::from(plan.suspend);
    let outcome = if changes == 0 { Outcome::Unchanged } else { Outcome::Changed(changes) };
    let wake_up = Duration::try_from(plan.wake_up).unwrap_or(REFUSED);
    if plan.finalizer == essaim_plan::notebook::Finalizer::Remove {
        context.journal.forget(KIND, &namespace, &name);
        return wake_up;
    }
    context.journal.note((KIND, &namespace, &name), outcome, wake_up, (context.clock)())
}

#[expect(clippy::needless_pass_by_value, reason = "kube calls it so")]
fn error_policy<S: Swarm, D: Directory>(
    server: Arc<NotebookServer>,
    error: &Error,
    context: Arc<Context<S, D>>,
) -> Action {
    let (namespace, name) = (server.namespace().unwrap_or_default(), server.name_any());
    tracing::warn!(namespace, name, class = ?error.class(), kind = error.label(), error = chain(error), "the notebook server was not reconciled");
    let wait =
        context.journal.note((KIND, &namespace, &name), Outcome::Failed(chain(error)), REFUSED, (context.clock)());
    match error.class() {
        Class::Transient => Action::requeue(wait),
        Class::Terminal => Action::requeue(REFUSED),
    }
}
