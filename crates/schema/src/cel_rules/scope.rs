//! Looks through a parsed rule for names that nothing declares: variables, functions, and fields the schema does not have.
//!
//! This is not a type checker. It follows `self` and loop variables through the schema as far as that is plain, and says
//! nothing where it is not.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::functions::is_known;
use super::names::escape;
use crate::node::{Additional, Node, Type};
use crate::pattern;
use crate::structural::object_meta;

/// Loops inside loops; each multiplies what the ones inside it cost.
const MAX_LOOPS: usize = 5;
/// The evaluator recurses: this many operations inside one another fit on a small stack, a loop counted as several.
const MAX_DEPTH: usize = 100;
const LOOP_DEPTH: usize = 6;

/// What a rule was found to use.
pub(super) struct Findings {
    pub(super) uses_old_self: bool,
    /// How many operations stand inside one another, a loop counted as several.
    pub(super) depth: usize,
}

pub(super) fn check(node: &Node, expression: &Expression, optional_old_self: bool) -> Result<Findings, String> {
    Walk { root: Some(node), optional_old_self, ..Walk::default() }.over(expression)
}

/// The same for an expression over variables of which no schema is known, in place of `self` and `oldSelf`.
pub(super) fn check_untyped(variables: &[&'static str], expression: &Expression) -> Result<Findings, String> {
    let variables = variables.iter().map(|name| (*name, None)).collect();
    Walk { variables, ..Walk::default() }.over(expression)
}

/// A variable of a loop, and the schema of its value where it is known.
type Variable<'a> = (&'a str, Option<&'a Node>);

#[derive(Default)]
struct Walk<'a> {
    /// The schema of `self`, where there is such a variable.
    root: Option<&'a Node>,
    optional_old_self: bool,
    variables: Vec<Variable<'a>>,
    loops: usize,
    depth: usize,
    deepest: usize,
    uses_old_self: bool,
}

/// Names that stand for types and libraries.
const NAMES: &[&str] = &[
    "int",
    "uint",
    "double",
    "bool",
    "string",
    "bytes",
    "list",
    "map",
    "type",
    "null_type",
    "timestamp",
    "duration",
    "dyn",
    "optional",
    "optional_type",
    "strings",
    "base64",
    "sets",
    "format",
    "ip",
    "kubernetes",
    "google",
];

impl<'a> Walk<'a> {
    fn over(mut self, expression: &'a Expression) -> Result<Findings, String> {
        self.expression(expression)?;
        Ok(Findings { uses_old_self: self.uses_old_self, depth: self.deepest })
    }

