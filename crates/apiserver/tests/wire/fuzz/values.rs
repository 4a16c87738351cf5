//! Hostile values: any JSON, valid objects with something wrong in them, and bytes that nearly mean something.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use k8s_pb::{
    api::core::v1::{ConfigMap, Event, Secret},
    apimachinery::pkg::{
        apis::meta::v1::{DeleteOptions, ObjectMeta},
        runtime::{TypeMeta, Unknown},
    },
};
use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message as _;
use serde_json::{Map, Value, json};

/// Names that mean something somewhere, so that what is random often hits.
const KEYS: [&str; 44] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "status",
    "data",
    "stringData",
    "binaryData",
    "immutable",
    "type",
    "rules",
    "verbs",
    "apiGroups",
    "resources",
    "roleRef",
    "subjects",
    "name",
    "namespace",
    "generateName",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "managedFields",
    "resourceVersion",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "color",
    "size",
    "tags",
    "replicas",
    "conditions",
    "propagationPolicy",
    "preconditions",
    "dryRun",
    "$patch",
    "$retainKeys",
    "$setElementOrder/rules",
    "$deleteFromPrimitiveList/verbs",
    "a",
    "",
    "a/b~c",
];

const TEXTS: [&str; 34] = [
    "",
    "v1",
    "Widget",
    "toys.test/v1",
    "one",
    "default",
    "red",
    "Foreground",
    "Orphan",
    "All",
    "merge",
    "delete",
    "replace",
    "2020-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "-262143-01-01T00:00:00Z",
    "1Gi",
    "1e99999",
    "-0",
    "0.1m",
    "%",
    "é\u{301}",
    "\u{0}",
    "\u{202e}\u{fffd}",
    "a b",
    "../..",
    "/",
    "essaim.test/x",
    "kubectl.kubernetes.io/last-applied-configuration",
    "{\"a\":",
    "Update",
    "Apply",
    "FieldsV1",
    "9223372036854775808",
];

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => "[a-z0-9./-]{1,12}",
        1 => ("[a-zé ]", 200..3_000_usize).prop_map(|(letter, count)| letter.repeat(count)),
    ]
}

pub(super) fn key() -> impl Strategy<Value = String> {
    prop_oneof![9 => proptest::sample::select(&KEYS[..]).prop_map(str::to_owned), 1 => text()]
}

pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((key(), inner), 0..5).prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}

