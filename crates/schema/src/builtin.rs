//! The kinds that the API server serves without a CustomResourceDefinition, as data files.
//!
//! Each file in `builtin/` is a list of kinds with their names, verbs, printer columns and structural schema. The columns know
//! three more sources than those of a CustomResourceDefinition: `count`, `either` and `joined`.

use std::sync::LazyLock;

use serde_json::Value;

use crate::openapi::ResourceDoc;
use crate::{Columns, Structural};

/// One built-in kind.
#[derive(Clone, Debug)]
pub struct Builtin {
    /// The API group, empty for core.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// CamelCase kind.
    pub kind: String,
    /// Lower-case plural, as in the path; `serviceaccounts/token` for the one kind that is only a subresource.
    pub plural: String,
    /// Lower-case singular.
    pub singular: String,
    /// Abbreviations for command lines.
    pub short_names: Vec<String>,
    /// Groups such as `api-extensions`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// The verbs served; `create` alone for kinds that are questions and never stored.
    pub verbs: Vec<String>,
    /// Whether the `status` subresource exists.
    pub status: bool,
    /// Whether the kind is only the body of a subresource of another.
    pub subresource: bool,
    /// The schema, for strict decoding, server-side apply and `kubectl explain`.
    pub schema: Structural,
    /// The printer columns.
    pub columns: Columns,
}

impl Builtin {
    /// What the kind adds to the OpenAPI document of its group and version.
    pub fn doc(&self) -> ResourceDoc<'_> {
        ResourceDoc {
            kind: &self.kind,
            plural: &self.plural,
            namespaced: self.namespaced,
            schema: self.schema.json(),
            verbs: self.verbs.iter().map(String::as_str).collect(),
            status: self.status,
            scale: false,
            strategic_merge: true,
        }
    }

    fn read(kind: &Value) -> Option<Self> {
        let text = |name: &str| kind.get(name).and_then(Value::as_str).map(str::to_owned);
        let flag = |name: &str| kind.get(name).and_then(Value::as_bool).unwrap_or(false);
        let texts = |name: &str| -> Option<Vec<String>> {
            kind.get(name)?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        Some(Self {
            group: text("group")?,
            version: text("version")?,
            kind: text("kind")?,
            plural: text("plural")?,
            singular: text("singular")?,
            short_names: texts("shortNames")?,
            categories: texts("categories")?,
            namespaced: flag("namespaced"),
            verbs: texts("verbs")?,
            status: flag("status"),
            subresource: flag("subresource"),
            schema: Structural::compile(kind.get("schema")?).ok()?,
            columns: Columns::compile(kind.get("columns")?).ok()?,
        })
    }
}

const FILES: [&str; 8] = [
    include_str!("builtin/core.json"),
    include_str!("builtin/events.json"),
    include_str!("builtin/coordination.json"),
    include_str!("builtin/apiextensions.json"),
    include_str!("builtin/admissionregistration.json"),
    include_str!("builtin/rbac.json"),
    include_str!("builtin/authorization.json"),
    include_str!("builtin/authentication.json"),
];

/// Every built-in kind.
pub fn all() -> &'static [Builtin] {
    static ALL: LazyLock<Vec<Builtin>> = LazyLock::new(|| {
        let files: Vec<Value> = FILES.iter().map(|text| parse(text)).collect();
        files.iter().filter_map(Value::as_array).flatten().filter_map(Builtin::read).collect()
    });
    &ALL
}

/// The built-in kind of that name.
pub fn find(group: &str, version: &str, kind: &str) -> Option<&'static Builtin> {
    all().iter().find(|one| one.group == group && one.version == version && one.kind == kind)
}

/// The schema of ObjectMeta.
pub(crate) fn object_meta_json() -> &'static Value {
    static JSON: LazyLock<Value> = LazyLock::new(|| parse(include_str!("builtin/object_meta.json")));
    &JSON
}

/// The schemas of the other types that every document shares.
pub(crate) fn shared_json() -> &'static Value {
    static JSON: LazyLock<Value> = LazyLock::new(|| parse(include_str!("builtin/shared.json")));
    &JSON
}

/// Reads a file that comes with this crate; a test makes sure that each is JSON.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{FILES, all, find, object_meta_json, shared_json};
    use crate::{Columns, Structural};

    #[test]
    fn every_data_file_is_read_without_loss() {
        let mut written = 0;
        for text in FILES {
            let kinds: Value = serde_json::from_str(text).expect("JSON");
            for kind in kinds.as_array().expect("a list") {
                written += 1;
                let compiled = Structural::compile(&kind["schema"]);
                assert!(compiled.is_ok(), "{} {:?}", kind["kind"], compiled.err());
                assert!(Columns::compile(&kind["columns"]).is_ok(), "{}", kind["kind"]);
            }
        }
        assert_eq!(all().len(), written);
        assert!(Structural::compile(object_meta_json()).is_ok());
        assert!(shared_json().is_object());
    }

    #[test]
    fn unknown_fields_of_built_in_kinds_are_found() {
        let role = find("rbac.authorization.k8s.io", "v1", "Role").expect("built in");
        let mut object = json!({"apiVersion": "x", "kind": "Role", "metadata": {"name": "a"},
            "rules": [{"verbs": ["get"], "resources": ["a"], "apiGroup": ["b"]}]});
        assert_eq!(role.schema.prune(&mut object), ["rules[0].apiGroup"]);
        assert_eq!(role.schema.validate(&object, None), []);

        let secret = find("", "v1", "Secret").expect("built in");
        assert!(!secret.schema.validate(&json!({"data": {"a": "not base64!"}}), None).is_empty());
        assert_eq!(secret.schema.validate(&json!({"data": {"a": "aGk="}}), None), []);
    }

    #[test]
    fn events_are_shown_as_kubectl_users_expect() {
        let event = find("", "v1", "Event").expect("built in");
        let now = "2026-03-01T12:00:00Z".parse().expect("a time");
        let object = json!({"metadata": {"name": "e", "creationTimestamp": "2026-03-01T11:59:00Z"}, "type": "Normal", "reason": "Started",
            "lastTimestamp": null, "eventTime": "2026-03-01T11:58:00.000000Z", "involvedObject": {"kind": "NotebookServer", "name": "a"}, "message": "up"});
        assert_eq!(
            event.columns.cells(&object, now),
            [json!("e"), json!("2m"), json!("Normal"), json!("Started"), json!("notebookserver/a"), json!("up"),]
        );
    }
}
