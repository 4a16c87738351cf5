//! What changed from one value to another, as field sets.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::field_set::FieldSet;
use crate::items::Items;
use crate::path::{Path, PathElement};
use crate::scalar;
use crate::schema::{ListType, MapType, Shape, TypeRef};

/// What changed. No path is in two of the sets; containers count where they appear or disappear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What the second value has and the first has not.
    pub added: FieldSet,
    /// What both have, with another content.
    pub modified: FieldSet,
    /// What the first value has and the second has not.
    pub removed: FieldSet,
}

impl Comparison {
    /// Whether nothing changed.
    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// What the second value says anew.
    pub(crate) fn written(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    /// The comparison as if the given fields, and all below them, did not exist.
    #[must_use]
    pub fn exclude(&self, fields: &FieldSet) -> Self {
        Self {
            added: self.added.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            removed: self.removed.recursive_difference(fields),
        }
    }
}

/// Compares two values of one type.
pub fn compare(form: &TypeRef, old: &Value, new: &Value) -> Comparison {
    let mut walk = Walk::default();
    walk.node(form, Some(old), Some(new));
    walk.found
}

#[derive(Default)]
struct Walk {
    path: Path,
    found: Comparison,
}

impl Walk {
    /// Compares what is at the current path. *Invariant*: at least one side is there.
    fn node(&mut self, form: &TypeRef, old: Option<&Value>, new: Option<&Value>) {
        let one_form = match (form.shape(old), form.shape(new)) {
            (Some(Shape::Map(map)), Some(Shape::Map(_)) | None) | (None, Some(Shape::Map(map))) => Shape::Map(map),
            (Some(Shape::List(list)), Some(Shape::List(_)) | None) | (None, Some(Shape::List(list))) => {
                Shape::List(list)
            }
            (Some(Shape::Leaf) | None, Some(Shape::Leaf) | None) => Shape::Leaf,
            (before, after) => {
                self.found.modified.insert(&self.path);
                self.below(before.as_ref(), old, None);
                self.below(after.as_ref(), None, new);
                return;
            }
        };
        // Two empty containers are compared as values, which tells an empty one from null.
        if matches!(one_form, Shape::Leaf) || (is_empty(old) && is_empty(new)) {
            return self.leaf(old, new);
        }
        self.below(Some(&one_form), old, new);
        self.container(old, new);
    }

    fn below(&mut self, shape: Option<&Shape<'_>>, old: Option<&Value>, new: Option<&Value>) {
        match shape {
            None | Some(Shape::Leaf) => {}
            Some(Shape::Map(map)) => self.fields(map, old, new),
            Some(Shape::List(list)) => self.items(list, old, new),
        }
    }

    fn fields(&mut self, map: &MapType, old: Option<&Value>, new: Option<&Value>) {
        let [old, new] = [old, new].map(|side| side.and_then(Value::as_object));
        let names: BTreeSet<_> = old.into_iter().chain(new).flat_map(|fields| fields.keys()).collect();
        for name in names {
            let [old, new] = [old, new].map(|side| side.and_then(|fields| fields.get(name)));
            self.descend(PathElement::field(name), |walk| {
                walk.node(map.field(name), old, new);
            });
        }
    }

    fn items(&mut self, list: &ListType, old: Option<&Value>, new: Option<&Value>) {
        let (old, new) = (Items::new(list, old), Items::new(list, new));
        let elements: BTreeSet<_> = old.elements().chain(new.elements()).collect();
        for element in elements {
            let (old, new) = (old.get(element), new.get(element));
            self.descend(element.clone(), |walk| match (old, new) {
                ([] | [_], [] | [_]) => {
                    walk.node(&list.items, old.first().copied(), new.first().copied());
                }
                _ => walk.duplicates(old, new),
            });
        }
    }

    /// Items that one element selects cannot be told apart, so that they count as one thing.
    fn duplicates(&mut self, old: &[&Value], new: &[&Value]) {
        let same = old.len() == new.len() && old.iter().zip(new).all(|(old, new)| scalar::same(old, new));
        let found = match (old, new) {
            _ if same => return,
            ([], _) => &mut self.found.added,
            (_, []) => &mut self.found.removed,
            _ => &mut self.found.modified,
        };
        found.insert(&self.path);
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (Some(old), Some(new)) if !scalar::same(old, new) => {
                self.found.modified.insert(&self.path);
            }
            _ => self.container(old, new),
        }
    }

    fn container(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(_), Some(_)) => {}
        }
    }

    fn descend(&mut self, element: PathElement, visit: impl FnOnce(&mut Self)) {
        self.path.push(element);
        visit(self);
        self.path.pop();
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(_) => false,
    }
}