/// `metadata.managedFields` whose sets are made of good and bad path elements.
pub(super) fn managed_fields() -> impl Strategy<Value = Value> {
    let element = prop_oneof![
        4 => key().prop_map(|key| format!("f:{key}")),
        1 => Just(".".to_owned()),
        1 => any_json().prop_map(|value| format!("k:{value}")),
        1 => any_json().prop_map(|value| format!("v:{value}")),
        1 => any::<i64>().prop_map(|index| format!("i:{index}")),
        1 => text(),
        1 => text().prop_map(|text| format!("k:{text}")),
    ];
    let leaf = prop_oneof![9 => Just(json!({})), 1 => any_json()];
    let fields = leaf.prop_recursive(5, 24, 4, move |inner| {
        vec((element.clone(), inner), 0..4).prop_map(|pairs| Value::Object(Map::from_iter(pairs)))
    });
    let entry = (fields, any_json(), proptest::option::of(key()), text()).prop_map(|(fields, odd, wrong, manager)| {
        let mut entry = json!({
            "manager": manager, "operation": "Update", "apiVersion": "toys.test/v1", "time": "2020-01-01T00:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        });
        if let Some(key) = wrong {
            let place = ["operation", "apiVersion", "time", "fieldsType", "subresource"][key.len() % 5];
            entry[place] = odd;
        }
        entry
    });
    prop_oneof![9 => vec(entry, 0..4).prop_map(Value::from), 1 => any_json()]
}

/// Where objects of these kinds lie, and one that is right.
fn samples() -> Vec<(&'static str, Value)> {
    let rbac = "rbac.authorization.k8s.io/v1";
    let meta = json!({"name": "one", "namespace": "default", "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["essaim.test/x"]});
    let of = |version: &str, kind: &str, rest: Value| {
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": meta});
        object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        object
    };
    let about = json!({"kind": "Widget", "name": "one", "namespace": "default", "apiVersion": "toys.test/v1"});
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["x"]}]);
    let subjects = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}]);
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"});
    vec![
        (
            "/apis/toys.test/v1/namespaces/default/widgets",
            of(
                "toys.test/v1",
                "Widget",
                json!({
                    "spec": {"color": "red", "size": 1, "tags": ["x", "y"]},
                    "status": {"size": 1, "conditions": [{"type": "Ready", "status": "True"}]},
                }),
            ),
        ),
        (
            "/api/v1/namespaces/default/configmaps",
            of("v1", "ConfigMap", json!({"data": {"a": "b"}, "binaryData": {"c": "ZA=="}})),
        ),
        (
            "/api/v1/namespaces/default/secrets",
            of("v1", "Secret", json!({"type": "Opaque", "data": {"a": "Yg=="}, "stringData": {"c": "d"}})),
        ),
        ("/api/v1/namespaces/default/serviceaccounts", of("v1", "ServiceAccount", json!({"secrets": [{"name": "x"}]}))),
        ("/api/v1/namespaces", of("v1", "Namespace", json!({"spec": {"finalizers": ["kubernetes"]}}))),
        (
            "/api/v1/namespaces/default/events",
            of(
                "v1",
                "Event",
                json!({
                    "involvedObject": about, "reason": "Made", "message": "so", "count": 3, "firstTimestamp": "2020-01-01T00:00:00Z",
                    "lastTimestamp": null, "type": "Normal", "source": {"component": "x"},
                }),
            ),
        ),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            of(
                "coordination.k8s.io/v1",
                "Lease",
                json!({
                    "spec": {"holderIdentity": "x", "leaseDurationSeconds": 15, "renewTime": "2020-01-01T00:00:00.000000Z"},
                }),
            ),
        ),
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", of(rbac, "Role", json!({"rules": rules}))),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            of(
                rbac,
                "ClusterRole",
                json!({
                    "rules": rules, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
                }),
            ),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
            of(rbac, "RoleBinding", json!({"roleRef": role, "subjects": subjects})),
        ),
        (
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            of(
                "authorization.k8s.io/v1",
                "SelfSubjectAccessReview",
                json!({
                    "spec": {"resourceAttributes": {"verb": "get", "group": "", "resource": "secrets", "namespace": "default"}},
                }),
            ),
        ),
        (
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            of(
                "authorization.k8s.io/v1",
                "SubjectAccessReview",
                json!({
                    "spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}, "user": "x", "groups": ["y"]},
                }),
            ),
        ),
        (
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            of("authorization.k8s.io/v1", "SelfSubjectRulesReview", json!({"spec": {"namespace": "default"}})),
        ),
        (
            "/apis/authentication.k8s.io/v1/tokenreviews",
            of("authentication.k8s.io/v1", "TokenReview", json!({"spec": {"token": "x"}})),
        ),
    ]
}

/// What is done to a value at a place in it.
#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove,
    Insert(String, Value),
}

fn change() -> impl Strategy<Value = (Index, Change)> {
    let change = prop_oneof![
        4 => any_json().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        3 => (key(), any_json()).prop_map(|(key, value)| Change::Insert(key, value)),
        1 => managed_fields().prop_map(|fields| Change::Insert("managedFields".into(), fields)),
    ];
    (any::<Index>(), change)
}

/// The pointers of all that is in a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{at}/{index}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| places(field, &format!("{at}/{}", escaped(key)), found));
        }
        _ => {}
    }
}

pub(super) fn changed(mut value: Value, changes: Vec<(Index, impl Into<Edit>)>) -> Value {
    for (index, edit) in changes {
        let mut all = Vec::new();
        places(&value, "", &mut all);
        let place = index.get(&all);
        let Some(found) = value.pointer_mut(place) else { continue };
        match (edit.into().0, found) {
            (Change::Remove, found) => *found = Value::Null,
            (Change::Insert(key, other), Value::Object(fields)) => drop(fields.insert(key, other)),
            (Change::Insert(_, other), Value::Array(items)) => items.push(other),
            (Change::Replace(other) | Change::Insert(_, other), found) => *found = other,
        }
    }
    value
}

