//! Loops with two variables: `all`, `exists` and `existsOne` over index or key and value, `transformList`, `transformMap`,
//! `transformMapEntry`.
//!
//! The evaluator's loops have one variable. So these become loops over `@entries(range)`, each of which is an index or key with its
//! value, and the two names are bound inside.

use std::collections::HashMap;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, ListExpr, LiteralValue, operators};
use cel::common::types::{CelInt, CelList, CelMap, CelMapKey, DYN_TYPE, LIST_TYPE};
use cel::common::value::{CowVal, Val};
use cel::parser::{Expression, Macro, MacroExprHelper, ParseError};
use cel::{DeclarationError, Env, ExecutionError};

use super::{Outcome, argument, items};

const RESULT: &str = "@result";
const ENTRY: &str = "@entry";

type Boxed<'v> = Box<dyn Val + 'v>;
type Key<'v> = CelMapKey<'v>;

pub(super) fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload("@entries", "entries", vec![DYN_TYPE], |arguments| entries(&arguments))?;
    env.add_overload("@key", "entry_key", vec![LIST_TYPE], |arguments| part(&arguments, 0))?;
    env.add_overload("@value", "entry_value", vec![LIST_TYPE], |arguments| part(&arguments, 1))?;
    env.add_overload("@mapped", "entries_to_map", vec![LIST_TYPE], |arguments| mapped(&arguments))?;
    env.add_overload("@merged", "maps_to_map", vec![LIST_TYPE], |arguments| merged(&arguments))?;
    env.add_macro(Macro::receiver("all", 3, |helper, target, args| quantifier(helper, target, args, Kind::All)))?;
    env.add_macro(Macro::receiver("exists", 3, |helper, target, args| quantifier(helper, target, args, Kind::Some)))?;
    for name in ["existsOne", "exists_one"] {
        env.add_macro(Macro::receiver(name, 3, |helper, target, args| quantifier(helper, target, args, Kind::One)))?;
    }
    for count in [3, 4] {
        env.add_macro(Macro::receiver("transformList", count, |helper, target, args| {
            transform(helper, target, args, Gathers::Items)
        }))?;
        env.add_macro(Macro::receiver("transformMap", count, |helper, target, args| {
            transform(helper, target, args, Gathers::Values)
        }))?;
        env.add_macro(Macro::receiver("transformMapEntry", count, |helper, target, args| {
            transform(helper, target, args, Gathers::Entries)
        }))?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    All,
    Some,
    One,
}

#[derive(Clone, Copy)]
enum Gathers {
    Items,
    Values,
    Entries,
}

/// What a macro becomes; nothing, if it leaves the call as it is.
type Expansion = Result<Option<Expression>, ParseError>;

/// Makes the parts of an expansion.
struct Maker<'h, 'p> {
    helper: &'h mut MacroExprHelper<'p>,
    first: String,
    second: String,
}

impl<'h, 'p> Maker<'h, 'p> {
    fn new(helper: &'h mut MacroExprHelper<'p>, names: [&Expression; 2]) -> Result<Self, ParseError> {
        let read = |name: &Expression| match &name.expr {
            Expr::Ident(text) => Ok(text.clone()),
            _ => Err(helper.new_error(name.id, "argument must be a simple name")),
        };
        let (first, second) = (read(names[0])?, read(names[1])?);
        if first == second {
            return Err(helper.new_error(names[1].id, "iteration variables must have different names"));
        }
        Ok(Self { helper, first, second })
    }

    fn ident(&mut self, name: &str) -> Expression {
        self.helper.next_expr(Expr::Ident(name.to_owned()))
    }

    fn literal(&mut self, literal: LiteralValue) -> Expression {
        self.helper.next_expr(Expr::Literal(literal))
    }

    fn list(&mut self, items: Vec<Expression>) -> Expression {
        self.helper.next_expr(Expr::List(ListExpr::new(items)))
    }

    fn call(&mut self, name: &str, args: Vec<Expression>) -> Expression {
        self.helper.next_expr(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    }

    /// `inner`, with the two names standing for the parts of the entry.
    fn bound(&mut self, inner: Expression) -> Expression {
        let (first, second) = (self.first.clone(), self.second.clone());
        let inner = self.named(second, "@value", inner);
        self.named(first, "@key", inner)
    }

    /// A loop over nothing gives a value a name.
    fn named(&mut self, name: String, part: &str, result: Expression) -> Expression {
        let entry = self.ident(ENTRY);
        let accu_init = self.call(part, vec![entry]);
        let (iter_range, loop_step) = (self.list(Vec::new()), self.ident(&name));
        let loop_cond = self.literal(LiteralValue::Boolean(false.into()));
        let iter_var = "#unused".to_owned();
        self.helper.next_expr(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range,
            iter_var,
            iter_var2: None,
            accu_var: name,
            accu_init,
            loop_cond,
            loop_step,
            result,
        })))
    }

    fn over(&mut self, range: Expression, [accu_init, loop_cond, loop_step, result]: [Expression; 4]) -> Expression {
        let iter_range = self.call("@entries", vec![range]);
        self.helper.next_expr(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range,
            iter_var: ENTRY.to_owned(),
            iter_var2: None,
            accu_var: RESULT.to_owned(),
            accu_init,
            loop_cond,
            loop_step,
            result,
        })))
    }
}

