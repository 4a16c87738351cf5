//! Values that rules can hold and ask, but not look into.

use std::any::Any;
use std::fmt::Debug;

use cel::ExecutionError;
use cel::common::types::Type;
use cel::common::value::{CowVal, StaticVal, Val};

/// A Rust type as a type of the expression language.
pub(super) trait Known: Clone + Debug + PartialEq + Send + Sync + 'static {
    fn cel_type() -> &'static Type;
}

#[derive(Clone, Debug)]
pub(super) struct Opaque<T>(T);

impl<T: Known> Val for Opaque<T> {
    fn get_type(&self) -> &Type {
        T::cel_type()
    }

    fn cel_type() -> &'static Type {
        T::cel_type()
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| other.0 == self.0)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl<T: Known> StaticVal for Opaque<T> {}

/// The value for a rule.
pub(super) fn made<'b, 'v, T: Known>(value: T) -> CowVal<'b, 'v> {
    CowVal::owned(Opaque(value))
}

/// The value for a rule, to be put into another one.
pub(super) fn boxed<'v, T: Known>(value: T) -> Box<dyn Val + 'v> {
    Box::new(Opaque(value))
}

/// The value inside.
pub(super) fn known<T: Known>(value: &dyn Val) -> Result<&T, ExecutionError> {
    value.downcast_ref::<Opaque<T>>().map(|value| &value.0).ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.get_type().name().to_owned(),
        want: T::cel_type().name().to_owned(),
    })
}
