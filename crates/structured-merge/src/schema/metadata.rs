//! The form of `metadata`, which is the same for all objects.

use std::collections::BTreeMap;

use super::{ListKey, ListKind, ListType, MapType, Others, TypeRef};

/// Fields that hold one value, or that only the server sets and that are replaced as a whole.
const LEAVES: [&str; 12] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "clusterName",
    "managedFields",
];

/// `ObjectMeta`.
pub(super) fn object_meta() -> TypeRef {
    let strings = || map(BTreeMap::new(), Others::Typed(Box::new(TypeRef::Scalar)), false);
    let mut fields: BTreeMap<_, _> = LEAVES.iter().map(|name| ((*name).to_owned(), TypeRef::Scalar)).collect();
    fields.insert("managedFields".to_owned(), list(ListKind::Atomic, TypeRef::Deduced));
    fields.insert("labels".to_owned(), strings());
    fields.insert("annotations".to_owned(), strings());
    fields.insert("finalizers".to_owned(), list(ListKind::Set, TypeRef::Scalar));
    let uid = ListKey { name: "uid".to_owned(), default: None };
    let reference = map(BTreeMap::new(), Others::Deduced, true);
    fields.insert("ownerReferences".to_owned(), list(ListKind::Map(vec![uid]), reference));
    map(fields, Others::Deduced, false)
}

fn map(fields: BTreeMap<String, TypeRef>, others: Others, atomic: bool) -> TypeRef {
    TypeRef::Map(MapType { fields, others, atomic })
}

fn list(kind: ListKind, items: TypeRef) -> TypeRef {
    TypeRef::List(ListType { kind, items: Box::new(items) })
}
