//! Random writes by several managers against a model of ownership that knows nothing of how the crate works.
//!
//! The model is a flat list of facts: what is there, with which value, and who wants it so. The forms below describe one
//! type; its schema, its values and its facts are all made from them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::collections::{BTreeMap, BTreeSet};

use essaim_structured_merge::{
    ApplyContext, Error, ManagedFields, Operation, Path, Schema, UpdateContext, apply, merge, update,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The form of a value, as far as the model cares.
enum Form {
    /// One value, owned as a whole.
    Whole(&'static [&'static str]),
    Struct(&'static [(&'static str, Form)]),
    Entries(&'static Form),
    Set,
    /// Keys, each with the default it has, and the fields of an item.
    Keyed(&'static [(&'static str, Option<&'static str>)], &'static Form),
}

use Form::{Entries, Keyed, Set, Struct, Whole};

/// What a field may hold, as JSON.
const INTEGERS: Form = Whole(&["0", "1", "2"]);
const NAMES: Form = Whole(&["\"a\"", "\"b\"", "\"c\""]);
const PORTS: Form = Keyed(
    &[("port", None), ("protocol", Some("\"TCP\""))],
    &Struct(&[
        ("port", Whole(&["80", "443"])),
        ("protocol", Whole(&["\"TCP\"", "\"UDP\""])),
        ("title", Whole(&["\"x\"", "\"y\""])),
    ]),
);
const SPEC: Form = Struct(&[
    ("one", INTEGERS),
    ("atomic", Whole(&["[]", "[1]", "[1,2]", "[2,1]"])),
    ("whole", Whole(&["{}", "{\"a\":1}", "{\"a\":1,\"b\":2}"])),
    ("map", Entries(&INTEGERS)),
    ("groups", Entries(&Struct(&[("x", INTEGERS), ("tags", Set)]))),
    ("sub", Struct(&[("a", INTEGERS), ("deeper", Struct(&[("b", INTEGERS), ("map", Entries(&INTEGERS))]))])),
    ("tags", Set),
    ("items", Keyed(&[("name", None)], &Struct(&[("name", NAMES), ("size", INTEGERS), ("ports", PORTS)]))),
]);

fn schema(form: &Form) -> Value {
    match form {
        Whole(values) => match serde_json::from_str(values.last().unwrap()).unwrap() {
            Value::String(_) => json!({"type": "string"}),
            Value::Array(_) => json!({"type": "array", "items": {"type": "integer"}}),
            Value::Object(_) => json!({"type": "object", "x-kubernetes-map-type": "atomic",
                "additionalProperties": {"type": "integer"}}),
            _ => json!({"type": "integer"}),
        },
        Struct(fields) => {
            let fields: Map<_, _> = fields.iter().map(|(name, form)| ((*name).to_owned(), schema(form))).collect();
            json!({"type": "object", "properties": fields})
        }
        Entries(form) => json!({"type": "object", "additionalProperties": schema(form)}),
        Set => json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}),
        Keyed(keys, form) => {
            let mut items = schema(form);
            for (name, default) in *keys {
                if let Some(default) = default {
                    items["properties"][name]["default"] = serde_json::from_str(default).unwrap();
                }
            }
            let names: Vec<_> = keys.iter().map(|(name, _)| name).collect();
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": names, "items": items})
        }
    }
}

/// Some value of the form. No container is empty: the tables say what becomes of those.
fn value(form: &'static Form) -> BoxedStrategy<Value> {
    match form {
        Whole(values) => proptest::sample::select(*values).prop_map(|text| serde_json::from_str(text).unwrap()).boxed(),
        Struct(fields) => {
            let each: Vec<_> =
                fields.iter().map(|(name, form)| (Just(*name), proptest::option::of(value(form)))).collect();
            let filled = |fields: Vec<(&str, Option<Value>)>| {
                let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
                Value::Object(fields.collect())
            };
            each.prop_map(filled).prop_filter("not empty", |value| value != &json!({})).boxed()
        }
        Entries(form) => {
            proptest::collection::btree_map("[a-c]", value(form), 1..4).prop_map(|entries| json!(entries)).boxed()
        }
        Set => {
            proptest::sample::subsequence(vec!["x", "y", "z"], 1..=3).prop_shuffle().prop_map(|set| json!(set)).boxed()
        }
        Keyed(keys, form) => {
            let told_apart = |items: Vec<Value>| {
                let items = items.into_iter().filter(|item| keys.iter().all(|key| key_text(key, item).is_some()));
                let by_key: BTreeMap<_, _> = items.map(|item| (selector(keys, &item), item)).collect();
                (!by_key.is_empty()).then(|| by_key.into_values().collect::<Vec<_>>())
            };
            let items = proptest::collection::vec(value(form), 1..6).prop_filter_map("keys", told_apart);
            items.prop_shuffle().prop_map(Value::from).boxed()
        }
    }
}

fn key_text(key: &(&str, Option<&str>), item: &Value) -> Option<String> {
    let default = key.1.map(str::to_owned);
    Some(format!("{}={}", key.0, item.get(key.0).map(Value::to_string).or(default)?))
}