fn quantifier(
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<Expression>,
    args: &mut Vec<Expression>,
    kind: Kind,
) -> Expansion {
    let ([first, second, _], Some(_)) = (args.as_slice(), &target) else { return Ok(None) };
    let mut make = Maker::new(helper, [first, second])?;
    let (Some(predicate), Some(range)) = (args.pop(), target.take()) else { return Ok(None) };
    let holds = make.bound(predicate);
    let (so_far, again) = (make.ident(RESULT), make.ident(RESULT));
    let parts = match kind {
        Kind::All | Kind::Some => {
            let all = matches!(kind, Kind::All);
            let start = make.literal(LiteralValue::Boolean(all.into()));
            let open = if all { so_far } else { make.call(operators::LOGICAL_NOT, vec![so_far]) };
            let condition = make.call(operators::NOT_STRICTLY_FALSE, vec![open]);
            let connective = if all { operators::LOGICAL_AND } else { operators::LOGICAL_OR };
            let step = make.call(connective, vec![again, holds]);
            [start, condition, step, make.ident(RESULT)]
        }
        Kind::One => {
            let [start, one, wanted] = [0, 1, 1].map(|count: i64| make.literal(LiteralValue::Int(count.into())));
            let condition = make.literal(LiteralValue::Boolean(true.into()));
            let more = make.call(operators::ADD, vec![so_far, one]);
            let step = make.call(operators::CONDITIONAL, vec![holds, more, again]);
            let count = make.ident(RESULT);
            [start, condition, step, make.call(operators::EQUALS, vec![count, wanted])]
        }
    };
    Ok(Some(make.over(range, parts)))
}

fn transform(
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<Expression>,
    args: &mut Vec<Expression>,
    gathers: Gathers,
) -> Expansion {
    let ([first, second, ..], Some(_)) = (args.as_slice(), &target) else { return Ok(None) };
    let mut make = Maker::new(helper, [first, second])?;
    let (Some(gives), Some(range)) = (args.pop(), target.take()) else { return Ok(None) };
    let filter = if args.len() == 3 { args.pop() } else { None };
    let mut item = make.bound(gives);
    if matches!(gathers, Gathers::Values) {
        let entry = make.ident(ENTRY);
        let key = make.call("@key", vec![entry]);
        item = make.list(vec![key, item]);
    }
    let (so_far, added) = (make.ident(RESULT), make.list(vec![item]));
    let mut step = make.call(operators::ADD, vec![so_far, added]);
    if let Some(filter) = filter {
        let (passes, same) = (make.bound(filter), make.ident(RESULT));
        step = make.call(operators::CONDITIONAL, vec![passes, step, same]);
    }
    let (start, condition) = (make.list(Vec::new()), make.literal(LiteralValue::Boolean(true.into())));
    let result = make.ident(RESULT);
    let gathered = make.over(range, [start, condition, step, result]);
    Ok(Some(match gathers {
        Gathers::Items => gathered,
        Gathers::Values => make.call("@mapped", vec![gathered]),
        Gathers::Entries => make.call("@merged", vec![gathered]),
    }))
}

fn entries<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let pair = |key: Boxed<'v>, value: Boxed<'v>| -> Boxed<'v> { Box::new(CelList::from(vec![key, value])) };
    let Some(map) = argument(arguments, 0)?.downcast_ref::<CelMap<'v>>() else {
        let numbered = items(arguments, 0)?.into_iter().zip(0_i64..);
        let entries = numbered.map(|(item, index)| pair(Box::new(CelInt::from(index)), item.clone_as_boxed()));
        return Ok(CowVal::owned(CelList::from(entries.collect::<Vec<_>>())));
    };
    let mut sorted: Vec<_> = map.inner().iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let entries = sorted.into_iter().map(|(key, value)| pair(key.inner().clone_as_boxed(), value.clone_as_boxed()));
    Ok(CowVal::owned(CelList::from(entries.collect::<Vec<_>>())))
}

fn part<'b, 'v>(arguments: &[CowVal<'b, 'v>], index: usize) -> Outcome<'b, 'v> {
    let part = items(arguments, 0)?.get(index).map(|part| part.clone_as_boxed());
    part.map(CowVal::Owned).ok_or_else(|| ExecutionError::function_error("loop", "there is no such entry"))
}

fn mapped<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let mut fields: HashMap<Key<'v>, Boxed<'v>> = HashMap::new();
    for entry in items(arguments, 0)? {
        let entry: Option<&CelList<'v>> = entry.downcast_ref();
        if let Some([key, value]) = entry.map(CelList::inner) {
            insert(&mut fields, "transformMap", key.clone_as_boxed(), value.clone_as_boxed())?;
        }
    }
    Ok(CowVal::owned(CelMap::from(fields)))
}

fn merged<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let mut fields: HashMap<Key<'v>, Boxed<'v>> = HashMap::new();
    for map in items(arguments, 0)? {
        let map: Option<&CelMap<'v>> = map.downcast_ref();
        let map = map.ok_or_else(|| ExecutionError::function_error("transformMapEntry", "the result is no map"))?;
        for (key, value) in map.inner() {
            insert(&mut fields, "transformMapEntry", key.inner().clone_as_boxed(), value.clone_as_boxed())?;
        }
    }
    Ok(CowVal::owned(CelMap::from(fields)))
}

fn insert<'v>(
    fields: &mut HashMap<Key<'v>, Boxed<'v>>,
    function: &str,
    key: Boxed<'v>,
    value: Boxed<'v>,
) -> Result<(), ExecutionError> {
    let key = Key::try_from(key).map_err(|_| ExecutionError::function_error(function, "the key is no key of a map"))?;
    match fields.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(ExecutionError::function_error(function, "insert failed: the key already exists")),
    }
}
