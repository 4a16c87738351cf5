//! The checked schema, and what can be done with it.

mod compile;
mod junctors;
mod keywords;
mod lists;

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::node::Node;
use crate::path::Path;
use crate::{FieldError, Violation, cel_rules, defaulting, pruning, validate};

/// A checked schema. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Structural {
    json: Arc<Value>,
    root: Arc<Node>,
}

impl Structural {
    /// Reads an `openAPIV3Schema` and refuses it unless it is structural.
    pub fn compile(schema: &Value) -> Result<Self, Vec<Violation>> {
        let root = compile::root(schema)?;
        Ok(Self { json: Arc::new(schema.clone()), root: Arc::new(root) })
    }

    /// The schema that knows nothing and keeps everything.
    pub fn preserve_everything() -> Self {
        let json = serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let root = Node { kind: Some(crate::node::Type::Object), preserve_unknown: true, ..Node::default() };
        Self { json: Arc::new(json), root: Arc::new(root) }
    }

    /// The schema as it was written.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Removes fields that the schema does not know; gives their paths, `spec.foo` or `spec.list[0].foo`.
    ///
    /// `apiVersion`, `kind` and `metadata` of the object and of embedded resources are kept; inside `metadata` only the fields
    /// of ObjectMeta are.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        pruning::prune(&self.root, object)
    }

    /// Fills in defaults, also in place of a null that the schema does not admit.
    pub fn default(&self, object: &mut Value) {
        defaulting::default(&self.root, object);
    }

    /// Removes nulls that the schema does not admit and that no default replaces.
    pub fn prune_nulls(&self, object: &mut Value) {
        defaulting::prune_nulls(&self.root, object);
    }

    /// Everything that is wrong with `new`. Given `old`, what was wrong before and did not change is tolerated, and
    /// transition rules apply.
    ///
    /// Rules in CEL are evaluated only on values that satisfy the rest of the schema.
    ///
    /// With rules and a large object this can take a tenth of a second: see [`has_rules`](Self::has_rules).
    pub fn validate(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let errors = validate::validate(&self.root, new, old);
        if !errors.is_empty() {
            return errors;
        }
        cel_rules::evaluate(&self.root, new, old)
    }

    /// Whether validation evaluates rules, whose cost is bounded but grows faster than the object.
    pub fn has_rules(&self) -> bool {
        self.root.has_rules
    }

    #[cfg(test)]
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

/// ObjectMeta, which is part of every schema without being written there.
pub(crate) fn object_meta() -> &'static Node {
    static NODE: LazyLock<Node> = LazyLock::new(|| compile::trusted(crate::builtin::object_meta_json()));
    &NODE
}

/// Checks a default against its own node.
fn check_default(node: &Node, value: &Value, path: &Path<'_>, violations: &mut Vec<Violation>) {
    let mut pruned = value.clone();
    if let Some(unknown) = pruning::prune_below(node, &mut pruned).first() {
        violations.push(FieldError::invalid(
            path.to_string(),
            value,
            format!("must not have unknown fields: {unknown}"),
        ));
    }
    for error in validate::validate_below(node, value) {
        let at = if error.path.is_empty() { path.to_string() } else { format!("{path}.{}", error.path) };
        violations.push(FieldError { path: at, ..error });
    }
}