fn selector(keys: &[(&str, Option<&str>)], item: &Value) -> String {
    let keys: Vec<_> = keys.iter().filter_map(|key| key_text(key, item)).collect();
    format!("[{}]", keys.join(","))
}

/// Where something is: the steps of a path as messages show them.
type Place = Vec<String>;

#[derive(Debug, Clone, PartialEq)]
enum Fact {
    /// A declared container: it is there for what is in it.
    Container,
    /// An item of a list or an entry of a map, which can be owned beside what is in it.
    Member,
    Leaf(Value),
}

/// What a value says, container by container.
fn facts(form: &Form, value: &Value, fact: Fact, place: &Place, found: &mut BTreeMap<Place, Fact>) {
    let is_whole = matches!(form, Whole(_));
    found.insert(place.clone(), if is_whole { Fact::Leaf(value.clone()) } else { fact });
    let below = |step: String| place.iter().cloned().chain([step]).collect::<Place>();
    let (fields, items) = (value.as_object().into_iter().flatten(), value.as_array().into_iter().flatten());
    match form {
        Whole(_) => {}
        Struct(forms) => {
            for (name, value) in fields {
                let (_, form) = forms.iter().find(|(field, _)| field == name).unwrap();
                facts(form, value, Fact::Container, &below(format!(".{name}")), found);
            }
        }
        Entries(form) => fields.for_each(|(name, value)| {
            facts(form, value, Fact::Member, &below(format!(".{name}")), found);
        }),
        Set => found.extend(items.map(|item| (below(format!("[={item}]")), Fact::Member))),
        Keyed(keys, form) => items.for_each(|item| {
            facts(form, item, Fact::Member, &below(selector(keys, item)), found);
        }),
    }
}

fn facts_of(object: &Value) -> BTreeMap<Place, Fact> {
    let mut found = BTreeMap::new();
    if let Some(spec) = object.get("spec") {
        facts(&SPEC, spec, Fact::Container, &vec![".spec".to_owned()], &mut found);
    }
    found
}

/// Who, and whether by applying.
type Owner = (&'static str, bool);

#[derive(Debug, Default)]
struct Model {
    known: BTreeMap<Place, (Fact, BTreeSet<Owner>)>,
}

impl Model {
    fn refuses(&self, me: Owner, says: &BTreeMap<Place, Fact>) -> bool {
        says.iter().any(|(place, fact)| {
            let known = self.known.get(place);
            known.is_some_and(|(live, owners)| live != fact && owners.iter().any(|owner| *owner != me))
        })
    }

    fn apply(&mut self, me: Owner, says: &BTreeMap<Place, Fact>) {
        let had: BTreeSet<Place> =
            self.known.iter().filter(|(_, (_, owners))| owners.contains(&me)).map(|(place, _)| place.clone()).collect();
        for (_, owners) in self.known.values_mut() {
            owners.remove(&me);
        }
        for (place, fact) in says {
            let (live, owners) = self.known.entry(place.clone()).or_insert_with(|| (fact.clone(), BTreeSet::new()));
            if live != fact {
                (*live, *owners) = (fact.clone(), BTreeSet::new());
            }
            // A container belongs to nobody in particular.
            if *fact != Fact::Container {
                owners.insert(me);
            }
        }
        let wanted: BTreeSet<Place> =
            self.known.iter().filter(|(_, (_, owners))| !owners.is_empty()).map(|(place, _)| place.clone()).collect();
        let is_wanted = |place: &Place| match self.known.get(place) {
            Some((Fact::Container, _)) => wanted.iter().any(|below| below.starts_with(place)),
            _ => wanted.contains(place),
        };
        // What I wanted, and the containers that were there for it.
        let above = |place: &Place| (1..place.len()).map(|length| place[..length].to_vec()).collect::<Vec<_>>();
        let containers =
            had.iter().flat_map(above).filter(|place| matches!(self.known.get(place), Some((Fact::Container, _))));
        let gone: Vec<Place> = had.iter().cloned().chain(containers).filter(|place| !is_wanted(place)).collect();
        self.known.retain(|place, _| !gone.iter().any(|gone| place.starts_with(gone)));
    }

    fn update(&mut self, me: Owner, says: &BTreeMap<Place, Fact>) {
        self.known.retain(|place, _| says.contains_key(place));
        for (place, fact) in says {
            match self.known.get(place) {
                Some((live, _)) if live == fact => {}
                _ => drop(self.known.insert(place.clone(), (fact.clone(), BTreeSet::from([me])))),
            }
        }
    }

    fn facts(&self) -> BTreeMap<Place, Fact> {
        self.known.iter().map(|(place, (fact, _))| (place.clone(), fact.clone())).collect()
    }

    fn owners(&self) -> BTreeSet<(String, String, bool)> {
        let each = |(place, (_, owners)): (&Place, &(Fact, BTreeSet<Owner>))| {
            let place = place.concat();
            owners.iter().map(move |(name, applies)| (place.clone(), (*name).to_owned(), *applies)).collect::<Vec<_>>()
        };
        self.known.iter().flat_map(each).collect()
    }
}

fn owners_of(object: &Value) -> BTreeSet<(String, String, bool)> {
    let managed = ManagedFields::decode(&object["metadata"]["managedFields"]).unwrap();
    let each = |entry: &essaim_structured_merge::Entry| {
        let applies = entry.operation == Operation::Apply;
        let paths: Vec<_> = entry.fields.paths().iter().map(Path::to_string).collect();
        paths.into_iter().map(|path| (path, entry.manager.clone(), applies)).collect::<Vec<_>>()
    };
    managed.entries().iter().flat_map(each).filter(|(path, ..)| path.starts_with(".spec")).collect()
}

/// How somebody writes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Apply,
    Force,
    /// Replaces what is there.
    Replace,
    /// Lays the content over what is there, as a patch does.
    Patch,
}

