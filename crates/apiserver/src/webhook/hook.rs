//! One webhook of a configuration, compiled, and the requests that it wants to hear of.

use std::time::Duration;

use essaim_schema::{Condition, all_hold};
use serde_json::Value;

use crate::wire::LabelSelector;

/// What conditions may speak of.
pub(crate) const VARIABLES: [&str; 3] = ["object", "oldObject", "request"];

const DEFAULT_SECONDS: u64 = 10;

/// A webhook as its configuration stands in the store.
pub(crate) struct Hook {
    pub(crate) name: String,
    pub(crate) client_config: Value,
    pub(crate) timeout: Duration,
    /// Requests pass when it cannot be asked.
    pub(crate) is_optional: bool,
    /// May be asked about dry runs.
    pub(crate) takes_dry_runs: bool,
    /// Matches requests in another version of the same resource, too.
    is_equivalent: bool,
    rules: Vec<Rule>,
    namespaces: LabelSelector,
    objects: LabelSelector,
    /// Conditions of an older server may not be understood.
    conditions: Result<Vec<Condition>, String>,
}

struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    scope: String,
}

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub(crate) operation: &'a str,
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    /// Other versions in which the same objects can be sent.
    pub(crate) other_versions: &'a [&'a str],
    pub(crate) resource: &'a str,
    /// Empty for the object itself.
    pub(crate) subresource: &'a str,
    /// Whether the object lies in a namespace; a Namespace does not.
    pub(crate) namespaced: bool,
}

impl Hook {
    /// The webhooks of a configuration.
    pub(crate) fn of(configuration: &Value) -> Vec<Self> {
        list(configuration, "webhooks").map(Self::read).collect()
    }

    fn read(hook: &Value) -> Self {
        let text = |field: &str| hook.get(field).and_then(Value::as_str).unwrap_or_default();
        // What cannot be understood chooses everything: rather asked too often than not at all.
        let selector = |field: &str| hook.get(field).and_then(LabelSelector::from_object).unwrap_or_default();
        let condition = |one: &Value| {
            let expression = one.get("expression").and_then(Value::as_str).unwrap_or_default();
            Condition::compile(expression, &VARIABLES)
        };
        Self {
            name: text("name").to_owned(),
            client_config: hook.get("clientConfig").cloned().unwrap_or_default(),
            timeout: Duration::from_secs(hook.get("timeoutSeconds").and_then(Value::as_u64).unwrap_or(DEFAULT_SECONDS)),
            is_optional: text("failurePolicy") == "Ignore",
            takes_dry_runs: matches!(text("sideEffects"), "None" | "NoneOnDryRun"),
            is_equivalent: text("matchPolicy") != "Exact",
            rules: list(hook, "rules").map(Rule::read).collect(),
            namespaces: selector("namespaceSelector"),
            objects: selector("objectSelector"),
            conditions: list(hook, "matchConditions").map(condition).collect(),
        }
    }

    /// The version in which it wants to hear of this request, if at all.
    pub(crate) fn version<'a>(&self, request: &Request<'a>) -> Option<&'a str> {
        let wanted = |version: &str| self.rules.iter().any(|rule| rule.matches(request, version));
        if wanted(request.version) {
            return Some(request.version);
        }
        request.other_versions.iter().copied().find(|version| self.is_equivalent && wanted(version))
    }

    /// Whether it asks for labels of the namespace.
    pub(crate) fn selects_namespaces(&self) -> bool {
        !self.namespaces.is_empty()
    }

    /// Whether the namespace is one of those that it is for.
    pub(crate) fn selects_namespace(&self, namespace: &Value) -> bool {
        self.namespaces.matches(namespace)
    }

    /// Whether the object is one of those that it is for, as it is to be or as it was.
    pub(crate) fn selects_object(&self, object: &Value, old: &Value) -> bool {
        let selected = |object: &Value| !object.is_null() && self.objects.matches(object);
        self.objects.is_empty() || selected(object) || selected(old)
    }

    /// Whether its conditions hold; the error tells which cannot be evaluated.
    pub(crate) fn conditions_hold(&self, object: &Value, old: &Value, request: &Value) -> Result<bool, String> {
        let conditions = self.conditions.as_ref().map_err(Clone::clone)?;
        let [first, second, third] = VARIABLES;
        all_hold(conditions, &[(first, object), (second, old), (third, request)])
    }

    /// Whether there are any conditions to evaluate.
    pub(crate) fn is_conditional(&self) -> bool {
        !self.conditions.as_ref().is_ok_and(Vec::is_empty)
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let texts = |field: &str| list(rule, field).filter_map(Value::as_str).map(str::to_owned).collect();
        Self {
            operations: texts("operations"),
            groups: texts("apiGroups"),
            versions: texts("apiVersions"),
            resources: texts("resources"),
            scope: rule.get("scope").and_then(Value::as_str).unwrap_or("*").to_owned(),
        }
    }

    fn matches(&self, request: &Request<'_>, version: &str) -> bool {
        let names = |list: &[String], wanted: &str| list.iter().any(|one| one == "*" || one == wanted);
        let resource = |entry: &String| {
            let (resource, subresource) = entry.split_once('/').unwrap_or((entry, ""));
            (resource == "*" || resource == request.resource)
                && (subresource == "*" || subresource == request.subresource)
        };
        let in_scope = match self.scope.as_str() {
            "Namespaced" => request.namespaced,
            "Cluster" => !request.namespaced,
            _ => true,
        };
        in_scope
            && names(&self.operations, request.operation)
            && names(&self.groups, request.group)
            && names(&self.versions, version)
            && self.resources.iter().any(resource)
    }
}

