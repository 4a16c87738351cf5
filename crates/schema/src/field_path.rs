//! The simple path `.spec.replicas`: names only, no brackets.

use serde_json::{Map, Value};

/// A path of field names from the root of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// Reads `.spec.replicas`; nothing if it is any other form.
    pub fn parse(text: &str) -> Option<Self> {
        let names: Vec<String> = text.strip_prefix('.')?.split('.').map(str::to_owned).collect();
        let plain = |name: &String| !name.is_empty() && !name.contains(['[', ']', '*', '?', '@', ' ', '\'', '"', '\\']);
        names.iter().all(plain).then_some(Self(names))
    }

    /// The field names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// What stands there.
    pub fn get<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |value, name| value.get(name))
    }

    /// Puts a value there, making the maps on the way; false if something else than a map is in the way.
    pub fn set(&self, object: &mut Value, value: Value) -> bool {
        let mut at = object;
        for name in &self.0 {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let Value::Object(map) = at else { return false };
            at = map.entry(name.clone()).or_insert(Value::Null);
        }
        *at = value;
        true
    }
}
