//! What holds for all sets, all objects and all orders of writes.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::collections::{BTreeMap, BTreeSet};

use essaim_structured_merge::{
    ApplyContext, Error, FieldSet, ManagedFields, Operation, Path, PathElement, Scalar, Schema, UpdateContext, apply,
    compare, fields_of, merge, update,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Bounded, and without files beside the source.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

/// Containers that a manager may own, empty, while others fill them.
const EMPTY: [&str; 4] = [".spec", ".spec.map", ".spec.items", ".spec.set"];

fn element() -> impl Strategy<Value = PathElement> {
    let scalar = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        "[a-c\"\\\\:.é]{0,3}".prop_map(Value::from),
    ];
    let scalar = scalar.prop_filter_map("a scalar", |value| Scalar::new(&value)).boxed();
    prop_oneof![
        4 => "[a-c]".prop_map(|name| PathElement::field(&name)),
        1 => "[a-c\"\\\\:.é]{0,3}".prop_map(|name| PathElement::field(&name)),
        1 => scalar.clone().prop_map(PathElement::Value),
        1 => proptest::collection::btree_map("[a-c]", scalar, 0..3).prop_map(PathElement::Key),
        1 => (0_usize..5).prop_map(PathElement::Index),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    proptest::collection::vec(element(), 1..5).prop_map(|elements| elements.into_iter().collect())
}

fn paths() -> impl Strategy<Value = BTreeSet<Path>> {
    proptest::collection::btree_set(path(), 0..12)
}

fn set(paths: &BTreeSet<Path>) -> FieldSet {
    paths.iter().cloned().collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fields_v1_comes_back_as_it_went(paths in paths()) {
        let set = set(&paths);
        let text = set.to_fields_v1().to_string();
        let fields: Value = serde_json::from_str(&text).unwrap();
        let back = FieldSet::from_fields_v1(&fields).unwrap();
        prop_assert_eq!(&back, &set);
        prop_assert_eq!(back.to_fields_v1().to_string(), text);
    }

    #[test]
    fn field_sets_are_sets(left in paths(), right in paths()) {
        let (a, b) = (set(&left), set(&right));
        prop_assert_eq!(a.union(&b), set(&left.union(&right).cloned().collect()));
        prop_assert_eq!(a.intersection(&b), set(&left.intersection(&right).cloned().collect()));
        prop_assert_eq!(a.difference(&b), set(&left.difference(&right).cloned().collect()));
        prop_assert_eq!(a.is_empty(), left.is_empty());
        prop_assert_eq!(a.paths().into_iter().collect::<BTreeSet<_>>(), left.clone());
        prop_assert!(right.iter().all(|path| a.contains(path) == left.contains(path)));
    }

    #[test]
    fn set_algebra_holds(left in paths(), right in paths(), third in paths()) {
        let (a, b, c) = (set(&left), set(&right), set(&third));
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(a.intersection(&b.union(&c)), a.intersection(&b).union(&a.intersection(&c)));
        prop_assert_eq!(a.difference(&b.union(&c)), a.difference(&b).intersection(&a.difference(&c)));
        prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
        prop_assert!(a.difference(&a).is_empty());
    }

    #[test]
    fn recursive_difference_takes_what_is_below(left in paths(), right in paths()) {
        let below = |path: &Path| right.iter().any(|parent| path.elements().starts_with(parent.elements()));
        let expected: BTreeSet<_> = left.iter().filter(|path| !below(path)).cloned().collect();
        prop_assert_eq!(set(&left).recursive_difference(&set(&right)), set(&expected));
    }

    #[test]
    fn leaves_have_nothing_below(paths in paths()) {
        let is_parent = |path: &Path| paths.iter().any(|below| below != path && below.elements().starts_with(path.elements()));
        let expected: BTreeSet<_> = paths.iter().filter(|path| !is_parent(path)).cloned().collect();
        prop_assert_eq!(set(&paths).leaves(), set(&expected));
    }

    #[test]
    fn any_key_is_read_or_refused(text in ".{0,12}") {
        if let Ok(element) = PathElement::decode(&text) {
            prop_assert_eq!(PathElement::decode(&element.encode()), Ok(element));
        }
    }
}

/// A tree under the schema [`tree_schema`]: a struct, a map, a keyed list, a set, an atomic list.
fn tree() -> impl Strategy<Value = Value> {
    let small = || (0_i64..3).prop_map(Value::from);
    let item = ("[a-d]", proptest::option::of(small())).prop_map(|(name, size)| {
        let mut item = json!({"name": name});
        item.as_object_mut().unwrap().extend(size.map(|size| ("size".to_owned(), size)));
        item
    });
    let items = proptest::collection::vec(item, 0..4).prop_map(|mut items| {
        let mut seen = BTreeSet::new();
        items.retain(|item| seen.insert(item["name"].to_string()));
        Value::from(items)
    });
    let map = proptest::collection::btree_map("[a-c]", small(), 0..3).prop_map(|map| json!(map));
    let set = proptest::sample::subsequence(vec!["x", "y", "z"], 0..=3).prop_shuffle().prop_map(|set| json!(set));
    let atomic = proptest::collection::vec(0_i64..2, 0..3).prop_map(|list| json!(list));
    let fields = [
        ("one", small().boxed()),
        ("map", map.boxed()),
        ("items", items.boxed()),
        ("set", set.boxed()),
        ("atomic", atomic.boxed()),
    ];
    let fields =
        fields.map(|(name, value)| proptest::option::of(value.prop_map(move |value| (name.to_owned(), value))));
    let [one, map, items, set, atomic] = fields;
    (one, map, items, set, atomic).prop_map(|(one, map, items, set, atomic)| {
        let fields: Map<_, _> = [one, map, items, set, atomic].into_iter().flatten().collect();
        json!({"apiVersion": "v1", "kind": "Tree", "metadata": {"name": "t"}, "spec": fields})
    })
}

/// An object that has the names of a tree and any content.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        "[a-b]".prop_map(Value::from)
    ];
    let value = leaf.prop_recursive(4, 24, 4, |below| {
        let names = proptest::sample::select(vec!["name", "size", "map", "items", "set", "atomic", "uid", "f:a"]);
        prop_oneof![
            proptest::collection::vec(below.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(names, below, 0..4).prop_map(|map| json!(map)),
        ]
    });
    let fields = |names: &[&'static str]| {
        let names = proptest::sample::select(names.to_vec());
        proptest::collection::btree_map(names, value.clone(), 0..3).prop_map(|map| json!(map))
    };
    let spec = prop_oneof![4 => fields(&["one", "map", "items", "set", "atomic"]), 1 => value.clone()];
    let metadata = prop_oneof![4 => fields(&["labels", "finalizers", "ownerReferences", "uid"]), 1 => fields(&["managedFields"]), 1 => value.clone()];
    (metadata, spec)
        .prop_map(|(metadata, spec)| json!({"apiVersion": "v1", "kind": "Tree", "metadata": metadata, "spec": spec}))
}

