//! Checks a parsed rule: names that nothing declares, fields that the schema does not have, operands of the wrong type.
//!
//! It gives every expression the [type](Ty) that the schema and the functions give it, and refuses what can hold for no object. Where
//! the type is not plain it is [`Ty::Dyn`], and everything goes.

use std::rc::Rc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::functions::is_known;
use super::names::escape;
use super::signatures;
use super::types::{Library, Ty};
use crate::node::Node;
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

/// Checks, and gives the type of the whole beside what was found.
pub(super) fn check<'a>(root: &Root<'a>, expression: &'a Expression) -> Result<(Ty<'a>, Findings), String> {
    let Root { node, is_resource, optional_old_self } = *root;
    Walk { root: Some(Ty::of(node, is_resource)), optional_old_self, ..Walk::default() }.over(expression)
}

/// The same for an expression over variables of which no schema is known, in place of `self` and `oldSelf`.
pub(super) fn check_untyped(variables: &[&'static str], expression: &Expression) -> Result<Findings, String> {
    let variables = variables.iter().map(|name| (*name, Ty::Dyn)).collect();
    Walk { variables, ..Walk::default() }.over(expression).map(|(_, findings)| findings)
}

/// What `self` and `oldSelf` stand for.
#[derive(Clone, Copy)]
pub(super) struct Root<'a> {
    pub(super) node: &'a Node,
    /// Has the fields that every object has.
    pub(super) is_resource: bool,
    pub(super) optional_old_self: bool,
}

/// A variable of a loop, and the type of its value.
type Variable<'a> = (&'a str, Ty<'a>);

#[derive(Default)]
struct Walk<'a> {
    /// The type of `self`, where there is such a variable.
    root: Option<Ty<'a>>,
    optional_old_self: bool,
    variables: Vec<Variable<'a>>,
    loops: usize,
    depth: usize,
    deepest: usize,
    uses_old_self: bool,
}

/// Names that stand for types.
const TYPES: &[&str] = &[
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
    "optional_type",
];

/// Names that stand before the functions of a library, or in the full name of a type.
const NAMESPACES: &[&str] = &["optional", "strings", "base64", "sets", "format", "ip", "kubernetes", "google", "net"];

impl<'a> Walk<'a> {
    fn over(mut self, expression: &'a Expression) -> Result<(Ty<'a>, Findings), String> {
        let gives = self.expression(expression)?;
        Ok((gives, Findings { uses_old_self: self.uses_old_self, depth: self.deepest }))
    }

    /// Checks, and gives the type.
    fn expression(&mut self, expression: &'a Expression) -> Result<Ty<'a>, String> {
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

    fn inside(&mut self, expression: &'a Expression) -> Result<Ty<'a>, String> {
        match &expression.expr {
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => {
                let field = field(&self.expression(&select.operand)?, &select.field)?;
                Ok(if select.test { Ty::Bool } else { field })
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                let items = list.elements.iter().map(|item| self.expression(item)).collect::<Result<Vec<_>, _>>()?;
                let item = items.into_iter().reduce(Ty::join).unwrap_or(Ty::Nothing);
                Ok(Ty::list(if list.optional_indices.is_empty() { item } else { Ty::Dyn }))
            }
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| self.entry(&entry.expr)).collect::<Result<Vec<_>, _>>()?;
                let joined = |(one_key, one): (Ty<'a>, Ty<'a>), (key, value)| (one_key.join(key), one.join(value));
                let (key, value) = entries.into_iter().reduce(joined).unwrap_or((Ty::Nothing, Ty::Nothing));
                Ok(Ty::map(key, value))
            }
            Expr::Struct(made) => Err(format!("undeclared reference to '{}'", made.type_name)),
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Ty::Bool,
                LiteralValue::Bytes(_) => Ty::Bytes,
                LiteralValue::Double(_) => Ty::Double,
                LiteralValue::Int(_) => Ty::Int,
                LiteralValue::Null => Ty::Null,
                LiteralValue::String(_) => Ty::Text,
                LiteralValue::UInt(_) => Ty::Uint,
            }),
            Expr::Unspecified => Ok(Ty::Dyn),
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) -> Result<(Ty<'a>, Ty<'a>), String> {
        match entry {
            EntryExpr::StructField(field) => Ok((Ty::Dyn, self.expression(&field.value)?)),
            EntryExpr::MapEntry(entry) => {
                let (key, value) = (self.expression(&entry.key)?, self.expression(&entry.value)?);
                Ok((key, if entry.optional { Ty::Dyn } else { value }))
            }
        }
    }

