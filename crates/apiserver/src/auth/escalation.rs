//! Nobody gives more rights than they have, nor becomes somebody whom they may not impersonate.
//!
//! Whoever writes a Role must hold what it allows, or the verb `escalate` on it; whoever writes a binding must hold what
//! the bound role allows, or the verb `bind` on that role. Whoever writes an issued token must hold the rights that it takes
//! to impersonate its user with all its groups, whether the token is new or an old one changes. The check sees the object as it is about to be stored, so
//! that no patch goes around it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Deserialize as _;
use serde_json::Value;

use super::{
    Attributes, Authorizer, IssuedTokens, Target, UserInfo, impersonation, issued,
    policy::{Policy, RoleRef, rules},
    rules::Rule,
};
use crate::{
    ApiError,
    catalogue::{RBAC_GROUP, Resource},
};

/// A last look at what is to be stored, with the rights of whoever asked. The default one agrees to everything.
#[derive(Clone, Default)]
pub(crate) struct Guard(Option<Arc<Check>>);

enum Check {
    Rights(Grant),
    Token(Issue),
}

impl Guard {
    /// Refuses an object that gives more rights than its writer has.
    pub(crate) fn check(&self, object: &Value) -> Result<(), ApiError> {
        match self.0.as_deref() {
            None => Ok(()),
            Some(Check::Rights(grant)) => grant.check(object),
            Some(Check::Token(issue)) => issue.check(object),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0.is_some()).finish()
    }
}

impl Authorizer {
    /// The guard for a write of this resource by this user.
    pub(crate) async fn guard(
        &self,
        user: &UserInfo,
        resource: &Resource,
        namespace: Option<&str>,
    ) -> Result<Guard, ApiError> {
        if user.is_master() {
            return Ok(Guard::default());
        }
        if let Some(place) = &self.issued_tokens
            && resource.is("", "secrets")
            && namespace == Some(&place.namespace)
        {
            let issue = Issue { policy: self.policy().await?, user: user.clone(), place: place.clone() };
            return Ok(Guard(Some(Arc::new(Check::Token(issue)))));
        }
        if resource.group != RBAC_GROUP {
            return Ok(Guard::default());
        }
        let namespace = namespace.unwrap_or_default().to_owned();
        let grant =
            Grant { policy: self.policy().await?, user: user.clone(), plural: resource.plural.clone(), namespace };
        Ok(Guard(Some(Arc::new(Check::Rights(grant)))))
    }
}

/// Somebody writes a Secret where the issued tokens are.
struct Issue {
    policy: Arc<Policy>,
    user: UserInfo,
    place: IssuedTokens,
}

impl Issue {
    fn check(&self, object: &Value) -> Result<(), ApiError> {
        if !self.place.is_token(object) {
            return Ok(());
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let refused = |why: String| {
            let message = format!("secrets {name:?} is forbidden: {why}");
            ApiError::forbidden(message).about("", "secrets", name)
        };
        let (_, token) = issued::read(object).map_err(|(field, message)| refused(format!("{field} {message}")))?;
        // By which credential the bearer came is said by the server, not by whoever makes the token.
        let bearer = UserInfo { extra: BTreeMap::new(), ..token.user };
        let allowed =
            |right: &Attributes| self.policy.rules_for(&self.user, &right.namespace).any(|rule| rule.allows(right));
        match impersonation::needed(&bearer).iter().find(|right| !allowed(right)) {
            None => Ok(()),
            Some(right) => {
                let whose = &bearer.name;
                Err(refused(format!("no token can be issued for {whose:?}: {}", right.refusal(&self.user))))
            }
        }
    }
}

/// Somebody is about to give rights in a namespace; empty for everywhere.
struct Grant {
    policy: Arc<Policy>,
    user: UserInfo,
    plural: String,
    namespace: String,
}

impl Grant {
    fn check(&self, object: &Value) -> Result<(), ApiError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match self.plural.as_str() {
            "roles" | "clusterroles" => {
                let needed =
                    if object["aggregationRule"].is_object() { Rule::everything().into() } else { rules(object) };
                if self.may("escalate", &self.plural, name) { Ok(()) } else { self.require(&needed, name) }
            }
            "rolebindings" | "clusterrolebindings" => self.check_binding(&object["roleRef"], name),
            _ => Ok(()),
        }
    }

    fn check_binding(&self, role: &Value, name: &str) -> Result<(), ApiError> {
        let role = RoleRef::deserialize(role).unwrap_or_default();
        let plural = if role.kind == "ClusterRole" { "clusterroles" } else { "roles" };
        if self.may("bind", plural, &role.name) {
            return Ok(());
        }
        let rules = self.policy.rules_of(&role, &self.namespace);
        let rules = rules.ok_or_else(|| ApiError::not_found(RBAC_GROUP, plural, &role.name))?;
        self.require(rules, name)
    }

    fn allows(&self, request: &Attributes) -> bool {
        self.policy.rules_for(&self.user, &self.namespace).any(|rule| rule.allows(request))
    }

    fn may(&self, verb: &str, plural: &str, name: &str) -> bool {
        let target = Target::Resource {
            group: RBAC_GROUP.into(),
            resource: plural.into(),
            subresource: String::new(),
            name: name.into(),
        };
        self.allows(&Attributes { verb: verb.into(), namespace: self.namespace.clone(), target })
    }

    fn require(&self, needed: &[Rule], name: &str) -> Result<(), ApiError> {
        let lacking = needed.iter().find(|rule| !rule.atoms().all(|atom| self.allows(&atom)));
        let Some(rule) = lacking else { return Ok(()) };
        let user = &self.user.name;
        let message = format!(
            "{}.{RBAC_GROUP} {name:?} is forbidden: user {user:?} is attempting to grant RBAC permissions not currently held: {}",
            self.plural,
            serde_json::to_string(rule).unwrap_or_default(),
        );
        Err(ApiError::forbidden(message).about(RBAC_GROUP, &self.plural, name))
    }
}