fn tree_schema() -> Schema {
    Schema::from_openapi(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "one": {"type": "integer"},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items":
            {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "atomic": {"type": "array", "items": {"type": "integer"}}
    }}}}))
}

#[derive(Debug, Clone)]
struct Write {
    manager: &'static str,
    applies: bool,
    force: bool,
    content: Value,
}

fn write(content: impl Strategy<Value = Value>) -> impl Strategy<Value = Write> {
    (proptest::sample::select(vec!["alice", "bob", "carol"]), any::<bool>(), any::<bool>(), content)
        .prop_map(|(manager, applies, force, content)| Write { manager, applies, force, content })
}

fn perform(live: Option<&Value>, write: &Write, schema: &Schema) -> Result<Value, Error> {
    let Write { manager, applies, force, content } = write;
    let (api_version, now, reset_fields, known_versions) = ("v1", "2026-01-01T00:00:00Z", &[], &[]);
    if *applies {
        let ctx = ApplyContext {
            manager,
            api_version,
            subresource: None,
            now,
            force: *force,
            schema,
            reset_fields,
            known_versions,
        };
        return apply(live, content, &ctx).map(|applied| applied.object);
    }
    let ctx = UpdateContext { manager, api_version, subresource: None, now, schema, reset_fields, known_versions };
    update(live, content, &ctx)
}

