//! What evaluating rules may cost.
//!
//! The parsed rules are rewritten (see [`super::instrument`]) so that every turn of every loop calls [`TICK`] with the number
//! of operations in the loop's body. One operation is charged one unit for each 4 KiB of the value that the rule looks at,
//! because loops copy what they iterate over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use cel::{Context, DeclarationError, ExecutionError};
use serde_json::Value;

/// The function that loops call; no rule can write this name.
pub(super) const TICK: &str = "@tick";

/// Units for one rule on one value.
const PER_RULE: i64 = 5_000_000;
/// Units for all rules of one object.
const PER_OBJECT: i64 = 20_000_000;
/// What starting a rule costs: the value is converted.
const START: i64 = 100;
const PAGE: usize = 4096;

#[derive(Debug)]
pub(super) struct Budget {
    object: AtomicI64,
    rule: AtomicI64,
    unit: AtomicI64,
    exhausted: AtomicBool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            object: AtomicI64::new(PER_OBJECT),
            rule: AtomicI64::new(PER_RULE),
            unit: AtomicI64::new(1),
            exhausted: AtomicBool::new(false),
        }
    }
}

impl Budget {
    /// Begins a rule; false if the object has used up its budget.
    pub(super) fn start(&self, new: &Value, old: Option<&Value>) -> bool {
        let size = weight(new) + old.map_or(0, weight);
        let unit = 1 + i64::try_from(size / PAGE).unwrap_or(i64::MAX / PER_OBJECT);
        self.unit.store(unit, Ordering::Relaxed);
        self.rule.store(PER_RULE, Ordering::Relaxed);
        self.exhausted.store(false, Ordering::Relaxed);
        self.charge(START.saturating_mul(unit))
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }

    /// Makes [`TICK`] known to an evaluation.
    pub(super) fn install(self: &Arc<Self>, context: &mut Context<'_, '_>) -> Result<(), DeclarationError> {
        let budget = Arc::clone(self);
        context.add_function(TICK, move |operations: i64| -> Result<bool, ExecutionError> {
            let unit = budget.unit.load(Ordering::Relaxed);
            if budget.charge(operations.saturating_mul(unit)) {
                return Ok(true);
            }
            Err(ExecutionError::function_error("loop", "actual cost limit exceeded"))
        })
    }

    fn charge(&self, cost: i64) -> bool {
        let rule = self.rule.fetch_sub(cost, Ordering::Relaxed);
        let object = self.object.fetch_sub(cost, Ordering::Relaxed);
        let enough = rule >= cost && object >= cost && !self.is_exhausted();
        if !enough {
            self.exhausted.store(true, Ordering::Relaxed);
        }
        enough
    }
}

/// About the number of bytes of a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => 16 + text.len(),
        Value::Array(items) => 16 + items.iter().map(weight).sum::<usize>(),
        Value::Object(map) => 16 + map.iter().map(|(name, value)| 32 + name.len() + weight(value)).sum::<usize>(),
    }
}