#[derive(Debug, Clone)]
struct Write {
    manager: &'static str,
    how: How,
    content: Value,
}

/// The label always has an owner: an object that loses its last one is no longer tracked.
fn object(spec: Option<Value>) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Tree", "metadata": {"name": "t", "labels": {"keep": "1"}}});
    object.as_object_mut().unwrap().extend(spec.map(|spec| ("spec".to_owned(), spec)));
    object
}

fn write() -> impl Strategy<Value = Write> {
    let managers = proptest::sample::select(vec!["alice", "bob", "carol", "dave"]);
    let how = proptest::sample::select(vec![How::Apply, How::Apply, How::Force, How::Replace, How::Patch, How::Patch]);
    (managers, how, proptest::option::weighted(0.9, value(&SPEC)).prop_map(object))
        .prop_map(|(manager, how, content)| Write { manager, how, content })
}

fn perform(live: Option<&Value>, write: &Write, schema: &Schema) -> Result<(Value, Value), Error> {
    let (api_version, now, subresource) = ("v1", "2026-01-01T00:00:00Z", None);
    let (manager, reset_fields, known_versions): (_, &[&str], &[&str]) = (write.manager, &[], &[]);
    if matches!(write.how, How::Apply | How::Force) {
        let force = write.how == How::Force;
        let ctx = ApplyContext { manager, api_version, subresource, now, force, schema, reset_fields, known_versions };
        return apply(live, &write.content, &ctx).map(|applied| (write.content.clone(), applied.object));
    }
    let content = match live {
        Some(live) if write.how == How::Patch => merge(schema.root(), live, &write.content),
        _ => write.content.clone(),
    };
    let ctx = UpdateContext { manager, api_version, subresource, now, schema, reset_fields, known_versions };
    let stored = update(live, &content, &ctx)?;
    Ok((content, stored))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_writes_follows_the_model(writes in proptest::collection::vec(write(), 1..16)) {
        let schema = Schema::from_openapi(&json!({"type": "object", "properties": {"spec": schema(&SPEC)}}));
        let (mut model, mut live) = (Model::default(), None);
        let first = Write { manager: "keeper", how: How::Apply, content: object(None) };
        for write in std::iter::once(&first).chain(&writes) {
            let me = (write.manager, matches!(write.how, How::Apply | How::Force));
            match perform(live.as_ref(), write, &schema) {
                Ok((content, object)) => {
                    let says = facts_of(&content);
                    if me.1 {
                        prop_assert!(write.how == How::Force || !model.refuses(me, &says), "not refused: {write:?}");
                        model.apply(me, &says);
                    } else {
                        model.update(me, &says);
                    }
                    prop_assert_eq!(facts_of(&object), model.facts(), "after {:?}", write);
                    prop_assert_eq!(owners_of(&object), model.owners(), "after {:?}", write);
                    live = Some(object);
                }
                Err(Error::Conflicts(_)) => {
                    prop_assert!(model.refuses(me, &facts_of(&write.content)), "refused: {write:?}");
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }

    #[test]
    fn applied_items_keep_their_order_and_so_do_the_others(live in value(&SPEC), applied in value(&SPEC)) {
        let schema = Schema::from_openapi(&json!({"type": "object", "properties": {"spec": schema(&SPEC)}}));
        let merged = merge(schema.root(), &json!({"spec": live}), &json!({"spec": applied}));
        let Form::Struct(fields) = SPEC else { unreachable!("it is a struct") };
        for (name, form) in fields {
            let items = |spec: &Value| -> Vec<String> {
                let items = spec[name].as_array().into_iter().flatten();
                items.map(|item| match form {
                    Keyed(keys, _) => selector(keys, item),
                    _ => item.to_string(),
                }).collect()
            };
            if matches!(form, Set | Keyed(..)) {
                let (before, wanted, after) = (items(&live), items(&applied), items(&merged["spec"]));
                let of = |listed: &[String], keep: &dyn Fn(&String) -> bool| listed.iter().filter(|item| keep(item)).cloned().collect::<Vec<_>>();
                prop_assert_eq!(of(&after, &|item| wanted.contains(item)), wanted.clone());
                prop_assert_eq!(of(&after, &|item| !wanted.contains(item)), of(&before, &|item| !wanted.contains(item)));
            }
        }
    }
}
