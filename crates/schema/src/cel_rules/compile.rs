//! From `x-kubernetes-validations` to rules, once for each schema.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::parser::Expression;
use serde_json::{Map, Value};

use super::scope::{self, Findings, Root};
use super::types::Ty;
use super::{Rule, functions, instrument, stack};
use crate::node::{Additional, ListType, Node};
use crate::path::Path;
use crate::{FieldError, Reason, Violation};

const KEYWORD: &str = "x-kubernetes-validations";
const MAX_RULE: usize = 4096;
const MAX_RULES: usize = 512;
/// The parser recurses; brackets are counted before it sees the text.
const MAX_NESTING: usize = 32;

/// Compiles the rules of the whole tree into it.
pub(crate) fn compile(root: &mut Node, schema: &Value, path: &Path<'_>, violations: &mut Vec<Violation>) {
    if !speaks_of_rules(schema) {
        return;
    }
    let compiled = stack::on_own_stack(|| {
        let mut found = Vec::new();
        Compiler { violations: &mut found, rules: 0 }.node(root, schema, true, path);
        found
    });
    match compiled {
        Ok(found) => violations.extend(found),
        Err(words) => violations.push(FieldError::forbidden(path.to_string(), words)),
    }
}

/// Whether any map in the schema has the keyword.
fn speaks_of_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key(KEYWORD) || map.values().any(speaks_of_rules),
        Value::Array(items) => items.iter().any(speaks_of_rules),
        _ => false,
    }
}

struct Compiler<'a> {
    violations: &'a mut Vec<Violation>,
    rules: usize,
}

impl Compiler<'_> {
    /// `correlatable`: whether an old value can be found for this one on update.
    fn node(&mut self, node: &mut Node, schema: &Value, correlatable: bool, path: &Path<'_>) {
        let (mut below, mut deep) = (false, false);
        let named = path.field("properties");
        for (name, child) in &mut node.properties {
            if let Some(schema) = schema.get("properties").and_then(|properties| properties.get(name)) {
                self.node(child, schema, correlatable && !node.atomic_map, &named.key(name));
                below |= child.has_rules;
                deep |= child.has_deep_rules;
            }
        }
        if let (Additional::Schema(child), Some(schema)) = (&mut node.additional, schema.get("additionalProperties")) {
            self.node(child, schema, correlatable && !node.atomic_map, &path.field("additionalProperties"));
            below |= child.has_rules;
            deep |= child.has_deep_rules;
        }
        if let (Some(child), Some(schema)) = (&mut node.items, schema.get("items")) {
            let told_apart = matches!(node.list_type, ListType::Map(_));
            self.node(child, schema, correlatable && told_apart, &path.field("items"));
            below |= child.has_rules;
            deep |= child.has_deep_rules;
        }
        node.rules = self.rules(node, schema, correlatable, path);
        node.has_rules = below || !node.rules.is_empty();
        node.has_deep_rules = deep || node.rules.iter().any(|rule| rule.depth > stack::ORDINARY_DEPTH);
    }

    fn rules(&mut self, node: &Node, schema: &Value, correlatable: bool, path: &Path<'_>) -> Vec<Rule> {
        let is_root = path.depth() == 0;
        let path = path.field(KEYWORD);
        let rules = match schema.get(KEYWORD) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(rules)) => rules,
            Some(other) => {
                self.violations.push(FieldError::invalid(path.to_string(), other, "must be a list"));
                return Vec::new();
            }
        };
        self.rules += rules.len();
        if self.rules > MAX_RULES {
            self.violations
                .push(FieldError::forbidden(path.to_string(), format!("a schema may hold at most {MAX_RULES} rules")));
            return Vec::new();
        }
        let each = |(index, rule): (usize, &Value)| match self::rule(node, rule, Where { correlatable, is_root }) {
            Ok(rule) => Some(rule),
            Err(error) => {
                self.violations.push(error.under(&path.index(index).to_string()));
                None
            }
        };
        rules.iter().enumerate().filter_map(each).collect()
    }
}

/// Where a rule stands.
#[derive(Clone, Copy)]
struct Where {
    /// Whether an old value can be found for this one on update.
    correlatable: bool,
    is_root: bool,
}

