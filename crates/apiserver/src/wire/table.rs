//! Tables: what `kubectl get` prints. The server chooses the columns and renders the cells.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{ApiError, catalogue::Resource, wire::query::unsupported};

/// What stands in `rows[].object`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

impl IncludeObject {
    /// Reads the parameter `includeObject`.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(unsupported("includeObject", other, &["None", "Metadata", "Object"])),
        }
    }
}

/// Only `metadata` of an object, with the kind that says so.
pub(crate) fn partial(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

/// Renders objects of one resource.
pub(crate) struct Renderer<'a> {
    resource: &'a Resource,
    version: &'static str,
    include: IncludeObject,
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(resource: &'a Resource, version: &'static str, include: IncludeObject) -> Self {
        Self { resource, version, include }
    }

    /// A Table of one object.
    pub(crate) fn object(&self, object: &Value, now: Timestamp) -> Value {
        self.event(object, true, now)
    }

    /// The object of a watch event. Only the first event of a watch names the columns.
    pub(crate) fn event(&self, object: &Value, first: bool, now: Timestamp) -> Value {
        let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
        let columns = if first { self.resource.columns.definitions().into() } else { Value::Null };
        self.table(&metadata, &columns, &[self.row(object, now)])
    }

    fn table(&self, metadata: &Value, columns: &Value, rows: &[Value]) -> Value {
        json!({
            "kind": "Table", "apiVersion": format!("meta.k8s.io/{}", self.version), "metadata": metadata,
            "columnDefinitions": columns, "rows": rows,
        })
    }

    /// One line of a Table.
    pub(crate) fn row(&self, object: &Value, now: Timestamp) -> Value {
        let cells = self.resource.columns.cells(object, now);
        let included = match self.include {
            IncludeObject::None => Value::Null,
            IncludeObject::Metadata => partial(object, self.version),
            IncludeObject::Object => object.clone(),
        };
        json!({"cells": cells, "object": included})
    }
}
