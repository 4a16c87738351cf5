//! The roles of a site, asked as `kubectl auth can-i` asks.

use essaim_api::names::GROUP;
use k8s_openapi::api::{
    authorization::v1::{
        NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    },
    core::v1::Namespace,
    rbac::v1::RoleBinding,
};
use kube::{Api, Client, api::PostParams};
use serde_json::json;

use essaim_store::Embedded;

use super::*;

/// The columns of the table: what somebody is, and the identity that makes them so.
const PEOPLE: [(&str, &str, &str); 6] = [
    ("admin", "ada", "essaim:admins"),
    ("operations", "olga", "essaim:operations"),
    ("teacher of alice", "tom", "staff"),
    ("alice herself", "alice", "staff"),
    ("viewer", "vera", "essaim:viewers"),
    ("somebody else", "sam", "staff"),
];

/// Verb, resource with its group, namespace (empty: everywhere), and who may, in the order of [`PEOPLE`].
const RIGHTS: [(&str, &str, &str, &str); 44] = [
    ("get", "notebookservers", "alice", "yyyyy-"),
    ("list", "notebookservers", "alice", "yyyyy-"),
    ("watch", "notebookservers", "alice", "yyyyy-"),
    ("create", "notebookservers", "alice", "yyyy--"),
    ("update", "notebookservers", "alice", "yyyy--"),
    ("patch", "notebookservers", "alice", "yyyy--"),
    ("delete", "notebookservers", "alice", "yy-y--"),
    ("deletecollection", "notebookservers", "alice", "yy-y--"),
    ("get", "notebookservers/proxy", "alice", "y--y--"),
    ("patch", "notebookservers/status", "alice", "y-----"),
    ("list", "notebookservers", "bob", "yy--y-"),
    ("create", "notebookservers", "bob", "yy----"),
    ("get", "notebookservers/proxy", "bob", "y-----"),
    ("list", "notebookservers", "", "yy--y-"),
    ("delete", "notebookservers", "", "yy----"),
    ("get", "notebookclasses", "", "yyyyyy"),
    ("list", "notebookclasses", "", "yyyyyy"),
    ("create", "notebookclasses", "", "yy----"),
    ("patch", "notebookclasses", "", "yy----"),
    ("delete", "notebookclasses", "", "yy----"),
    ("list", "events.", "alice", "yyyyy-"),
    ("list", "events.events.k8s.io", "alice", "yyyyy-"),
    ("list", "events.", "", "yy--y-"),
    ("create", "events.", "alice", "y-----"),
    ("list", "namespaces.", "", "yy--y-"),
    ("create", "namespaces.", "", "y-----"),
    ("delete", "namespaces.", "alice", "y-----"),
    ("get", "secrets.", "alice", "y-----"),
    ("list", "secrets.", "", "y-----"),
    ("get", "secrets.", "essaim-system", "y-----"),
    ("create", "secrets.", "essaim-system", "y-----"),
    ("create", "serviceaccounts/token.", "alice", "y-----"),
    ("list", "serviceaccounts.", "alice", "yy----"),
    ("get", "leases.coordination.k8s.io", "essaim-system", "yy----"),
    ("update", "leases.coordination.k8s.io", "essaim-system", "y-----"),
    ("list", "customresourcedefinitions.apiextensions.k8s.io", "", "yy----"),
    ("delete", "customresourcedefinitions.apiextensions.k8s.io", "", "y-----"),
    ("list", "rolebindings.rbac.authorization.k8s.io", "alice", "yy----"),
    ("create", "rolebindings.rbac.authorization.k8s.io", "alice", "y-----"),
    ("impersonate", "users.", "", "y-----"),
    ("impersonate", "groups.", "", "y-----"),
    ("create", "tokenreviews.authentication.k8s.io", "", "y-----"),
    ("create", "subjectaccessreviews.authorization.k8s.io", "", "y-----"),
    ("create", "selfsubjectaccessreviews.authorization.k8s.io", "", "yyyyyy"),
];

/// The same for paths that are no resources.
const PATHS: [(&str, &str); 5] = [
    ("/essaim/v1/backup", "y-----"),
    ("/essaim/v1/reconciles", "yy--y-"),
    ("/metrics", "yy--y-"),
    ("/version", "yyyyyy"),
    ("/else", "y-----"),
];

/// A server with the site's manifests, whom alice and her teacher hold their roles in.
async fn site() -> (ApiServer, tempfile::TempDir) {
    let data = tempfile::tempdir().unwrap();
    let store = Embedded::open(data.path().join("store.redb"), essaim_store::Options::default()).unwrap();
    let mut options = Options::new(Arc::new(crate::now));
    options.bootstrap_manifests = manifests().unwrap();
    let server = ApiServer::start(store, options).await.unwrap();
    let root = Client::new(server.in_process(UserInfo::new("root", ["system:masters"])), "default");
    for login in ["alice", "bob"] {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": login}})).unwrap();
        Api::all(root.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }
    for (role, user) in [("essaim-user", "alice"), ("essaim-teacher", "tom")] {
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }))
        .unwrap();
        Api::namespaced(root.clone(), "alice").create(&PostParams::default(), &binding).await.unwrap();
    }
    (server, data)
}

/// Who may, in the order of [`PEOPLE`], as the server answers each of them.
async fn ask(server: &ApiServer, spec: &SelfSubjectAccessReviewSpec) -> String {
    let mut answers = String::new();
    for (_, user, group) in PEOPLE {
        let client = Client::new(server.in_process(UserInfo::new(user, [group])), "default");
        let review = SelfSubjectAccessReview { spec: spec.clone(), ..SelfSubjectAccessReview::default() };
        let answer = Api::all(client).create(&PostParams::default(), &review).await.unwrap();
        answers.push(if answer.status.unwrap().allowed { 'y' } else { '-' });
    }
    answers
}

#[tokio::test]
async fn every_role_may_what_the_table_says_and_nothing_else() {
    let (server, _data) = site().await;
    for (verb, resource, namespace, wanted) in RIGHTS {
        let (resource, group) = resource.split_once('.').unwrap_or((resource, GROUP));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let attributes = ResourceAttributes {
            verb: text(verb),
            group: text(group),
            resource: text(resource),
            subresource: text(subresource),
            namespace: text(namespace),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let columns = PEOPLE.map(|(what, _, _)| what);
        assert_eq!(ask(&server, &spec).await, wanted, "{verb} {resource}/{subresource} in {namespace:?}: {columns:?}");
    }
    for (path, wanted) in PATHS {
        let attributes = NonResourceAttributes { path: Some(path.into()), verb: Some("get".into()) };
        let spec = SelfSubjectAccessReviewSpec {
            non_resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        assert_eq!(ask(&server, &spec).await, wanted, "{path}");
    }
}