fn rule(node: &Node, rule: &Value, at: Where) -> Result<Rule, FieldError> {
    let empty = Map::new();
    let fields = rule.as_object().unwrap_or(&empty);
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let source = text("rule").ok_or_else(|| FieldError::required("rule", "rule is not specified"))?;
    let optional_old_self = fields.get("optionalOldSelf") == Some(&Value::Bool(true));
    let root = Root { node, is_resource: at.is_root || node.embedded, optional_old_self };
    let (expression, findings) = parse(&root, source, &RULE_GIVES).map_err(|words| failed("rule", source, &words))?;
    let transition = findings.uses_old_self;
    if optional_old_self && !transition {
        let words = "may not be set to true if oldSelf is not used in rule";
        return Err(FieldError::invalid("optionalOldSelf", &Value::Bool(true), words));
    }
    if transition && !at.correlatable {
        let words = "oldSelf cannot be used on the uncorrelatable portion of the schema";
        return Err(FieldError::invalid("rule", &source.into(), words));
    }
    let message = text("message").map(str::to_owned);
    if let Some(message) = message.as_ref().filter(|message| message.contains('\n')) {
        return Err(FieldError::invalid("message", &message.as_str().into(), "message must not contain line breaks"));
    }
    if message.is_none() && source.contains('\n') && text("messageExpression").is_none() {
        return Err(FieldError::required("message", "message must be specified if rule contains line breaks"));
    }
    let mut depth = findings.depth;
    let message_expression = match text("messageExpression") {
        None => None,
        Some(source) => {
            let (expression, findings) =
                parse(&root, source, &MESSAGE_GIVES).map_err(|words| failed("messageExpression", source, &words))?;
            if findings.uses_old_self && !transition {
                return Err(failed("messageExpression", source, "undeclared reference to 'oldSelf'"));
            }
            depth = depth.max(findings.depth);
            Some(Arc::new(expression))
        }
    };
    Ok(Rule {
        text: source.to_owned(),
        message,
        message_expression,
        reason: reason(text("reason"))?,
        field_path: field_path(node, text("fieldPath"))?,
        transition,
        optional_old_self,
        depth,
        expression: Arc::new(expression),
    })
}

fn failed(field: &str, source: &str, words: &str) -> FieldError {
    FieldError::invalid(field, &source.into(), format!("compilation failed: {words}"))
}

/// What an expression has to give, and what is said if it gives something else.
type Gives = (Ty<'static>, &'static str);
const RULE_GIVES: Gives = (Ty::Bool, "cel expression must evaluate to a bool");
const MESSAGE_GIVES: Gives = (Ty::Text, "messageExpression must evaluate to a string");

fn parse(root: &Root<'_>, source: &str, gives: &Gives) -> Result<(Expression, Findings), String> {
    parse_with(source, |expression| {
        let (found, findings) = scope::check(root, expression)?;
        if found.agrees(&gives.0) { Ok(findings) } else { Err(gives.1.to_owned()) }
    })
}

/// Parses an expression of which `check` finds out what it uses. Recurses: not for a small stack.
pub(super) fn parse_with(
    source: &str,
    check: impl FnOnce(&Expression) -> Result<Findings, String>,
) -> Result<(Expression, Findings), String> {
    if source.len() > MAX_RULE {
        return Err(format!("longer than {MAX_RULE} bytes"));
    }
    check_nesting(source)?;
    let parsed = catch_unwind(AssertUnwindSafe(|| functions::env().parser().parse(source)));
    let mut expression = match parsed {
        Ok(Ok(expression)) => expression,
        Ok(Err(errors)) => return Err(errors.to_string().lines().next().unwrap_or_default().trim().to_owned()),
        Err(_) => return Err("the parser failed".to_owned()),
    };
    let findings = check(&expression)?;
    instrument::instrument(&mut expression);
    Ok((expression, findings))
}

/// Counts open brackets and prefix operators, quotes passed over roughly: too many is refused, whatever they mean.
fn check_nesting(source: &str) -> Result<(), String> {
    let (mut depth, mut prefixes, mut questions, mut operators) = (0_usize, 0_usize, 0_usize, 0_usize);
    for c in source.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '?' => questions += 1,
            '+' | '*' | '/' | '%' | '.' => operators += 1,
            _ => {}
        }
        prefixes = if matches!(c, '!' | '-') { prefixes + 1 } else { 0 };
        if depth > MAX_NESTING || prefixes > MAX_NESTING || questions > MAX_NESTING || operators > 400 {
            return Err("the expression nests too deeply".to_owned());
        }
    }
    Ok(())
}

fn reason(text: Option<&str>) -> Result<Reason, FieldError> {
    const REASONS: [&str; 4] =
        ["FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"];
    Ok(match text {
        None | Some("FieldValueInvalid") => Reason::Invalid,
        Some("FieldValueRequired") => Reason::Required,
        Some("FieldValueForbidden") => Reason::Forbidden,
        Some("FieldValueDuplicate") => Reason::Duplicate,
        Some(other) => {
            let supported: Vec<Value> = REASONS.iter().map(|reason| Value::from(*reason)).collect();
            return Err(FieldError::not_supported("reason", &other.into(), &supported));
        }
    })
}

/// `.a.b['c.d']` as the parts that are appended to the path of the node, each checked against the schema.
fn field_path(node: &Node, text: Option<&str>) -> Result<Vec<String>, FieldError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let wrong = |words: &str| FieldError::invalid("fieldPath", &text.into(), words.to_owned());
    let mut parts = Vec::new();
    let mut at = node;
    let mut rest = text;
    while !rest.is_empty() {
        let name;
        if let Some(inner) = rest.strip_prefix("['") {
            let end =
                inner.find("']").ok_or_else(|| wrong("fieldPath must be a valid path: a bracket is not closed"))?;
            name = &inner[..end];
            rest = &inner[end + 2..];
        } else if let Some(inner) = rest.strip_prefix('.') {
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            name = &inner[..end];
            rest = &inner[end..];
        } else {
            return Err(wrong("fieldPath must be a valid path: expected a dot or ['name']"));
        }
        at = at.child(name).ok_or_else(|| wrong("fieldPath must be a valid path: does not refer to a valid field"))?;
        parts.push(if name.contains('.') { format!("[{name}]") } else { name.to_owned() });
    }
    Ok(parts)
}