    fn variable(&mut self, name: &'a str) -> Result<Ty<'a>, String> {
        if let Some((_, bound)) = self.variables.iter().rev().find(|(bound, _)| *bound == name) {
            return Ok(bound.clone());
        }
        match (name, &self.root) {
            ("self", Some(root)) => return Ok(root.clone()),
            ("oldSelf", Some(root)) => {
                self.uses_old_self = true;
                return Ok(if self.optional_old_self { Ty::optional(root.clone()) } else { root.clone() });
            }
            _ => {}
        }
        match name {
            name if name.starts_with('@') => Ok(Ty::Dyn),
            name if TYPES.contains(&name) => Ok(Ty::Type),
            name if NAMESPACES.contains(&name) => Ok(Ty::Dyn),
            other => Err(format!("undeclared reference to '{other}' (in container '')")),
        }
    }

    fn call(&mut self, call: &'a CallExpr) -> Result<Ty<'a>, String> {
        let name = call.func_name.as_str();
        let namespace = call.target.as_deref().and_then(|target| self.namespace(target));
        let target = call.target.as_deref().filter(|_| namespace.is_none());
        // What a method is called on comes first: its error says more than that of the method.
        let mut given: Vec<_> = target.map(|target| self.expression(target)).transpose()?.into_iter().collect();
        let operator = name.starts_with(['@', '_', '!', '-']);
        if !operator && !is_known(name) {
            return Err(format!("undeclared reference to '{name}' (in container '')"));
        }
        check_literals(call)?;
        for argument in &call.args {
            given.push(self.expression(argument)?);
        }
        if let Some(namespace) = namespace {
            return function(&format!("{namespace}.{name}"), false, &given);
        }
        if name == operators::OPT_SELECT {
            let selected = match call.args.get(1).map(|field| &field.expr) {
                Some(Expr::Literal(LiteralValue::String(name))) => field(&given[0], name.inner()).unwrap_or(Ty::Dyn),
                _ => Ty::Dyn,
            };
            return Ok(match selected {
                Ty::Optional(value) => Ty::Optional(value),
                value => Ty::optional(value),
            });
        }
        function(name, target.is_some(), &given)
    }

    /// The library that a name before a dot stands for, unless a variable has the name.
    fn namespace(&self, target: &'a Expression) -> Option<&'a str> {
        let Expr::Ident(name) = &target.expr else { return None };
        let is_bound = self.variables.iter().any(|(bound, _)| bound == name);
        Some(name.as_str()).filter(|name| !is_bound && NAMESPACES.contains(name))
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Result<Ty<'a>, String> {
        let range = self.expression(&comprehension.iter_range)?;
        let start = self.expression(&comprehension.accu_init)?;
        let bound = self.variables.len();
        // A loop over nothing gives a value a name.
        if matches!(&comprehension.iter_range.expr, Expr::List(list) if list.elements.is_empty()) {
            self.variables.push((&comprehension.accu_var, start));
            let result = self.expression(&comprehension.result)?;
            self.variables.truncate(bound);
            return Ok(result);
        }
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            return Err(format!("more than {MAX_LOOPS} loops inside one another"));
        }
        let item = item(&range)?;
        self.variables.push((&comprehension.accu_var, start.clone()));
        self.variables.push((&comprehension.iter_var, item));
        self.expression(&comprehension.loop_cond)?;
        let step = self.expression(&comprehension.loop_step)?;
        self.variables.truncate(bound);
        self.variables.push((&comprehension.accu_var, start.join(step)));
        let result = self.expression(&comprehension.result)?;
        self.variables.truncate(bound);
        self.loops -= 1;
        Ok(result)
    }
}

/// The type of a field named by its identifier.
fn field<'a>(operand: &Ty<'a>, identifier: &str) -> Result<Ty<'a>, String> {
    match operand {
        Ty::Object(node) => field_of(node, identifier),
        Ty::Map(_, value) => Ok((**value).clone()),
        // Selecting from what may be there gives what may be there.
        Ty::Optional(value) => Ok(match field(value, identifier)? {
            Ty::Optional(inner) => Ty::Optional(inner),
            inner => Ty::optional(inner),
        }),
        Ty::Dyn | Ty::Nothing | Ty::Null | Ty::Entry(..) => Ok(Ty::Dyn),
        other => Err(format!("type '{other}' does not support field selection")),
    }
}

fn field_of<'a>(node: &'a Node, identifier: &str) -> Result<Ty<'a>, String> {
    if let Some((_, child)) = node.properties.iter().find(|(name, _)| escape(name).as_deref() == Some(identifier)) {
        return Ok(if identifier == "metadata" { Ty::Dyn } else { Ty::of(child, child.embedded) });
    }
    match identifier {
        "metadata" => Ok(Ty::Dyn),
        "apiVersion" | "kind" => Ok(Ty::Text),
        _ if std::ptr::eq(node, object_meta()) || node.preserve_unknown => Ok(Ty::Dyn),
        _ => Err(format!("undefined field '{identifier}'")),
    }
}

/// What a loop goes through.
fn item<'a>(range: &Ty<'a>) -> Result<Ty<'a>, String> {
    match range {
        Ty::List(item) => Ok((**item).clone()),
        Ty::Map(key, _) => Ok((**key).clone()),
        Ty::Bool | Ty::Int | Ty::Uint | Ty::Double | Ty::Text | Ty::Bytes | Ty::Time | Ty::Duration => Err(format!(
            "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
        )),
        _ => Ok(Ty::Dyn),
    }
}

