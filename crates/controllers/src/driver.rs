//! Around the passes of every reconciler: what ends a pass must not end the controller, and nobody stays in the journal who is gone.

use std::{any::Any, panic::AssertUnwindSafe};

use futures::{FutureExt, Stream, StreamExt};
use kube::{
    Resource,
    runtime::{
        controller::{self, Action},
        reflector::ObjectRef,
        watcher,
    },
};

use crate::{Error, Journal, error::chain};

/// One pass, whose panic is its failure. kube would carry the panic into the controller and end the work for all objects.
pub(crate) async fn contained(pass: impl Future<Output = Result<Action, Error>>) -> Result<Action, Error> {
    // Nothing half-done is seen afterwards: a pass owns what it works on, and the locks that it shares are whole after every statement.
    let outcome = AssertUnwindSafe(pass).catch_unwind().await;
    outcome.unwrap_or_else(|panic| Err(Error::Panicked(words(&*panic).to_owned())))
}

/// Runs a controller until its stream ends.
pub(crate) async fn drive<K: Resource>(
    kind: &'static str,
    passes: impl Stream<Item = Result<(ObjectRef<K>, Action), controller::Error<Error, watcher::Error>>>,
    journal: &Journal,
) {
    passes.for_each(async |pass| take_note(kind, pass.err(), journal)).await;
}

fn take_note(kind: &'static str, error: Option<controller::Error<Error, watcher::Error>>, journal: &Journal) {
    match error {
        // An object without finalizer goes without a last pass. Each has its next look scheduled, which ends here.
        Some(controller::Error::ObjectNotFound(gone)) => {
            journal.forget(kind, gone.namespace.as_deref().unwrap_or_default(), &gone.name);
        }
        Some(controller::Error::QueueError(error)) => {
            tracing::warn!(kind, error = chain(&error), "the API cannot be watched; trying again");
        }
        Some(controller::Error::RunnerError(error)) => {
            tracing::error!(kind, error = chain(&error), "the controller cannot run passes");
        }
        // The error policy has told of it.
        None | Some(controller::Error::ReconcilerFailed(..)) => {}
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}
