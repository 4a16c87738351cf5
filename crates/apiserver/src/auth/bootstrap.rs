//! The objects that must be there before anybody can do anything: the default roles and the default namespace.

use serde_json::{Value, json};

use crate::{ApiError, wire::decode};

const DEFAULT_ROLES: &str = include_str!("default_roles.yaml");

/// The manifests that every server starts with.
pub(crate) fn default_manifests() -> Result<Vec<Value>, ApiError> {
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let mut manifests = vec![namespace("default"), namespace("kube-system")];
    for text in DEFAULT_ROLES.split("\n---\n") {
        manifests.push(decode::from_yaml(text.as_bytes())?);
    }
    Ok(manifests)
}

#[cfg(test)]
mod tests {
    use super::default_manifests;

    #[test]
    fn the_default_roles_can_be_read() {
        let manifests = default_manifests().unwrap();
        let named =
            |kind: &str, name: &str| manifests.iter().any(|one| one["kind"] == kind && one["metadata"]["name"] == name);
        for role in ["cluster-admin", "system:discovery", "system:basic-user", "view", "edit", "admin"] {
            assert!(named("ClusterRole", role), "{role}");
        }
        assert!(named("Namespace", "default") && named("ClusterRoleBinding", "system:discovery"));
    }
}