    /// Checks; gives the schema of the value where it is known.
    fn expression(&mut self, expression: &'a Expression) -> Result<Option<&'a Node>, String> {
        let deeper = if matches!(expression.expr, Expr::Comprehension(_)) { LOOP_DEPTH } else { 1 };
        self.depth += deeper;
        self.deepest = self.deepest.max(self.depth);
        if self.depth > MAX_DEPTH {
            return Err("the expression nests too deeply".to_owned());
        }
        let found = self.inside(expression);
        self.depth -= deeper;
        found
    }

    fn inside(&mut self, expression: &'a Expression) -> Result<Option<&'a Node>, String> {
        match &expression.expr {
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => {
                let operand = self.expression(&select.operand)?;
                operand.map_or(Ok(None), |node| field(node, &select.field))
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                list.elements.iter().try_for_each(|item| self.expression(item).map(drop))?;
                Ok(None)
            }
            Expr::Map(map) => {
                map.entries.iter().try_for_each(|entry| self.entry(&entry.expr))?;
                Ok(None)
            }
            Expr::Struct(made) => Err(format!("undeclared reference to '{}'", made.type_name)),
            Expr::Literal(_) | Expr::Unspecified => Ok(None),
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) -> Result<(), String> {
        match entry {
            EntryExpr::StructField(field) => self.expression(&field.value).map(drop),
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key)?;
                self.expression(&entry.value).map(drop)
            }
        }
    }

    fn variable(&mut self, name: &'a str) -> Result<Option<&'a Node>, String> {
        if let Some((_, node)) = self.variables.iter().rev().find(|(bound, _)| *bound == name) {
            return Ok(*node);
        }
        match name {
            "self" if self.root.is_some() => Ok(self.root),
            "oldSelf" if self.root.is_some() => {
                self.uses_old_self = true;
                Ok(self.root.filter(|_| !self.optional_old_self))
            }
            name if name.starts_with('@') || NAMES.contains(&name) => Ok(None),
            other => Err(format!("undeclared reference to '{other}' (in container '')")),
        }
    }

    fn call(&mut self, call: &'a CallExpr) -> Result<Option<&'a Node>, String> {
        // What a method is called on comes first: its error says more than that of the method.
        if let Some(target) = call.target.as_deref() {
            self.expression(target)?;
        }
        let operator = call.func_name.starts_with(['@', '_', '!', '-']);
        if !operator && !is_known(&call.func_name) {
            return Err(format!("undeclared reference to '{}' (in container '')", call.func_name));
        }
        let mut first = None;
        for (index, argument) in call.args.iter().enumerate() {
            let found = self.expression(argument)?;
            first = if index == 0 { found } else { first };
        }
        check_literals(call)?;
        match call.func_name.as_str() {
            operators::INDEX => Ok(first.and_then(element)),
            _ => Ok(None),
        }
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Result<Option<&'a Node>, String> {
        let range = self.expression(&comprehension.iter_range)?;
        self.expression(&comprehension.accu_init)?;
        // A loop over nothing is how `optMap` gives a value a name.
        if matches!(&comprehension.iter_range.expr, Expr::List(list) if list.elements.is_empty()) {
            self.variables.push((&comprehension.accu_var, None));
            self.expression(&comprehension.result)?;
            self.variables.pop();
            return Ok(None);
        }
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            return Err(format!("more than {MAX_LOOPS} loops inside one another"));
        }
        let bound = self.variables.len();
        let item = range.and_then(|node| node.items.as_deref());
        self.variables.push((&comprehension.iter_var, item));
        self.variables.extend(comprehension.iter_var2.as_deref().map(|name| (name, None)));
        for inner in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
            self.expression(inner)?;
        }
        self.variables.truncate(bound);
        self.loops -= 1;
        Ok(None)
    }
}

/// The schema of a field named by its identifier.
fn field<'a>(node: &'a Node, identifier: &str) -> Result<Option<&'a Node>, String> {
    let undefined = || Err(format!("undefined field '{identifier}'"));
    let is_object = node.kind == Some(Type::Object);
    if let Some((_, child)) = node.properties.iter().find(|(name, _)| escape(name).as_deref() == Some(identifier)) {
        return Ok(Some(child).filter(|_| identifier != "metadata"));
    }
    match &node.additional {
        Additional::Schema(child) => Ok(Some(child)),
        Additional::Anything => Ok(None),
        _ if std::ptr::eq(node, object_meta()) || node.preserve_unknown || node.kind.is_none() => Ok(None),
        Additional::Nothing if matches!(identifier, "apiVersion" | "kind" | "metadata") => Ok(None),
        Additional::Nothing if is_object => undefined(),
        Additional::Nothing => {
            Err(format!("type '{}' does not support field selection", node.kind.map_or("", Type::as_str)))
        }
    }
}

fn element(node: &Node) -> Option<&Node> {
    match (&node.additional, node.items.as_deref()) {
        (_, Some(items)) => Some(items),
        (Additional::Schema(child), None) => Some(child),
        _ => None,
    }
}

/// Literal patterns and templates are checked before any object is.
fn check_literals(call: &CallExpr) -> Result<(), String> {
    let literal = |expression: Option<&'_ Expression>| match expression.map(|expression| &expression.expr) {
        Some(Expr::Literal(LiteralValue::String(text))) => Some(text.inner().to_owned()),
        _ => None,
    };
    match call.func_name.as_str() {
        "matches" | "find" | "findAll" => match literal(call.args.last()) {
            Some(text) => pattern::compile(&text).map(drop),
            None => Ok(()),
        },
        // A template says how many digits to write, so it has to be known.
        "format" => match literal(call.target.as_deref()) {
            Some(text) if !text.contains("%.") || !has_long_number(&text) => Ok(()),
            _ => Err("format needs a literal template with a precision below 100".to_owned()),
        },
        _ => Ok(()),
    }
}

fn has_long_number(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 2)
}
