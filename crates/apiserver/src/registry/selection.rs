//! Which objects a list or watch is about.

use std::sync::Arc;

use serde_json::Value;

use super::{Selectors, object::meta};
use crate::{ApiError, catalogue::Resource};

/// Selectors that were checked against what the resource can be selected by.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    selectors: Selectors,
    resource: Arc<Resource>,
}

impl Selection {
    pub(super) fn new(selectors: Selectors, resource: &Arc<Resource>) -> Result<Self, ApiError> {
        for term in selectors.fields.terms() {
            let known = matches!(term.field.as_str(), "metadata.name" | "metadata.namespace");
            if !known && resource.selectable(&term.field).is_none() {
                return Err(ApiError::bad_request(format!("field label not supported: {}", term.field)));
            }
        }
        Ok(Self { selectors, resource: resource.clone() })
    }

    /// Whether it chooses everything.
    pub(super) fn is_everything(&self) -> bool {
        self.selectors.labels.is_empty() && self.selectors.fields.is_empty()
    }

    /// The one name that can match, if the fields say so.
    pub(super) fn only_name(&self) -> Option<&str> {
        self.selectors.fields.required("metadata.name")
    }

    /// Whether it chooses this object.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.selectors.labels.matches(object) && self.selectors.fields.matches(|field| self.field(object, field))
    }

    fn field(&self, object: &Value, field: &str) -> String {
        match field {
            "metadata.name" => meta(object, "name").to_owned(),
            "metadata.namespace" => meta(object, "namespace").to_owned(),
            other => match self.resource.selectable(other).and_then(|path| path.get(object)) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
            },
        }
    }
}
