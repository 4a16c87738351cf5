//! The questions to the API: whose token is this, what may they do; and the few things done there for a user.
//!
//! Every call has a timeout and counts against one bound. "The API did not answer" is an error, never a no.

use std::sync::Arc;
use std::time::Duration;

use essaim_api::NotebookServer;
use essaim_api::names::{GROUP, RESERVED_NAMESPACES, field_manager, label};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::error::Error;
use crate::options::Limits;
use crate::path::is_label;
use crate::route::Key;
use crate::session::Identity;

/// A longer token is not asked about.
const MAX_TOKEN: usize = 8_192;
/// The API adds this group itself.
const AUTHENTICATED: &str = "system:authenticated";
const FIELD_MANAGER: &str = "essaim-gateway";

type Fingerprint = [u8; 32];

/// Something that a user may or may not do with NotebookServers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right<'a> {
    pub(crate) verb: &'static str,
    pub(crate) subresource: Option<&'static str>,
    pub(crate) namespace: &'a str,
    /// `None` means all of the namespace.
    pub(crate) name: Option<&'a str>,
}

impl<'a> Right<'a> {
    /// To use a server through the gateway, as a verb on the `proxy` subresource.
    pub(crate) fn to_use(key: &'a Key) -> Self {
        Self { verb: "get", subresource: Some("proxy"), namespace: &key.namespace, name: Some(&key.name) }
    }

    /// To change a server.
    pub(crate) fn to_patch(key: &'a Key) -> Self {
        Self { verb: "patch", subresource: None, namespace: &key.namespace, name: Some(&key.name) }
    }

    /// To see the servers of a namespace.
    pub(crate) fn to_list(namespace: &'a str) -> Self {
        Self { verb: "list", subresource: None, namespace, name: None }
    }
}

/// Asks the API, and remembers its answers for a short time.
pub(crate) struct Access {
    client: Client,
    limits: Limits,
    calls: Semaphore,
    tokens: Cache<Fingerprint, Option<Arc<Identity>>>,
    rights: Cache<Fingerprint, bool>,
}

impl Access {
    pub(crate) fn new(client: Client, limits: Limits) -> Self {
        Self {
            client,
            calls: Semaphore::new(limits.api_calls),
            tokens: Cache::new(limits.cached_answers),
            rights: Cache::new(limits.cached_answers),
            limits,
        }
    }

    /// Whose token this is; `None` if the API does not know it.
    pub(crate) async fn identify(&self, token: &str) -> Result<Option<Arc<Identity>>, Error> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return Ok(None);
        }
        // The token itself is not kept.
        let fingerprint: Fingerprint = Sha256::digest(token).into();
        let review = async || -> Result<_, Error> {
            let identity = self.review_token(token).await?;
            let lifetime = if identity.is_some() { self.limits.token_known } else { self.limits.token_unknown };
            Ok((identity.map(Arc::new), lifetime))
        };
        self.tokens.get(&fingerprint, review).await
    }

    /// May they?
    pub(crate) async fn may(&self, who: &Identity, right: Right<'_>) -> Result<bool, Error> {
        let review = async || -> Result<(bool, Duration), Error> {
            Ok((self.review_right(who, right).await?, self.limits.right))
        };
        self.rights.get(&fingerprint(who, right), review).await
    }

    /// Makes the namespace that bears the login, at the first login. Safe to repeat.
    ///
    /// A name that cannot be a namespace belongs to operations staff or a machine; they get none and lose nothing.
    pub(crate) async fn ensure_namespace(&self, login: &str) -> Result<(), Error> {
        if RESERVED_NAMESPACES.contains(&login) {
            return Err(Error::ReservedLogin { login: login.to_owned() });
        }
        if !is_label(login) {
            return Ok(());
        }
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(login.to_owned());
        namespace.metadata.labels = Some([(label::MANAGED_BY.to_owned(), label::MANAGER.to_owned())].into());
        let params = PostParams { field_manager: Some(field_manager::NAMESPACE.to_owned()), ..PostParams::default() };
        let created = self.call("make the namespace of a login", async || {
            match Api::<Namespace>::all(self.client.clone()).create(&params, &namespace).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
                other => other.map(|_| true),
            }
        });
        if created.await? {
            tracing::info!(namespace = login, "made the namespace of a login");
        }
        Ok(())
    }

    /// Asks for a suspended server to run again. The caller has checked that the user may patch it.
    pub(crate) async fn resume(&self, key: &Key) -> Result<(), Error> {
        let kind = ApiResource::erase::<NotebookServer>(&());
        let servers = Api::<DynamicObject>::namespaced_with(self.client.clone(), &key.namespace, &kind);
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"spec": {"suspend": false}}));
        self.call("start a notebook server again", async || servers.patch(&key.name, &params, &patch).await).await?;
        Ok(())
    }

    async fn review_token(&self, token: &str) -> Result<Option<Identity>, Error> {
        let spec = TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviews = Api::<TokenReview>::all(self.client.clone());
        let answer =
            self.call("review a token", async || reviews.create(&PostParams::default(), &review).await).await?;
        let status = answer.status.filter(|status| status.authenticated == Some(true));
        let user = status.and_then(|status| status.user);
        Ok(user.and_then(|user| {
            let login = user.username.filter(|login| !login.is_empty())?;
            let groups = user.groups.unwrap_or_default().into_iter().filter(|group| group != AUTHENTICATED).collect();
            Some(Identity { login, groups })
        }))
    }

    async fn review_right(&self, who: &Identity, right: Right<'_>) -> Result<bool, Error> {
        let attributes = ResourceAttributes {
            group: Some(GROUP.to_owned()),
            resource: Some("notebookservers".to_owned()),
            subresource: right.subresource.map(str::to_owned),
            verb: Some(right.verb.to_owned()),
            namespace: Some(right.namespace.to_owned()),
            name: right.name.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let groups = who.groups.iter().cloned().chain([AUTHENTICATED.to_owned()]).collect();
        let spec = SubjectAccessReviewSpec {
            user: Some(who.login.clone()),
            groups: Some(groups),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        let answer =
            self.call("review a right", async || reviews.create(&PostParams::default(), &review).await).await?;
        Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
    }

    /// One call to the API, within the bound on calls and the time for one.
    async fn call<T>(&self, operation: &'static str, call: impl AsyncFnOnce() -> kube::Result<T>) -> Result<T, Error> {
        let within_bound = async {
            // The semaphore is never closed; without a permit the call is only less bounded.
            let _permit = self.calls.acquire().await;
            call().await
        };
        let answer = tokio::time::timeout(self.limits.api_call, within_bound).await;
        let answer = answer.map_err(|_| Error::ApiTimeout { operation })?;
        answer.map_err(|source| Error::Api { operation, source: Box::new(source) })
    }
}

/// A digest of the whole question; lengths keep neighbours apart.
fn fingerprint(who: &Identity, right: Right<'_>) -> Fingerprint {
    let Right { verb, subresource, namespace, name } = right;
    let question = [verb, subresource.unwrap_or_default(), namespace, name.unwrap_or_default(), &who.login];
    let mut digest = Sha256::new();
    for part in question.into_iter().chain(who.groups.iter().map(String::as_str)) {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
