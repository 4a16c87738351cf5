//! `quantity("2Gi")` and what can be asked of it.

use std::any::Any;
use std::cmp::Ordering;

use cel::common::types::{CelBool, CelDouble, CelInt, INT_TYPE, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::{Outcome, argument, text, yes_or_no};
use crate::Quantity;

static QUANTITY: Type = Type::new_unspecified_type("kubernetes.Quantity");

#[derive(Clone, Copy, Debug)]
struct QuantityVal(Quantity);

impl Val for QuantityVal {
    fn get_type(&self) -> &Type {
        &QUANTITY
    }

    fn cel_type() -> &'static Type {
        &QUANTITY
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| other.0 == self.0)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for QuantityVal {}

pub(super) fn extend(env: &mut Env) -> Result<(), DeclarationError> {
    let this = || QUANTITY.to_owned();
    let other = || vec![QUANTITY.to_owned()];
    env.add_type(this())?;
    env.add_overload("quantity", "string_to_quantity", vec![STRING_TYPE], |arguments| quantity(&arguments))?;
    env.add_overload("isQuantity", "is_quantity_string", vec![STRING_TYPE], |arguments| is_quantity(&arguments))?;
    env.add_member_overload("isLessThan", "quantity_is_less_than", this(), other(), |arguments| {
        Ok(yes_or_no(order(&arguments)?.is_lt()))
    })?;
    env.add_member_overload("isGreaterThan", "quantity_is_greater_than", this(), other(), |arguments| {
        Ok(yes_or_no(order(&arguments)?.is_gt()))
    })?;
    env.add_member_overload("compareTo", "quantity_compare_to", this(), other(), |arguments| {
        let order = order(&arguments)?;
        Ok(CowVal::owned(CelInt::from(order as i64)))
    })?;
    env.add_member_overload("isInteger", "quantity_is_integer", this(), vec![], |arguments| {
        Ok(yes_or_no(receiver(&arguments)?.as_integer().is_some()))
    })?;
    env.add_member_overload("asInteger", "quantity_as_integer", this(), vec![], |arguments| as_integer(&arguments))?;
    env.add_member_overload("asApproximateFloat", "quantity_as_float", this(), vec![], |arguments| {
        Ok(CowVal::owned(CelDouble::from(receiver(&arguments)?.as_approximate_float())))
    })?;
    env.add_member_overload("sign", "quantity_sign", this(), vec![], |arguments| {
        let order = receiver(&arguments)?.cmp(&Quantity::from_units(0));
        Ok(CowVal::owned(CelInt::from(order as i64)))
    })?;
    env.add_member_overload("add", "quantity_add", this(), other(), |arguments| {
        Ok(combined(receiver(&arguments)?.saturating_add(operand(&arguments)?)))
    })?;
    env.add_member_overload("sub", "quantity_sub", this(), other(), |arguments| {
        Ok(combined(receiver(&arguments)?.saturating_sub(operand(&arguments)?)))
    })?;
    env.add_member_overload("add", "quantity_add_int", this(), vec![INT_TYPE], |arguments| {
        Ok(combined(receiver(&arguments)?.saturating_add(operand(&arguments)?)))
    })?;
    env.add_member_overload("sub", "quantity_sub_int", this(), vec![INT_TYPE], |arguments| {
        Ok(combined(receiver(&arguments)?.saturating_sub(operand(&arguments)?)))
    })
}

fn quantity<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let parsed = text(arguments, 0)?.parse().map_err(|error| ExecutionError::function_error("quantity", error))?;
    Ok(combined(parsed))
}

fn is_quantity<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    Ok(CowVal::owned(CelBool::from(text(arguments, 0)?.parse::<Quantity>().is_ok())))
}

fn as_integer<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Outcome<'b, 'v> {
    let whole = receiver(arguments)?.as_integer();
    let whole = whole.ok_or_else(|| ExecutionError::function_error("asInteger", "cannot convert value to integer"))?;
    Ok(CowVal::owned(CelInt::from(whole)))
}

fn combined<'b, 'v>(quantity: Quantity) -> CowVal<'b, 'v> {
    CowVal::owned(QuantityVal(quantity))
}

fn order(arguments: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    Ok(receiver(arguments)?.cmp(&operand(arguments)?))
}

fn receiver(arguments: &[CowVal<'_, '_>]) -> Result<Quantity, ExecutionError> {
    read(argument(arguments, 0)?)
}

fn operand(arguments: &[CowVal<'_, '_>]) -> Result<Quantity, ExecutionError> {
    read(argument(arguments, 1)?)
}

fn read(value: &dyn Val) -> Result<Quantity, ExecutionError> {
    if let Some(units) = value.downcast_ref::<CelInt>() {
        return Ok(Quantity::from_units(*units.inner()));
    }
    let found = value.downcast_ref::<QuantityVal>().map(|value| value.0);
    found.ok_or_else(|| ExecutionError::function_error("quantity", "the value is no quantity"))
}