/// The type of a call of a function or an operator.
fn function<'a>(name: &str, member: bool, given: &[Ty<'a>]) -> Result<Ty<'a>, String> {
    let mismatch = || Err(signatures::mismatch(name, member, given));
    let found = match (name, given) {
        (operators::CONDITIONAL, [condition, one, other]) => {
            (condition.agrees(&Ty::Bool) && one.agrees(other)).then(|| one.clone().join(other.clone()))
        }
        (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => {
            (one.agrees(other) || (one.is_number() && other.is_number())).then_some(Ty::Bool)
        }
        (operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS, [one, other]) => {
            is_ordered(one, other).then_some(Ty::Bool)
        }
        (operators::IN, [item, container]) => is_searched(item, container).then_some(Ty::Bool),
        (operators::INDEX, [container, at]) => element(container, at),
        (operators::OPT_INDEX, [container, at]) => element(container, at).map(|found| match found {
            Ty::Optional(value) => Ty::Optional(value),
            value => Ty::optional(value),
        }),
        (operators::ADD, [Ty::List(one), Ty::List(other)]) => {
            one.agrees(other).then(|| Ty::list((**one).clone().join((**other).clone())))
        }
        (
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
            [one, other],
        ) => arithmetic(name, one, other),
        ("@entries", [range]) => Some(entries(range)),
        ("@key", [Ty::Entry(key, _)]) => Some((**key).clone()),
        ("@value", [Ty::Entry(_, value)]) => Some((**value).clone()),
        ("@mapped" | "@merged", _) => Some(Ty::map(Ty::Dyn, Ty::Dyn)),
        ("orValue", [Ty::Optional(value), otherwise]) => {
            value.agrees(otherwise).then(|| (**value).clone().join(otherwise.clone()))
        }
        ("or", [one @ Ty::Optional(_), other]) => one.agrees(other).then(|| one.clone().join(other.clone())),
        ("optional.none", []) => Some(Ty::optional(Ty::Nothing)),
        ("format.named", [name]) => name.agrees(&Ty::Text).then(|| Ty::optional(Ty::Library(Library::Format))),
        (name, []) if name.starts_with("format.") => Some(Ty::Library(Library::Format)),
        _ => signatures::result(name, member, given),
    };
    found.map_or_else(mismatch, Ok)
}

fn is_ordered(one: &Ty<'_>, other: &Ty<'_>) -> bool {
    let has_order = |side: &Ty<'_>| {
        side.is_number()
            || matches!(
                side,
                Ty::Dyn | Ty::Nothing | Ty::Null | Ty::Bool | Ty::Text | Ty::Bytes | Ty::Time | Ty::Duration
            )
    };
    has_order(one) && has_order(other) && (one.agrees(other) || (one.is_number() && other.is_number()))
}

fn is_searched(item: &Ty<'_>, container: &Ty<'_>) -> bool {
    let same = |within: &Ty<'_>| item.agrees(within) || (item.is_number() && within.is_number());
    match container {
        Ty::List(within) | Ty::Map(within, _) => same(within),
        Ty::Dyn | Ty::Nothing | Ty::Null | Ty::Object(_) => true,
        _ => false,
    }
}

fn element<'a>(container: &Ty<'a>, at: &Ty<'a>) -> Option<Ty<'a>> {
    match container {
        Ty::List(item) => (at.agrees(&Ty::Int) || at.is_number()).then(|| (**item).clone()),
        Ty::Map(key, value) => (at.agrees(key) || (at.is_number() && key.is_number())).then(|| (**value).clone()),
        Ty::Optional(inner) => element(inner, at).map(Ty::optional),
        Ty::Dyn | Ty::Nothing | Ty::Null | Ty::Object(_) | Ty::Entry(..) => Some(Ty::Dyn),
        _ => None,
    }
}

fn arithmetic<'a>(operator: &str, one: &Ty<'a>, other: &Ty<'a>) -> Option<Ty<'a>> {
    let fits = |side: &Ty<'_>| side.is_number() && (operator != operators::MODULO || !matches!(side, Ty::Double));
    match (one, other) {
        (one, other) if fits(one) && fits(other) => one.agrees(other).then(|| one.clone()),
        // One side tells nothing, and the other may be one of several overloads.
        (Ty::Dyn | Ty::Nothing | Ty::Null, known) | (known, Ty::Dyn | Ty::Nothing | Ty::Null) => {
            let known_to_add = matches!(operator, operators::ADD | operators::SUBSTRACT);
            (known_to_add || fits(known) || known.agrees(&Ty::Type)).then_some(Ty::Dyn)
        }
        _ if matches!(operator, operators::ADD | operators::SUBSTRACT) => signatures::is_listed(operator)
            .then(|| signatures::result(operator, false, &[one.clone(), other.clone()]))?,
        _ => None,
    }
}

fn entries<'a>(range: &Ty<'a>) -> Ty<'a> {
    let entry = match range {
        Ty::List(item) => Ty::Entry(Ty::Int.into(), Rc::clone(item)),
        Ty::Map(key, value) => Ty::Entry(Rc::clone(key), Rc::clone(value)),
        _ => Ty::Dyn,
    };
    Ty::list(entry)
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
