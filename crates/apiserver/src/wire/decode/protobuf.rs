//! Protobuf bodies: what kubectl sends since 1.32 for everything that it creates by command.
//!
//! The envelope is `k8s\0` and a `runtime.Unknown` that names the kind and carries the message. Answers stay JSON, which
//! every client that sends protobuf also accepts.

mod core;
mod meta;
mod review;

use k8s_pb::{
    api::{
        authentication::v1 as authentication, authorization::v1 as authorization, coordination::v1 as coordination,
        core::v1 as core_v1, events::v1 as events, rbac::v1 as rbac,
    },
    apimachinery::pkg::{apis::meta::v1 as meta_v1, runtime::Unknown},
};
use prost::Message;
use serde_json::{Map, Value};

use crate::{ApiError, registry::Document};

const MAGIC: &[u8] = b"k8s\0";

/// Reads the envelope and the message in it.
pub(super) fn document(bytes: &[u8]) -> Result<Document, ApiError> {
    let body = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| ApiError::bad_request("the body lacks the prefix of Kubernetes protobuf"))?;
    let unknown = Unknown::decode(body).map_err(|error| refuse(&error))?;
    let meta = unknown.type_meta.unwrap_or_default();
    let (api_version, kind) = (meta.api_version.unwrap_or_default(), meta.kind.unwrap_or_default());
    let raw = unknown.raw.unwrap_or_default();
    let mut value = message(&api_version, &kind, &raw)?;
    if let Value::Object(map) = &mut value {
        map.insert("apiVersion".into(), api_version.into());
        map.insert("kind".into(), kind.into());
    }
    Ok(Document { value, duplicates: Vec::new() })
}

fn message(api_version: &str, kind: &str, raw: &[u8]) -> Result<Value, ApiError> {
    match (api_version, kind) {
        ("v1", "Namespace") => read::<core_v1::Namespace>(raw),
        ("v1", "ConfigMap") => read::<core_v1::ConfigMap>(raw),
        ("v1", "Secret") => read::<core_v1::Secret>(raw),
        ("v1", "ServiceAccount") => read::<core_v1::ServiceAccount>(raw),
        ("v1", "Event") => read::<core_v1::Event>(raw),
        ("events.k8s.io/v1", "Event") => read::<events::Event>(raw),
        ("coordination.k8s.io/v1", "Lease") => read::<coordination::Lease>(raw),
        ("rbac.authorization.k8s.io/v1", "Role") => read::<rbac::Role>(raw),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => read::<rbac::ClusterRole>(raw),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => read::<rbac::RoleBinding>(raw),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => read::<rbac::ClusterRoleBinding>(raw),
        ("authentication.k8s.io/v1", "TokenRequest") => read::<authentication::TokenRequest>(raw),
        ("authentication.k8s.io/v1", "TokenReview") => read::<authentication::TokenReview>(raw),
        ("authentication.k8s.io/v1", "SelfSubjectReview") => read::<authentication::SelfSubjectReview>(raw),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => read::<authorization::SelfSubjectAccessReview>(raw),
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => read::<authorization::SelfSubjectRulesReview>(raw),
        ("authorization.k8s.io/v1", "SubjectAccessReview") => read::<authorization::SubjectAccessReview>(raw),
        ("authorization.k8s.io/v1", "LocalSubjectAccessReview") => read::<authorization::LocalSubjectAccessReview>(raw),
        // Options carry the group of the resource they are about.
        (_, "DeleteOptions") => read::<meta_v1::DeleteOptions>(raw),
        _ => Err(ApiError::new(
            415,
            "UnsupportedMediaType",
            format!(
                "{kind} of {api_version} is not accepted as protobuf - accepted media types include: application/json"
            ),
        )),
    }
}

fn read<M: Message + Default + ToJson>(raw: &[u8]) -> Result<Value, ApiError> {
    let message = M::decode(raw).map_err(|error| refuse(&error))?;
    Ok(message.to_json().unwrap_or_else(|| Value::Object(Map::new())))
}

fn refuse(error: &prost::DecodeError) -> ApiError {
    ApiError::bad_request(format!("error decoding the protobuf body: {error}"))
}

/// The JSON form of a message or field; nothing where it is absent.
trait ToJson {
    fn to_json(self) -> Option<Value>;
}

impl ToJson for String {
    fn to_json(self) -> Option<Value> {
        Some(self.into())
    }
}

impl ToJson for bool {
    fn to_json(self) -> Option<Value> {
        Some(self.into())
    }
}

impl ToJson for i32 {
    fn to_json(self) -> Option<Value> {
        Some(self.into())
    }
}

impl ToJson for i64 {
    fn to_json(self) -> Option<Value> {
        Some(self.into())
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(self) -> Option<Value> {
        self.and_then(ToJson::to_json)
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(self) -> Option<Value> {
        (!self.is_empty()).then(|| self.into_iter().filter_map(ToJson::to_json).collect())
    }
}

/// Bytes are base64 text in JSON.
impl ToJson for Vec<u8> {
    fn to_json(self) -> Option<Value> {
        use base64::Engine as _;
        Some(base64::engine::general_purpose::STANDARD.encode(self).into())
    }
}

impl<T: ToJson> ToJson for std::collections::BTreeMap<String, T> {
    fn to_json(self) -> Option<Value> {
        let entries = self.into_iter().filter_map(|(key, value)| Some((key, value.to_json()?)));
        Some(Value::Object(entries.collect()))
    }
}

/// Puts a field in its place. Go writes empty texts and messages for absent fields, which JSON leaves out.
fn put(map: &mut Map<String, Value>, name: &str, field: impl ToJson) {
    let empty = |value: &Value| value.as_str() == Some("") || value.as_object().is_some_and(Map::is_empty);
    if let Some(value) = field.to_json().filter(|value| !empty(value)) {
        map.insert(name.into(), value);
    }
}

/// Maps the fields of messages to their names in JSON.
macro_rules! to_json {
    ($($message:path { $($field:ident => $name:literal),* $(,)? })*) => { $(
        impl $crate::wire::decode::protobuf::ToJson for $message {
            fn to_json(self) -> Option<serde_json::Value> {
                let mut map = serde_json::Map::new();
                $( $crate::wire::decode::protobuf::put(&mut map, $name, self.$field); )*
                Some(serde_json::Value::Object(map))
            }
        }
    )* };
}
use to_json;