fn list<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    object.get(field).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Hook, Request};

    fn hook(rule: &Value, fields: &Value) -> Hook {
        let mut webhook = json!({"name": "a.b.c", "rules": [rule]});
        webhook.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Hook::of(&json!({"webhooks": [webhook]})).remove(0)
    }

    /// `OPERATION group/version/resource[/subresource]`; a capital letter in front of the resource means beside the namespaces.
    fn request(text: &str) -> Request<'_> {
        let (operation, path) = text.split_once(' ').unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let (namespaced, resource) = parts[2].strip_prefix('!').map_or((true, parts[2]), |resource| (false, resource));
        let subresource = parts.get(3).copied().unwrap_or_default();
        Request {
            operation,
            group: parts[0],
            version: parts[1],
            other_versions: &["v1", "v2"],
            resource,
            subresource,
            namespaced,
        }
    }

    #[test]
    fn rules_match_as_in_kubernetes() {
        let rule = |operations: &[&str], groups: &[&str], versions: &[&str], resources: &[&str], scope: &str| json!({"operations": operations, "apiGroups": groups, "apiVersions": versions, "resources": resources, "scope": scope});
        for (rule, matching, other) in [
            (
                rule(&["CREATE"], &["toys.test"], &["v1"], &["widgets"], "*"),
                vec!["CREATE toys.test/v1/widgets", "CREATE toys.test/v1/!widgets"],
                vec![
                    "UPDATE toys.test/v1/widgets",
                    "CREATE other/v1/widgets",
                    "CREATE toys.test/v1/gadgets",
                    "CREATE toys.test/v1/widgets/status",
                ],
            ),
            (
                rule(&["*"], &["*"], &["*"], &["*"], "*"),
                vec!["CREATE toys.test/v1/widgets", "DELETE /v1/secrets", "UPDATE /v1/!namespaces"],
                vec!["UPDATE toys.test/v1/widgets/status"],
            ),
            (
                rule(&["*"], &["*"], &["*"], &["*/*"], "*"),
                vec![
                    "CREATE toys.test/v1/widgets",
                    "UPDATE toys.test/v1/widgets/status",
                    "UPDATE toys.test/v1/widgets/scale",
                ],
                vec![],
            ),
            (
                rule(&["UPDATE"], &["toys.test"], &["*"], &["*/scale", "widgets/status"], "*"),
                vec!["UPDATE toys.test/v1/gadgets/scale", "UPDATE toys.test/v1/widgets/status"],
                vec!["UPDATE toys.test/v1/widgets", "UPDATE toys.test/v1/gadgets/status"],
            ),
            (
                rule(&["*"], &["toys.test"], &["*"], &["widgets/*"], "*"),
                vec!["UPDATE toys.test/v1/widgets/scale", "UPDATE toys.test/v1/widgets"],
                vec!["UPDATE toys.test/v1/gadgets/scale"],
            ),
            (
                rule(&["*"], &["", "toys.test"], &["*"], &["*"], "Namespaced"),
                vec!["CREATE /v1/secrets", "CREATE toys.test/v1/widgets"],
                vec!["CREATE /v1/!namespaces"],
            ),
            (
                rule(&["DELETE", "CREATE"], &[""], &["v1"], &["*"], "Cluster"),
                vec!["DELETE /v1/!namespaces"],
                vec!["DELETE /v1/secrets", "UPDATE /v1/!namespaces"],
            ),
        ] {
            let hook = hook(&rule, &json!({"matchPolicy": "Exact"}));
            for text in matching {
                assert!(hook.version(&request(text)).is_some(), "{rule} should match {text}");
            }
            for text in other {
                assert!(hook.version(&request(text)).is_none(), "{rule} should not match {text}");
            }
        }
    }

    #[test]
    fn an_equivalent_match_names_the_version_of_the_rule() {
        let rule =
            json!({"operations": ["*"], "apiGroups": ["toys.test"], "apiVersions": ["v2"], "resources": ["widgets"]});
        let asked = request("CREATE toys.test/v1/widgets");
        assert_eq!(hook(&rule, &json!({})).version(&asked), Some("v2"));
        assert_eq!(hook(&rule, &json!({"matchPolicy": "Exact"})).version(&asked), None);
        assert_eq!(hook(&rule, &json!({})).version(&request("CREATE other/v1/widgets")), None);
        let both = json!({"operations": ["*"], "apiGroups": ["toys.test"], "apiVersions": ["v2", "v1"], "resources": ["widgets"]});
        assert_eq!(hook(&both, &json!({})).version(&asked), Some("v1"));
    }

    #[test]
    fn an_object_counts_as_it_is_and_as_it_was() {
        let hook = hook(
            &json!({}),
            &json!({"objectSelector": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}}),
        );
        let (with, without) = (json!({"metadata": {"labels": {"a": "b"}}}), json!({"metadata": {}}));
        assert!(hook.selects_object(&without, &with) && hook.selects_object(&with, &without));
        assert!(!hook.selects_object(&with, &with) && !hook.selects_object(&with, &Value::Null));
    }
}