fn owners(object: &Value) -> ManagedFields {
    ManagedFields::decode(&object["metadata"]["managedFields"]).unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_value_compared_with_itself_is_the_same(tree in tree()) {
        prop_assert!(compare(tree_schema().root(), &tree, &tree).is_same());
    }

    #[test]
    fn merging_adds_and_modifies_but_never_removes(live in tree(), applied in tree()) {
        let schema = tree_schema();
        let merged = merge(schema.root(), &live, &applied);
        prop_assert!(compare(schema.root(), &live, &merged).removed.is_empty());
        prop_assert_eq!(merge(schema.root(), &merged, &applied), merged.clone());
        let missing = fields_of(schema.root(), &applied).leaves().difference(&fields_of(schema.root(), &merged));
        // An empty container that was applied over a full one is a leaf in the one and not in the other.
        prop_assert!(missing.paths().iter().all(|path| EMPTY.contains(&path.to_string().as_str())));
    }

    #[test]
    fn the_second_apply_does_nothing(
        writes in proptest::collection::vec(write(tree()), 1..8),
        schema in prop_oneof![Just(tree_schema()), Just(Schema::deduced())],
    ) {
        let mut live = None;
        for write in &writes {
            let Ok(object) = perform(live.as_ref(), write, &schema) else { continue };
            if write.applies {
                prop_assert_eq!(&perform(Some(&object), write, &schema).unwrap(), &object);
            }
            live = Some(object);
        }
    }

    #[test]
    fn any_object_is_stored_or_refused(
        writes in proptest::collection::vec(write(anything()), 1..6),
        schema in prop_oneof![Just(tree_schema()), Just(Schema::deduced())],
    ) {
        let mut live = None;
        for write in &writes {
            let Ok(object) = perform(live.as_ref(), write, &schema) else { continue };
            prop_assert!(ManagedFields::decode(&object["metadata"]["managedFields"]).is_ok());
            if write.applies {
                prop_assert_eq!(&perform(Some(&object), write, &schema).unwrap(), &object);
            }
            live = Some(object);
        }
    }

    #[test]
    fn an_applier_owns_what_it_says_and_the_object_has_it(writes in proptest::collection::vec(write(tree()), 1..8)) {
        let schema = tree_schema();
        let mut live = None;
        for write in &writes {
            let Ok(object) = perform(live.as_ref(), write, &schema) else { continue };
            let present = fields_of(schema.root(), &object);
            for entry in owners(&object).entries().iter().filter(|entry| entry.operation == Operation::Apply) {
                let missing = entry.fields.leaves().difference(&present);
                let empty: Vec<_> = missing.paths().iter().map(Path::to_string).collect();
                prop_assert!(empty.iter().all(|path| EMPTY.contains(&path.as_str())), "{} owns {:?} of {}", entry.manager, empty, object);
            }
            live = Some(object);
        }
    }

    #[test]
    fn flat_maps_follow_the_simple_model(first in flat(), writes in proptest::collection::vec(write(flat()), 1..20)) {
        let schema = Schema::from_openapi(&json!({"type": "object", "properties": {
            "data": {"type": "object", "additionalProperties": {"type": "integer"}}}}));
        let (mut model, mut live) = (Model::default(), None);
        let first = Write { manager: "keeper", applies: true, force: false, content: first };
        for write in std::iter::once(&first).chain(&writes) {
            let content = flat_content(&write.content);
            match perform(live.as_ref(), write, &schema) {
                Ok(object) => {
                    prop_assert!(!model.refuses(write, &content), "not refused: {write:?}");
                    model.perform(write, &content);
                    prop_assert_eq!(flat_content(&object), model.content());
                    prop_assert_eq!(flat_owners(&object), model.owners());
                    live = Some(object);
                }
                Err(Error::Conflicts(_)) => prop_assert!(model.refuses(write, &content), "refused: {write:?}"),
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }
}

/// The label always has an owner: an object that loses its last one is no longer tracked.
fn flat() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-d]", 0_i64..3, 0..4).prop_map(
        |data| json!({"apiVersion": "v1", "kind": "Flat", "metadata": {"name": "f", "labels": {"keep": "1"}}, "data": data}),
    )
}

type Owner = (&'static str, bool);

/// Field by field: its value and those who want it so.
#[derive(Debug, Default)]
struct Model {
    fields: BTreeMap<String, (i64, BTreeSet<Owner>)>,
}

impl Model {
    fn refuses(&self, write: &Write, content: &BTreeMap<String, i64>) -> bool {
        let me = (write.manager, true);
        let clashes = |(name, value): (&String, &i64)| {
            let theirs = self.fields.get(name);
            theirs.is_some_and(|(live, owners)| live != value && owners.iter().any(|owner| *owner != me))
        };
        write.applies && !write.force && content.iter().any(clashes)
    }

    fn perform(&mut self, write: &Write, content: &BTreeMap<String, i64>) {
        let me = (write.manager, write.applies);
        self.fields.retain(|name, (_, owners)| {
            let released = !content.contains_key(name) && owners.remove(&me) && owners.is_empty();
            let deleted = !write.applies && !content.contains_key(name);
            !(released && write.applies || deleted)
        });
        for (name, value) in content {
            let (live, owners) = self.fields.entry(name.clone()).or_insert((value - 1, BTreeSet::new()));
            let changed = live != value;
            if changed {
                (*live, *owners) = (*value, BTreeSet::new());
            }
            if changed || write.applies {
                owners.insert(me);
            }
        }
    }

    fn content(&self) -> BTreeMap<String, i64> {
        self.fields.iter().map(|(name, (value, _))| (name.clone(), *value)).collect()
    }

    fn owners(&self) -> BTreeSet<(String, String, bool)> {
        let owners = |(name, (_, owners)): (&String, &(i64, BTreeSet<Owner>))| {
            let name = name.clone();
            owners
                .iter()
                .map(move |(manager, applies)| (name.clone(), (*manager).to_owned(), *applies))
                .collect::<Vec<_>>()
        };
        self.fields.iter().flat_map(owners).collect()
    }
}

fn flat_content(object: &Value) -> BTreeMap<String, i64> {
    let data = object.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    data.into_iter().filter_map(|(name, value)| Some((name, value.as_i64()?))).collect()
}

fn flat_owners(object: &Value) -> BTreeSet<(String, String, bool)> {
    let managed = owners(object);
    let fields = managed.entries().iter().flat_map(|entry| {
        entry
            .fields
            .paths()
            .into_iter()
            .map(move |path| (path, entry.manager.clone(), entry.operation == Operation::Apply))
    });
    fields
        .filter(|(path, ..)| path.to_string().starts_with(".data."))
        .map(|(path, manager, applies)| (path.to_string().replace(".data.", ""), manager, applies))
        .collect()
}
