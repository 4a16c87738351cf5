//! Lists whose order means nothing: those that the schema calls a set, or a map by some keys of its items.
//!
//! Everywhere else they are lists. Two of them are equal whatever the order, and `+` unites them.

use std::collections::HashMap;
use std::sync::Arc;

use cel::ExecutionError;
use cel::common::traits::{Adder, Container, Indexer, Iterable, Sizer, Zeroer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelString, CelUInt, LIST_TYPE, Type};
use cel::common::value::{Builtin, BuiltinRef, CowVal, Val};

/// What tells the items of a list apart.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// The whole item, which is a text, number or boolean.
    Item,
    /// These fields of the item, as identifiers.
    Fields(Arc<[String]>),
}

#[derive(Clone, Debug)]
pub(super) struct Unordered<'v> {
    list: CelList<'v>,
    identity: Identity,
}

impl<'v> Unordered<'v> {
    pub(super) fn new(list: CelList<'v>, identity: Identity) -> Self {
        Self { list, identity }
    }
}

impl Identity {
    /// Equal for items that are the same; nothing for items that cannot be told apart so.
    fn of(&self, item: &dyn Val) -> Option<String> {
        match self {
            Self::Item => scalar(item),
            Self::Fields(names) => {
                let fields = item.as_indexer()?;
                let each = names.iter().map(|name| {
                    // An absent key is one of its own.
                    let field = fields.get(&CelString::from(name.as_str())).ok();
                    let value = field.map_or_else(|| Some(String::new()), |value| scalar(value.as_ref()))?;
                    Some(format!("{}:{value}", value.len()))
                });
                each.collect()
            }
        }
    }

    fn of_all(&self, list: &CelList<'_>) -> Option<Vec<String>> {
        list.inner().iter().map(|item| self.of(item.as_ref())).collect()
    }
}

fn scalar(value: &dyn Val) -> Option<String> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Some(format!("s{}", text.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelInt>() {
        return Some(format!("n{}", number.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelUInt>() {
        return Some(format!("n{}", number.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return Some(format!("n{}", number.inner()));
    }
    value.downcast_ref::<CelBool>().map(|value| format!("b{}", value.inner()))
}

impl Val for Unordered<'_> {
    fn get_type(&self) -> &Type {
        &LIST_TYPE
    }

    fn cel_type() -> &'static Type {
        &LIST_TYPE
    }

    fn as_adder<'b, 'w>(&'b self) -> Option<&'b (dyn Adder + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        self.list.as_container()
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        self.list.as_indexer()
    }

    fn into_indexer<'w>(self: Box<Self>) -> Option<Box<dyn Indexer + 'w>>
    where
        Self: 'w,
    {
        Box::new(self.list).into_indexer()
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        self.list.as_iterable()
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.list.as_sizer()
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        self.list.as_zeroer()
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let Some(others) = other.downcast_ref::<CelList<'_>>() else { return false };
        if self.list.inner().len() != others.inner().len() {
            return false;
        }
        let (Some(mine), Some(theirs)) = (self.identity.of_all(&self.list), self.identity.of_all(others)) else {
            return self.list.equals(other);
        };
        let mine: HashMap<_, _> = mine.into_iter().zip(self.list.inner()).collect();
        let theirs: HashMap<_, _> = theirs.into_iter().zip(others.inner()).collect();
        mine.len() == theirs.len()
            && mine.iter().all(|(key, item)| theirs.get(key).is_some_and(|other| item.equals(other.as_ref())))
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }

    // The evaluator and its functions take it for the list that it is.
    fn as_builtin<'b, 'w>(&'b self) -> BuiltinRef<'b, 'w>
    where
        Self: 'w,
    {
        BuiltinRef::List(&self.list)
    }

    fn into_builtin<'w>(self: Box<Self>) -> Option<Builtin<'w>>
    where
        Self: 'w,
    {
        Some(Builtin::List(self.list))
    }
}

impl Adder for Unordered<'_> {
    /// The items of both; of two with one identity the second counts, in the place of the first.
    fn add<'b, 'w>(&'b self, rhs: &(dyn Val + 'w)) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let others: &CelList<'w> = rhs.downcast_ref().ok_or_else(|| ExecutionError::UnexpectedType {
            got: rhs.get_type().name().to_owned(),
            want: "list".to_owned(),
        })?;
        let (Some(mine), Some(theirs)) = (self.identity.of_all(&self.list), self.identity.of_all(others)) else {
            return Adder::add(&self.list, rhs);
        };
        let mut items: Vec<Box<dyn Val + 'w>> = self.list.inner().iter().map(|item| item.clone_as_boxed()).collect();
        let mut places: HashMap<String, usize> = mine.into_iter().enumerate().map(|(at, key)| (key, at)).collect();
        for (key, item) in theirs.into_iter().zip(others.inner()) {
            let at = *places.entry(key).or_insert(items.len());
            match items.get_mut(at) {
                Some(place) => *place = item.clone_as_boxed(),
                None => items.push(item.clone_as_boxed()),
            }
        }
        Ok(CowVal::owned(Unordered { list: CelList::from(items), identity: self.identity.clone() }))
    }
}
