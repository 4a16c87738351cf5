//! All Roles and bindings, compiled: which rules hold for a user. Pure.

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value;

use super::{UserInfo, rules::Rule};
use crate::wire::LabelSelector;

/// The objects that a policy is made of, as the registry holds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    pub(super) cluster_roles: Arc<Vec<Arc<Value>>>,
    pub(super) cluster_role_bindings: Arc<Vec<Arc<Value>>>,
    pub(super) roles: Arc<Vec<Arc<Value>>>,
    pub(super) role_bindings: Arc<Vec<Arc<Value>>>,
}

impl Sources {
    /// Whether these are the very same objects; cheap, and never true for different ones.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cluster_roles, &other.cluster_roles)
            && Arc::ptr_eq(&self.cluster_role_bindings, &other.cluster_role_bindings)
            && Arc::ptr_eq(&self.roles, &other.roles)
            && Arc::ptr_eq(&self.role_bindings, &other.role_bindings)
    }
}

type Rules = Arc<Vec<Rule>>;

#[derive(Debug)]
struct Binding {
    subjects: Vec<Subject>,
    /// Its own namespace, for service accounts that name none.
    namespace: String,
    rules: Rules,
}

/// Which rules hold for whom.
#[derive(Debug, Default)]
pub(super) struct Policy {
    cluster_roles: HashMap<String, Rules>,
    roles: HashMap<(String, String), Rules>,
    everywhere: Vec<Binding>,
    by_namespace: HashMap<String, Vec<Binding>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Subject {
    kind: String,
    name: String,
    namespace: String,
}

/// `roleRef`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct RoleRef {
    pub(super) kind: String,
    pub(super) name: String,
}

impl Policy {
    pub(super) fn compile(sources: &Sources) -> Self {
        let mut policy = Self::default();
        for role in sources.cluster_roles.iter() {
            let rules = Arc::new(aggregated(role, &sources.cluster_roles));
            policy.cluster_roles.insert(text(role, "name"), rules);
        }
        for role in sources.roles.iter() {
            policy.roles.insert((text(role, "namespace"), text(role, "name")), Arc::new(rules(role)));
        }
        let everywhere = sources.cluster_role_bindings.iter().filter_map(|binding| policy.binding(binding)).collect();
        let bindings = sources.role_bindings.iter().filter_map(|binding| policy.binding(binding)).collect::<Vec<_>>();
        for binding in bindings {
            policy.by_namespace.entry(binding.namespace.clone()).or_default().push(binding);
        }
        policy.everywhere = everywhere;
        policy
    }

    /// The rules of the role that a binding in this namespace means.
    pub(super) fn rules_of(&self, role: &RoleRef, namespace: &str) -> Option<&Rules> {
        match role.kind.as_str() {
            "ClusterRole" => self.cluster_roles.get(&role.name),
            "Role" => self.roles.get(&(namespace.to_owned(), role.name.clone())),
            _ => None,
        }
    }

    /// Every rule that holds for the user in the namespace; only those that hold everywhere if it is empty.
    pub(super) fn rules_for<'a>(&'a self, user: &'a UserInfo, namespace: &str) -> impl Iterator<Item = &'a Rule> {
        let here = self.by_namespace.get(namespace).map_or(&[][..], Vec::as_slice);
        let bindings = self.everywhere.iter().chain(here).filter(|binding| binding.is_for(user));
        bindings.flat_map(|binding| binding.rules.iter())
    }

    fn binding(&self, object: &Value) -> Option<Binding> {
        let namespace = text(object, "namespace");
        let role = RoleRef::deserialize(object.get("roleRef")?).ok()?;
        let rules = self.rules_of(&role, &namespace)?.clone();
        let subjects = object.get("subjects").and_then(|subjects| Vec::deserialize(subjects).ok()).unwrap_or_default();
        Some(Binding { subjects, namespace, rules })
    }
}

