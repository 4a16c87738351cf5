//! What one rule of a Role allows. Pure.

use serde::{Deserialize, Serialize};

use super::authorize::{Attributes, Target};

/// `PolicyRule`: any of its verbs on any of its resources, or on any of its paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Rule {
    pub(super) verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub(super) non_resource_urls: Vec<String>,
}

impl Rule {
    /// Everything.
    pub(super) fn everything() -> [Self; 2] {
        let star = || vec!["*".to_owned()];
        [
            Self { verbs: star(), api_groups: star(), resources: star(), ..Self::default() },
            Self { verbs: star(), non_resource_urls: star(), ..Self::default() },
        ]
    }

    /// Whether it allows the request.
    pub(super) fn allows(&self, request: &Attributes) -> bool {
        if !has(&self.verbs, &request.verb) {
            return false;
        }
        match &request.target {
            Target::Path(path) => self.non_resource_urls.iter().any(|pattern| path_matches(pattern, path)),
            Target::Resource { group, resource, subresource, name } => {
                has(&self.api_groups, group)
                    && self.resources.iter().any(|one| resource_matches(one, resource, subresource))
                    && (self.resource_names.is_empty() || self.resource_names.contains(name))
            }
        }
    }

    /// The rule, taken apart into the smallest requests that together are as much as it: one for each combination.
    ///
    /// A request for `*` is allowed only by a rule that says `*`, which is what covering a wildcard means.
    pub(super) fn atoms(&self) -> impl Iterator<Item = Attributes> {
        let on_paths = self.non_resource_urls.iter().map(|path| Target::Path(path.clone()));
        let names = if self.resource_names.is_empty() { vec![String::new()] } else { self.resource_names.clone() };
        let on_resources = self.api_groups.iter().flat_map(move |group| {
            let names = names.clone();
            self.resources.iter().flat_map(move |resource| {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let target = |name: &String| Target::Resource {
                    group: group.clone(),
                    resource: resource.to_owned(),
                    subresource: subresource.to_owned(),
                    name: name.clone(),
                };
                names.iter().map(target).collect::<Vec<_>>()
            })
        });
        let targets = on_paths.chain(on_resources).collect::<Vec<_>>();
        targets.into_iter().flat_map(|target| {
            self.verbs.iter().map(move |verb| Attributes {
                verb: verb.clone(),
                namespace: String::new(),
                target: target.clone(),
            })
        })
    }
}

fn has(words: &[String], word: &str) -> bool {
    words.iter().any(|one| one == "*" || one == word)
}

/// `*` is everything; `widgets/status` and `*/status` name subresources; `widgets` is only the resource itself.
fn resource_matches(pattern: &str, resource: &str, subresource: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        Some((of, part)) => part == subresource && (of == "*" || of == resource),
        None => subresource.is_empty() && pattern == resource,
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use crate::auth::authorize::{Attributes, Target};

    fn on(verb: &str, group: &str, resource: &str, name: &str) -> Attributes {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let target = Target::Resource {
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            name: name.into(),
        };
        Attributes { verb: verb.into(), namespace: "ns".into(), target }
    }

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> Rule {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Rule {
            verbs: own(verbs),
            api_groups: own(groups),
            resources: own(resources),
            resource_names: own(names),
            ..Rule::default()
        }
    }

    #[test]
    fn rules_match_verb_group_resource_and_name() {
        let widgets = rule(&["get", "list"], &["toys.test"], &["widgets"], &[]);
        assert!(widgets.allows(&on("get", "toys.test", "widgets", "one")));
        assert!(!widgets.allows(&on("delete", "toys.test", "widgets", "one")));
        assert!(!widgets.allows(&on("get", "", "widgets", "one")));
        assert!(!widgets.allows(&on("get", "toys.test", "widgets/status", "one")));
        let status = rule(&["*"], &["*"], &["*/status"], &["one"]);
        assert!(status.allows(&on("patch", "toys.test", "widgets/status", "one")));
        assert!(!status.allows(&on("patch", "toys.test", "widgets/status", "two")));
        assert!(!status.allows(&on("patch", "toys.test", "widgets", "one")));
        assert!(rule(&["*"], &["*"], &["*"], &[]).allows(&on("x", "y", "z/w", "")));
    }

    #[test]
    fn paths_match_exactly_or_by_prefix() {
        let rule = Rule {
            verbs: vec!["get".into()],
            non_resource_urls: vec!["/healthz".into(), "/apis/*".into()],
            ..Rule::default()
        };
        let get =
            |path: &str| Attributes { verb: "get".into(), namespace: String::new(), target: Target::Path(path.into()) };
        assert!(rule.allows(&get("/healthz")) && rule.allows(&get("/apis/x/v1")));
        assert!(!rule.allows(&get("/healthz/x")) && !rule.allows(&get("/api")));
    }

    #[test]
    fn a_rule_covers_another_if_it_allows_all_its_atoms() {
        let covers = |wide: &Rule, narrow: &Rule| narrow.atoms().all(|atom| wide.allows(&atom));
        let all = rule(&["*"], &["*"], &["*"], &[]);
        let some = rule(&["get", "list"], &["toys.test"], &["widgets", "widgets/status"], &[]);
        assert!(covers(&all, &some) && covers(&some, &some) && !covers(&some, &all));
        assert!(covers(&some, &rule(&["get"], &["toys.test"], &["widgets"], &["one"])));
        assert!(!covers(
            &rule(&["get"], &["toys.test"], &["widgets"], &["one"]),
            &rule(&["get"], &["toys.test"], &["widgets"], &[])
        ));
    }
}