/// A change, for those who only hand it on.
#[derive(Clone, Debug)]
pub(super) struct Edit(Change);

pub(super) fn edits(most: usize) -> impl Strategy<Value = Vec<(Index, Edit)>> {
    vec(change().prop_map(|(index, change)| (index, Edit(change))), 0..most)
}

/// The path of a collection, and an object for it in which something may be wrong.
pub(super) fn object() -> impl Strategy<Value = (&'static str, Value)> {
    (proptest::sample::select(samples()), edits(4)).prop_map(|((path, value), edits)| (path, changed(value, edits)))
}

/// Bytes with something wrong in them: cut, flipped, doubled.
pub(super) fn damaged(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<Index>(), 0..4_u8, any::<u8>()), 0..3);
    (bytes, prop_oneof![3 => Just(Vec::new()), 1 => damage]).prop_map(|(mut bytes, damage)| {
        for (index, what, byte) in damage {
            let at = index.index(bytes.len() + 1);
            match what {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 => bytes.get_mut(at).into_iter().for_each(|found| *found ^= byte),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    })
}

/// Protobuf in its envelope.
pub(super) fn protobuf() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![
        4 => proptest::sample::select(vec![("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "Event"), ("v1", "DeleteOptions")]),
        1 => proptest::sample::select(vec![("v1", "Namespace"), ("rbac.authorization.k8s.io/v1", "Role"), ("authorization.k8s.io/v1", "SubjectAccessReview")]),
    ];
    let message = (text(), text(), 0..4_u8, any::<Vec<u8>>()).prop_map(|(one, other, kind, bytes)| {
        let metadata = Some(ObjectMeta {
            name: Some("one".into()),
            namespace: Some("default".into()),
            labels: [(one.clone(), other.clone())].into(),
            annotations: [(other.clone(), one.clone())].into(),
            finalizers: vec![other.clone()],
            ..ObjectMeta::default()
        });
        match kind {
            0 => ConfigMap { metadata, data: [(one, other)].into(), ..ConfigMap::default() }.encode_to_vec(),
            1 => Secret { metadata, data: [(one, bytes)].into(), ..Secret::default() }.encode_to_vec(),
            2 => Event { metadata, reason: Some(one), count: Some(-1), ..Event::default() }.encode_to_vec(),
            _ => DeleteOptions {
                dry_run: vec!["All".into()],
                propagation_policy: Some(other),
                ..DeleteOptions::default()
            }
            .encode_to_vec(),
        }
    });
    let enveloped = (kinds, damaged(message)).prop_map(|((api_version, kind), raw)| {
        let type_meta = Some(TypeMeta { api_version: Some(api_version.into()), kind: Some(kind.into()) });
        let unknown = Unknown { type_meta, raw: Some(raw), ..Unknown::default() };
        [b"k8s\0".as_slice(), &unknown.encode_to_vec()].concat()
    });
    damaged(enveloped)
}

/// YAML that is not only JSON: anchors, tags, block texts, odd keys.
pub(super) fn yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => key().prop_map(|key| format!("{key}:")),
        2 => text(),
        1 => any_json().prop_map(|value| value.to_string()),
        4 => proptest::sample::select(vec![
            " ", "\n", "\n  ", "\n    ", "- ", "&a ", "*a", "!!binary ", "!!int ", "!x ", "? ", ": ", "|\n", ">-\n", "<<: ", "---\n", "...\n",
            "%YAML 1.2\n", "[", "]", "{", "}", ",", "'", "\"", "#", "~", ".nan", ".inf", "0o17", "0x1f", "1_000", "yes", "2020-01-01", "\t", "\u{feff}",
        ]).prop_map(str::to_owned),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// A token for the next page, or something like it.
pub(super) fn continue_token() -> impl Strategy<Value = String> {
    let form = json!({"v": "meta.k8s.io/v1", "rv": 3, "start": "default/one\u{0}"});
    let nearly = (edits(3), -2..9_i64).prop_map(move |(edits, rv)| {
        let mut form = form.clone();
        form["rv"] = rv.into();
        URL_SAFE_NO_PAD.encode(changed(form, edits).to_string())
    });
    prop_oneof![4 => nearly, 1 => text()]
}