impl Binding {
    fn is_for(&self, user: &UserInfo) -> bool {
        self.subjects.iter().any(|subject| match subject.kind.as_str() {
            "User" => subject.name == user.name,
            "Group" => user.groups.contains(&subject.name),
            "ServiceAccount" => {
                let namespace = if subject.namespace.is_empty() { &self.namespace } else { &subject.namespace };
                user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
                    == Some((namespace.as_str(), subject.name.as_str()))
            }
            _ => false,
        })
    }
}

/// The `rules` of a Role or ClusterRole; a rule that cannot be read allows nothing.
pub(super) fn rules(role: &Value) -> Vec<Rule> {
    let rules = role.get("rules").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    rules.iter().filter_map(|rule| Rule::deserialize(rule).ok()).collect()
}

/// Its own rules and those of the ClusterRoles that its `aggregationRule` chooses by their labels.
fn aggregated(role: &Value, all: &[Arc<Value>]) -> Vec<Rule> {
    let mut found = rules(role);
    let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array().map_or(&[][..], Vec::as_slice);
    let selectors = selectors
        .iter()
        .filter_map(LabelSelector::from_object)
        .filter(|selector| !selector.is_empty())
        .collect::<Vec<_>>();
    for other in all {
        if selectors.iter().any(|selector| selector.matches(other)) {
            found.extend(rules(other).into_iter().filter(|rule| !found.contains(rule)).collect::<Vec<_>>());
        }
    }
    found
}

fn text(object: &Value, field: &str) -> String {
    object["metadata"][field].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::{Policy, Sources};
    use crate::auth::UserInfo;

    fn list(objects: Vec<Value>) -> Arc<Vec<Arc<Value>>> {
        Arc::new(objects.into_iter().map(Arc::new).collect())
    }

    fn policy() -> Policy {
        let rule = |resource: &str| json!([{"verbs": ["get"], "apiGroups": [""], "resources": [resource]}]);
        Policy::compile(&Sources {
            cluster_roles: list(vec![
                json!({"metadata": {"name": "view"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to-view": "true"}}]}}),
                json!({"metadata": {"name": "part", "labels": {"to-view": "true"}}, "rules": rule("secrets")}),
            ]),
            cluster_role_bindings: list(vec![json!({
                "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "view"},
                "subjects": [{"kind": "Group", "name": "staff"}],
            })]),
            roles: list(vec![json!({"metadata": {"name": "own", "namespace": "alice"}, "rules": rule("configmaps")})]),
            role_bindings: list(vec![json!({
                "metadata": {"name": "b", "namespace": "alice"}, "roleRef": {"kind": "Role", "name": "own"},
                "subjects": [{"kind": "User", "name": "alice"}, {"kind": "ServiceAccount", "name": "robot"}],
            })]),
        })
    }

    fn resources(user: &UserInfo, namespace: &str) -> Vec<String> {
        policy().rules_for(user, namespace).flat_map(|rule| rule.resources.clone()).collect()
    }

    #[test]
    fn cluster_bindings_hold_everywhere_and_bindings_in_their_namespace() {
        let alice = UserInfo::new("alice", ["staff"]);
        assert_eq!(resources(&alice, "alice"), ["secrets", "configmaps"]);
        assert_eq!(resources(&alice, "bob"), ["secrets"]);
        assert_eq!(resources(&alice, ""), ["secrets"]);
        assert!(resources(&UserInfo::new("bob", ["students"]), "alice").is_empty());
    }

    #[test]
    fn service_accounts_are_users_of_a_certain_name() {
        let robot = UserInfo::new("system:serviceaccount:alice:robot", Vec::<String>::new());
        assert_eq!(resources(&robot, "alice"), ["configmaps"]);
        let other = UserInfo::new("system:serviceaccount:bob:robot", Vec::<String>::new());
        assert!(resources(&other, "alice").is_empty());
    }
}
