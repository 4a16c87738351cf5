//! May they: a request, reduced to what decides, against the rules that hold for the user.

use std::sync::{Arc, Mutex, PoisonError};

use super::{
    IssuedTokens, UserInfo,
    policy::{Policy, Sources},
    rules::Rule,
};
use crate::{ApiError, catalogue::RBAC_GROUP, registry::Registry};

/// What a request is about, as far as it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Objects.
    Resource { group: String, resource: String, subresource: String, name: String },
    /// A path that is no resource.
    Path(String),
}

/// What somebody wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, and words of other kinds.
    pub(crate) verb: String,
    /// Empty for the whole cluster.
    pub(crate) namespace: String,
    pub(crate) target: Target,
}

impl Attributes {
    /// A request for a path that is no resource.
    pub(crate) fn path(verb: &str, path: &str) -> Self {
        Self { verb: verb.into(), namespace: String::new(), target: Target::Path(path.into()) }
    }

    /// Why not, in the words of Kubernetes.
    pub(super) fn refusal(&self, user: &UserInfo) -> String {
        let Self { verb, namespace, target } = self;
        let user = &user.name;
        match target {
            Target::Path(path) => format!("User {user:?} cannot {verb} path {path:?}"),
            Target::Resource { group, resource, subresource, .. } => {
                let resource =
                    if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
                let place = if namespace.is_empty() {
                    "at the cluster scope".into()
                } else {
                    format!("in the namespace {namespace:?}")
                };
                format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {place}")
            }
        }
    }

    /// The 403 for this user; the same whether or not the object exists.
    pub(crate) fn forbidden(&self, user: &UserInfo) -> ApiError {
        let refusal = self.refusal(user);
        match &self.target {
            Target::Path(_) => ApiError::forbidden(format!("forbidden: {refusal}")),
            Target::Resource { group, resource, name, .. } => {
                let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
                let which = if name.is_empty() { qualified } else { format!("{qualified} {name:?}") };
                ApiError::forbidden(format!("{which} is forbidden: {refusal}")).about(group, resource, name)
            }
        }
    }
}

/// Evaluates Roles and bindings, read through the registry.
pub(crate) struct Authorizer {
    registry: Arc<Registry>,
    /// Whoever writes there makes tokens.
    pub(super) issued_tokens: Option<IssuedTokens>,
    /// The policy of the newest objects. A std mutex, because nothing is awaited under it.
    compiled: Mutex<(Sources, Arc<Policy>)>,
}

impl Authorizer {
    pub(crate) fn new(registry: Arc<Registry>, issued_tokens: Option<IssuedTokens>) -> Self {
        Self { registry, issued_tokens, compiled: Mutex::default() }
    }

    /// Passes, or fails with the 403 for this user.
    pub(crate) async fn require(&self, user: &UserInfo, request: &Attributes) -> Result<(), ApiError> {
        if self.allows(user, request).await? { Ok(()) } else { Err(request.forbidden(user)) }
    }

    /// Whether some rule allows it.
    pub(crate) async fn allows(&self, user: &UserInfo, request: &Attributes) -> Result<bool, ApiError> {
        if user.is_master() {
            return Ok(true);
        }
        let policy = self.policy().await?;
        Ok(policy.rules_for(user, &request.namespace).any(|rule| rule.allows(request)))
    }

    /// Every rule that holds for the user in the namespace.
    pub(super) async fn rules(&self, user: &UserInfo, namespace: &str) -> Result<Vec<Rule>, ApiError> {
        if user.is_master() {
            return Ok(Rule::everything().into());
        }
        Ok(self.policy().await?.rules_for(user, namespace).cloned().collect())
    }

    pub(super) async fn policy(&self) -> Result<Arc<Policy>, ApiError> {
        let sources = Sources {
            cluster_roles: self.objects("clusterroles").await?,
            cluster_role_bindings: self.objects("clusterrolebindings").await?,
            roles: self.objects("roles").await?,
            role_bindings: self.objects("rolebindings").await?,
        };
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if !compiled.0.same_as(&sources) {
            let policy = Arc::new(Policy::compile(&sources));
            *compiled = (sources, policy);
        }
        Ok(compiled.1.clone())
    }

    async fn objects(&self, plural: &str) -> Result<Arc<Vec<Arc<serde_json::Value>>>, ApiError> {
        match self.registry.catalogue.find(RBAC_GROUP, "v1", plural) {
            Some(resource) => self.registry.cached_list(&resource).await,
            None => Ok(Arc::default()),
        }
    }
}
