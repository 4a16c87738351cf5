//! The validation rules of a schema (`x-kubernetes-validations`), written in the Common Expression Language.
//!
//! Rules are parsed and checked once, with the schema. Evaluation is bounded three ways: the length and number of rules,
//! the size of what a rule may build, and a budget that each turn of a loop is charged to (see [`budget`]). The evaluator is
//! an outside crate, so a panic in it is caught and becomes a validation error.

mod budget;
mod compile;
mod condition;
mod functions;
mod instrument;
mod names;
mod scope;
mod signatures;
mod stack;
mod types;
mod unordered;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::common::types::{CelBool, CelOptional, CelString};
use cel::common::value::{CowVal, Val};
use cel::parser::Expression;
use cel::{Context, ExecutionError};
use serde_json::Value;

use self::budget::Budget;
use crate::node::{Node, type_of};
use crate::path::Path;
use crate::{FieldError, Reason};

pub(crate) use self::compile::compile;
pub use self::condition::{Condition, all_hold};

/// How many errors are collected.
const MAX_ERRORS: usize = 50;

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    text: String,
    message: Option<String>,
    message_expression: Option<Arc<Expression>>,
    reason: Reason,
    /// `.name` steps from the node to the field that errors name.
    field_path: Vec<String>,
    /// Speaks of `oldSelf`, so it holds for updates.
    transition: bool,
    /// `oldSelf` is an optional value, and the rule holds for new objects too.
    optional_old_self: bool,
    /// How deep the evaluator goes for it.
    depth: usize,
    expression: Arc<Expression>,
}

/// Evaluates every rule of the tree that applies.
pub(crate) fn evaluate(root: &Node, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    if !root.has_rules {
        return Vec::new();
    }
    let pass = || {
        let mut pass = Pass { budget: Arc::new(Budget::default()), errors: Vec::new() };
        pass.walk(root, new, old, &Path::ROOT);
        pass.errors
    };
    let evaluated = if root.has_deep_rules { stack::on_own_stack(pass) } else { Ok(pass()) };
    evaluated.unwrap_or_else(|words| {
        vec![FieldError {
            reason: Reason::InternalError,
            path: String::new(),
            bad_value: None,
            detail: words.to_owned(),
        }]
    })
}

/// One walk over an object.
struct Pass {
    budget: Arc<Budget>,
    errors: Vec<FieldError>,
}

impl Pass {
    fn walk(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) {
        // A value of another type is one that was tolerated because it did not change; no rule is about it.
        let other_type = node.kind.is_some_and(|kind| !kind.admits(new));
        if !node.has_rules || new.is_null() || other_type || self.errors.len() >= MAX_ERRORS {
            return;
        }
        self.apply_rules(node, new, old, path);
        match new {
            Value::Object(map) => {
                let before = old.and_then(Value::as_object).filter(|_| !node.atomic_map);
                for (name, value) in map {
                    let Some(child) = node.child(name) else { continue };
                    let here = if node.properties.contains_key(name) { path.field(name) } else { path.key(name) };
                    self.walk(child, value, before.and_then(|before| before.get(name)), &here);
                }
            }
            Value::Array(items) => {
                let Some(child) = node.items.as_deref() else { return };
                let before = old.and_then(Value::as_array);
                for (index, item) in items.iter().enumerate() {
                    self.walk(child, item, node.correlate(item, before), &path.index(index));
                }
            }
            _ => {}
        }
    }

    fn apply_rules(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) {
        let unchanged = old == Some(new);
        let applies = |rule: &&Rule| {
            let has_old = old.is_some() || rule.optional_old_self;
            if rule.transition { has_old } else { !unchanged }
        };
        let mut rules = node.rules.iter().filter(applies).peekable();
        if rules.peek().is_none() {
            return;
        }
        let is_root = path.depth() == 0;
        let bindings = Bindings { node, new, old, is_root, unchanged };
        for rule in rules {
            if let Err(failure) = self.holds(rule, &bindings) {
                self.errors.push(rule.error(new, failure, path));
            }
        }
    }

