//! Rewrites a parsed rule so that its cost can be counted and its results stay small.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::budget::TICK;
use super::functions::{BOUNDED, REPLACED};

/// Rewrites in place; gives the number of operations of one evaluation, loops counted once.
pub(super) fn instrument(expression: &mut Expression) -> i64 {
    match &mut expression.expr {
        Expr::Call(call) => {
            let inner =
                call.target.as_deref_mut().map_or(0, instrument) + call.args.iter_mut().map(instrument).sum::<i64>();
            let own = if call.func_name == "matches" { 20 } else { 1 };
            rename(call);
            if call.func_name == operators::ADD && !appends(call) {
                bound(expression);
            }
            inner + own
        }
        Expr::Comprehension(comprehension) => loop_cost(comprehension),
        Expr::List(list) => 1 + list.elements.iter_mut().map(instrument).sum::<i64>(),
        Expr::Map(map) => 1 + map.entries.iter_mut().map(|entry| entry_cost(&mut entry.expr)).sum::<i64>(),
        Expr::Struct(fields) => 1 + fields.entries.iter_mut().map(|entry| entry_cost(&mut entry.expr)).sum::<i64>(),
        Expr::Select(select) => 1 + instrument(&mut select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => 1,
    }
}

fn entry_cost(entry: &mut EntryExpr) -> i64 {
    match entry {
        EntryExpr::StructField(field) => instrument(&mut field.value),
        EntryExpr::MapEntry(entry) => instrument(&mut entry.key) + instrument(&mut entry.value),
    }
}

fn rename(call: &mut CallExpr) {
    if let Some((_, bounded)) = REPLACED.iter().find(|(name, _)| *name == call.func_name) {
        (*bounded).clone_into(&mut call.func_name);
    }
}

/// `@result + [item]`, the way `map` and `filter` collect: the evaluator knows this form and appends in place.
fn appends(call: &CallExpr) -> bool {
    matches!(call.args.first().map(|first| &first.expr), Some(Expr::Ident(name)) if name.starts_with('@'))
}

fn bound(expression: &mut Expression) {
    let id = expression.id;
    let inner = std::mem::take(expression);
    *expression = Expression {
        id,
        expr: Expr::Call(CallExpr { func_name: BOUNDED.to_owned(), target: None, args: vec![inner] }),
    };
}

/// Makes each turn of a loop pay for its body.
fn loop_cost(comprehension: &mut ComprehensionExpr) -> i64 {
    let once = instrument(&mut comprehension.iter_range)
        + instrument(&mut comprehension.accu_init)
        + instrument(&mut comprehension.result);
    let turn = instrument(&mut comprehension.loop_cond) + instrument(&mut comprehension.loop_step);
    // The evaluator recognises the collecting loops by their literal condition, so those pay inside the step.
    let collects = matches!(&comprehension.accu_init.expr, Expr::List(_))
        && matches!(comprehension.loop_cond.expr, Expr::Literal(_));
    let payer = if collects { collected(&mut comprehension.loop_step) } else { None };
    pay(payer.unwrap_or(&mut comprehension.loop_cond), turn, collects);
    once + turn
}

/// The part of a collecting step that every turn evaluates: the filter, or the item.
fn collected(step: &mut Expression) -> Option<&mut Expression> {
    let Expr::Call(call) = &mut step.expr else { return None };
    if call.func_name == operators::CONDITIONAL {
        return call.args.first_mut();
    }
    match call.args.get_mut(1).map(|item| &mut item.expr) {
        Some(Expr::List(list)) => list.elements.first_mut(),
        _ => None,
    }
}

/// `expression` becomes `@tick(cost) ? expression : …`; the call fails when the budget is used up.
fn pay(expression: &mut Expression, cost: i64, item: bool) {
    let literal = |value| Expression { id: 0, expr: Expr::Literal(value) };
    let otherwise = if item { LiteralValue::Null } else { LiteralValue::Boolean(false.into()) };
    let tick =
        CallExpr { func_name: TICK.to_owned(), target: None, args: vec![literal(LiteralValue::Int(cost.into()))] };
    let id = expression.id;
    let inner = std::mem::take(expression);
    let args = vec![Expression { id: 0, expr: Expr::Call(tick) }, inner, literal(otherwise)];
    *expression = Expression {
        id,
        expr: Expr::Call(CallExpr { func_name: operators::CONDITIONAL.to_owned(), target: None, args }),
    };
}
