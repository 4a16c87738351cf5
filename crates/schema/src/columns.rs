//! Printer columns: the cells of a Table.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::FieldError;

/// The printer columns of one version.
#[derive(Clone, Debug)]
pub struct Columns {}

impl Columns {
    /// Reads `additionalPrinterColumns`; null or an empty list gives Name and Age.
    pub fn compile(columns: &Value) -> Result<Self, Vec<FieldError>> {
        let _ = columns;
        Ok(Self {})
    }

    /// The `columnDefinitions` of a Table, Name first.
    pub fn definitions(&self) -> Vec<Value> {
        vec![json!({})]
    }

    /// The cells of one object, in the order of the definitions.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let _ = (object, now);
        Vec::new()
    }
}
