//! `/openapi/v2` as protobuf, for kubectl 1.27: only what it looks for there, namely which kinds' patches know the
//! parameter `fieldValidation`. Newer clients read `/openapi/v3`.
//!
//! The messages are those of `openapi.v2` in github.com/google/gnostic; the numbers are their field numbers.

use http::{HeaderMap, header};

use crate::{
    catalogue::{Resource, Table},
    wire::output::api_version,
};

/// The media type of the document. Clients ask for it in a spelling that no parser of media types accepts.
pub(super) const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// As it is asked for.
const ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Whether the client reads the document.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accept.flat_map(|list| list.split(',')).any(|one| [MEDIA_TYPE, ASKED].contains(&one.trim()))
}

/// A `Document` with the PATCH operation of every resource that can be patched.
pub(super) fn document(table: &Table) -> Vec<u8> {
    let info = [text(1, "essaim"), text(2, "v1.33.0")].concat();
    let patched = table.resources.iter().filter(|resource| resource.verbs.contains(&"patch"));
    let paths = patched.map(|resource| field(2, &path(resource))).collect::<Vec<_>>().concat();
    [text(1, "2.0"), field(2, &info), field(8, &paths)].concat()
}

/// `NamedPathItem`
fn path(resource: &Resource) -> Vec<u8> {
    let root = if resource.group.is_empty() { "api" } else { "apis" };
    let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let address =
        format!("/{root}/{}{namespace}/{}/{{name}}", api_version(&resource.group, &resource.version), resource.plural);
    [text(1, &address), field(2, &field(8, &operation(resource)))].concat()
}

/// `Operation`
fn operation(resource: &Resource) -> Vec<u8> {
    let Resource { group, version, kind, .. } = resource;
    let parameters =
        ["fieldManager", "fieldValidation", "dryRun"].map(|name| field(8, &query_parameter(name))).concat();
    let kind = text(2, &format!("group: {group:?}\nkind: {kind}\nversion: {version}\n"));
    let extension = [text(1, "x-kubernetes-group-version-kind"), field(2, &kind)].concat();
    [parameters, field(13, &extension)].concat()
}

/// `ParametersItem` → `Parameter` → `NonBodyParameter` → `QueryParameterSubSchema`
fn query_parameter(name: &str) -> Vec<u8> {
    let schema = [text(2, "query"), text(4, name), text(6, "string")].concat();
    field(1, &field(2, &field(3, &schema)))
}

fn text(number: u32, text: &str) -> Vec<u8> {
    field(number, text.as_bytes())
}

/// A field whose value is a text or a message.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 8);
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}
