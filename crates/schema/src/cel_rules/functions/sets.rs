//! `sets.contains`, `sets.equivalent`, `sets.intersects`: lists without order and repetition.

use cel::common::types::LIST_TYPE;
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::{Outcome, items, yes_or_no};

/// Each item of one list is compared with each of the other: no rule may ask for more than so many comparisons at once.
const MAX_COMPARISONS: usize = 1 << 20;

pub(super) fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    let lists = || vec![LIST_TYPE, LIST_TYPE];
    env.add_overload("sets.contains", "list_sets_contains_list", lists(), |arguments| {
        compare(&arguments, |left, right| right.iter().all(|item| holds(left, *item)))
    })?;
    env.add_overload("sets.equivalent", "list_sets_equivalent_list", lists(), |arguments| {
        compare(&arguments, |left, right| {
            right.iter().all(|item| holds(left, *item)) && left.iter().all(|item| holds(right, *item))
        })
    })?;
    env.add_overload("sets.intersects", "list_sets_intersects_list", lists(), |arguments| {
        compare(&arguments, |left, right| right.iter().any(|item| holds(left, *item)))
    })
}

fn compare<'b, 'v>(
    arguments: &[CowVal<'b, 'v>],
    answer: impl FnOnce(&[&(dyn Val + 'v)], &[&(dyn Val + 'v)]) -> bool,
) -> Outcome<'b, 'v> {
    let (left, right) = (items(arguments, 0)?, items(arguments, 1)?);
    if left.len().saturating_mul(right.len()) > MAX_COMPARISONS {
        return Err(ExecutionError::function_error("sets", "the lists are too long"));
    }
    Ok(yes_or_no(answer(&left, &right)))
}

fn holds(list: &[&(dyn Val + '_)], wanted: &dyn Val) -> bool {
    list.iter().any(|item| item.equals(wanted))
}
