//! Functions on lists: `isSorted`, `sum`, `min`, `max`, `indexOf`, `lastIndexOf`.

use std::cmp::Ordering;

use cel::common::types::{CelInt, DYN_TYPE, LIST_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::{Outcome, argument, items, yes_or_no};

pub(super) fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_member_overload("isSorted", "list_is_sorted", LIST_TYPE, vec![], |arguments| is_sorted(&arguments))?;
    env.add_member_overload("sum", "list_sum", LIST_TYPE, vec![], |arguments| sum(&arguments))?;
    env.add_member_overload("min", "list_min", LIST_TYPE, vec![], |arguments| {
        extreme(&arguments, "min", Ordering::Less)
    })?;
    env.add_member_overload("max", "list_max", LIST_TYPE, vec![], |arguments| {
        extreme(&arguments, "max", Ordering::Greater)
    })?;
    env.add_member_overload("indexOf", "list_index_of", LIST_TYPE, vec![DYN_TYPE], |arguments| index_of(&arguments))?;
    env.add_member_overload("lastIndexOf", "list_last_index_of", LIST_TYPE, vec![DYN_TYPE], |arguments| {
        last_index_of(&arguments)
    })
}

fn compare(one: &dyn Val, other: &dyn Val) -> Result<Ordering, ExecutionError> {
    let comparer =
        one.as_comparer().ok_or_else(|| ExecutionError::function_error("compare", "the items have no order"))?;
    comparer.compare(other)
}

fn is_sorted<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    for pair in items(arguments, 0)?.windows(2) {
        if compare(pair[0], pair[1])?.is_gt() {
            return Ok(yes_or_no(false));
        }
    }
    Ok(yes_or_no(true))
}

fn sum<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let mut total: Option<Box<dyn Val + 'v>> = None;
    for item in items(arguments, 0)? {
        let next = match &total {
            None => item.clone_as_boxed(),
            Some(total) => {
                let adder = total
                    .as_adder()
                    .ok_or_else(|| ExecutionError::function_error("sum", "the items cannot be added"))?;
                adder.add(item)?.into_owned()
            }
        };
        if next.as_sizer().is_some() {
            return Err(ExecutionError::function_error("sum", "the items must be numbers or durations"));
        }
        total = Some(next);
    }
    Ok(total.map_or_else(|| CowVal::owned(CelInt::from(0)), CowVal::Owned))
}

fn extreme<'b, 'v>(arguments: &[CowVal<'b, 'v>], function: &str, wanted: Ordering) -> Outcome<'b, 'v> {
    let mut best: Option<&(dyn Val + 'v)> = None;
    for item in items(arguments, 0)? {
        match best {
            Some(best) if compare(item, best)? != wanted => {}
            _ => best = Some(item),
        }
    }
    let best = best.ok_or_else(|| ExecutionError::function_error(function, "called on an empty list"))?;
    Ok(CowVal::Owned(best.clone_as_boxed()))
}

fn index_of<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let wanted = argument(arguments, 1)?;
    Ok(position(items(arguments, 0)?.iter().position(|item| item.equals(wanted))))
}

fn last_index_of<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let wanted = argument(arguments, 1)?;
    Ok(position(items(arguments, 0)?.iter().rposition(|item| item.equals(wanted))))
}

fn position<'b, 'v>(position: Option<usize>) -> CowVal<'b, 'v> {
    let position = position.and_then(|position| i64::try_from(position).ok());
    CowVal::owned(CelInt::from(position.unwrap_or(-1)))
}
