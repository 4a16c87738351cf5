//! First step: the class and the account that a server's specification refers to.

use essaim_api::{NotebookClass, NotebookServer};
use essaim_backend::{directory::Directory, swarm::Swarm};
use essaim_plan::notebook::{ClassLookup, Lookups};
use kube::{Api, ResourceExt};

use crate::{Context, Error, error::chain};

/// Looks both up. A directory that does not answer is part of the answer: what runs already goes on.
///
/// Errors: the API did not say whether the class exists.
pub(super) async fn fetch<S: Swarm, D: Directory>(
    server: &NotebookServer,
    context: &Context<S, D>,
) -> Result<Lookups, Error> {
    let classes: Api<NotebookClass> = Api::all(context.client.clone());
    let class = match classes.get_opt(&server.spec.class).await {
        Ok(Some(class)) => ClassLookup::Found(Box::new(class.spec)),
        Ok(None) => ClassLookup::Missing,
        Err(error) => return Err(Error::FetchClass(error)),
    };
    let login = server.namespace().unwrap_or_default();
    let account = context.directory.lookup(&login).await.map_err(|error| chain(&error));
    Ok(Lookups { class, account })
}