    /// Whether the rule holds; the error is the message for the user.
    fn holds(&self, rule: &Rule, bindings: &Bindings<'_>) -> Result<(), String> {
        if !self.budget.start(bindings.new, bindings.old) {
            return Err(format!(
                "validation failed due to running out of cost budget, no further validation rules will be run: {}",
                rule.shown()
            ));
        }
        let outcome = self.run(&rule.expression, rule, bindings, boolean);
        match outcome {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.message(rule, bindings)),
            // What makes evaluation fail was there before.
            Err(_) if bindings.unchanged && !self.budget.is_exhausted() => Ok(()),
            Err(error) => Err(format!("{error} evaluating rule: {}", rule.message.as_deref().unwrap_or(&rule.text))),
        }
    }

    fn message(&self, rule: &Rule, bindings: &Bindings<'_>) -> String {
        let text = |value: &dyn Val| value.downcast_ref::<CelString<'_>>().map(|text| text.inner().trim().to_owned());
        let computed = rule.message_expression.as_ref().and_then(|expression| {
            self.run(expression, rule, bindings, |value| text(value).ok_or_else(String::new)).ok()
        });
        let usable = computed.filter(|text| !text.is_empty() && !text.contains('\n') && text.len() <= 5 * 1024);
        usable.unwrap_or_else(|| rule.shown())
    }

    fn run<T>(
        &self,
        expression: &Expression,
        rule: &Rule,
        bindings: &Bindings<'_>,
        read: impl FnOnce(&dyn Val) -> Result<T, String>,
    ) -> Result<T, String> {
        resolve(&self.budget, expression, |context| bindings.install(context, rule), read)
    }
}

/// Evaluates an expression with the variables that `install` gives it.
fn resolve<'v, T>(
    budget: &Arc<Budget>,
    expression: &Expression,
    install: impl FnOnce(&mut Context<'_, 'v>),
    read: impl FnOnce(&dyn Val) -> Result<T, String>,
) -> Result<T, String> {
    let evaluation = AssertUnwindSafe(|| -> Result<T, String> {
        let mut context = Context::with_env(functions::env());
        budget.install(&mut context).map_err(|error| error.to_string())?;
        install(&mut context);
        let value = cel::Value::resolve_val(expression, &context).map_err(|error| explain(&error))?;
        read(value.as_ref())
    });
    let outcome = catch_unwind(evaluation).unwrap_or_else(|_| Err("the evaluator failed".to_owned()));
    if budget.is_exhausted() {
        return Err("operation cancelled: actual cost limit exceeded".to_owned());
    }
    outcome
}

/// What the variables of a rule stand for.
struct Bindings<'a> {
    node: &'a Node,
    new: &'a Value,
    old: Option<&'a Value>,
    is_root: bool,
    unchanged: bool,
}

impl<'a> Bindings<'a> {
    fn install(&self, context: &mut Context<'_, 'a>, rule: &Rule) {
        context.add_variable_as_val("self", values::bind(self.node, self.new, self.is_root));
        if !rule.transition {
            return;
        }
        let old = self.old.map(|old| values::bind(self.node, old, self.is_root));
        match (rule.optional_old_self, old) {
            (true, Some(old)) => context.add_variable_as_val("oldSelf", Box::new(CelOptional::of(old))),
            (true, None) => context.add_variable_as_val("oldSelf", Box::new(CelOptional::none())),
            (false, Some(old)) => context.add_variable_as_val("oldSelf", old),
            (false, None) => {}
        }
    }
}

impl Rule {
    /// What users see when there is no better message.
    fn shown(&self) -> String {
        self.message.clone().unwrap_or_else(|| format!("failed rule: {}", self.text))
    }

    fn error(&self, value: &Value, detail: String, path: &Path<'_>) -> FieldError {
        let mut at = path.to_string();
        for name in &self.field_path {
            if !at.is_empty() && !name.starts_with('[') {
                at.push('.');
            }
            at.push_str(name);
        }
        let shows_value = matches!(self.reason, Reason::Invalid | Reason::Duplicate);
        let bad_value = shows_value.then(|| Value::from(type_of(value)));
        FieldError { reason: self.reason, path: at, bad_value, detail }
    }
}

fn boolean(value: &dyn Val) -> Result<bool, String> {
    let held = value.downcast_ref::<CelBool>().map(|held| *held.inner());
    held.ok_or_else(|| "the rule gave no boolean".to_owned())
}

/// An evaluation error in the words of Kubernetes where it has its own.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::NoSuchOverload(_) => "no such overload".to_owned(),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        // Some messages hold the values they are about, which can be large.
        other => other.to_string().chars().take(512).collect(),
    }
}

/// A value a function hands back.
type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

#[cfg(test)]
mod tests;
