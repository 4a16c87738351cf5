//! Namespaces of users: whoever's login a namespace bears may act in it.
//!
//! The namespace itself is made at first login by the gateway, or by operations with `kubectl create namespace`.

use std::{sync::Arc, time::Duration};

use essaim_api::names;
use essaim_backend::{directory::Directory, swarm::Swarm};
use k8s_openapi::api::{
    core::v1::Namespace,
    rbac::v1::{RoleBinding, RoleRef, Subject},
};
use kube::{
    Api, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams},
    runtime::{Controller, controller::Action, watcher},
};
use tokio_util::sync::CancellationToken;

use crate::{Context, Error, Outcome, driver, error::chain};

const KIND: &str = "Namespace";
/// The directory may learn a login after its namespace was made.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

pub(crate) async fn run<S: Swarm, D: Directory>(context: Arc<Context<S, D>>, shutdown: CancellationToken) {
    let api: Api<Namespace> = Api::all(context.client.clone());
    let journal = context.journal.clone();
    let passes = Controller::new(api, watcher::Config::default()).graceful_shutdown_on(shutdown.cancelled_owned()).run(
        |namespace, context| driver::contained(reconcile(namespace, context)),
        error_policy,
        context,
    );
    driver::drive(KIND, passes, &journal).await;
}

async fn reconcile<S: Swarm, D: Directory>(
    namespace: Arc<Namespace>,
    context: Arc<Context<S, D>>,
) -> Result<Action, Error> {
    let login = namespace.name_any();
    if names::RESERVED_NAMESPACES.contains(&login.as_str()) || namespace.metadata.deletion_timestamp.is_some() {
        context.journal.forget(KIND, "", &login);
        return Ok(Action::await_change());
    }
    if context.directory.lookup(&login).await?.is_some() {
        bind_role(&context.client, &login).await?;
    }
    let wait = context.journal.note((KIND, "", &login), Outcome::Unchanged, LOOK_AGAIN, (context.clock)());
    Ok(Action::requeue(wait))
}

/// Gives a login the user's role in the namespace of that name. Writes nothing where it has it.
async fn bind_role(client: &kube::Client, login: &str) -> Result<(), Error> {
    let metadata = ObjectMeta {
        name: Some(names::USER_ROLE_BINDING.into()),
        namespace: Some(login.into()),
        ..ObjectMeta::default()
    };
    let group = "rbac.authorization.k8s.io".to_owned();
    let binding = RoleBinding {
        metadata,
        role_ref: RoleRef { api_group: group.clone(), kind: "ClusterRole".into(), name: names::USER_ROLE.into() },
        subjects: Some(vec![Subject {
            api_group: Some(group),
            kind: "User".into(),
            name: login.into(),
            namespace: None,
        }]),
    };
    let api: Api<RoleBinding> = Api::namespaced(client.clone(), login);
    let params = PatchParams::apply(names::field_manager::NAMESPACE).force();
    api.patch(names::USER_ROLE_BINDING, &params, &Patch::Apply(&binding)).await.map_err(Error::BindRole)?;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "kube calls it so")]
fn error_policy<S: Swarm, D: Directory>(
    namespace: Arc<Namespace>,
    error: &Error,
    context: Arc<Context<S, D>>,
) -> Action {
    let name = namespace.name_any();
    tracing::warn!(namespace = name, error = chain(error), "the namespace was not reconciled");
    let wait = context.journal.note((KIND, "", &name), Outcome::Failed(chain(error)), LOOK_AGAIN, (context.clock)());
    Action::requeue(wait)
}
