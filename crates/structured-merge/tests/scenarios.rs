//! Runs the tables in `tests/cases`: what several managers write in turn, and who owns what afterwards.
//!
//! A case is a list of steps. A step holds `apply` or `update` with what is written, without `apiVersion`, `kind` and name, `by`
//! whom, and what is expected: `object` (the whole content), `owners` (all of them, `*` before updaters, `+sub` after the name for a
//! subresource), `fields` (the text of an owner's `fieldsV1`), `conflicts`, `message`, `error`, `changed`. Times are minutes: the step's number, from one.

#![expect(clippy::panic, clippy::expect_used, reason = "a table that cannot be read is a failed test")]

use std::collections::BTreeMap;

use essaim_structured_merge::{ApplyContext, Error, ManagedFields, Operation, Schema, UpdateContext, apply, update};
use serde_json::{Map, Value, json};

const SCHEMA: &str = include_str!("cases/schema.json");

fn run_table(name: &str, table: &str) {
    let cases: Vec<Value> = serde_json::from_str(table).expect("the table is JSON");
    assert!(!cases.is_empty(), "{name} has cases");
    for case in &cases {
        let claim = case["claim"].as_str().expect("a case makes a claim");
        run_case(&format!("{name}: {claim}"), case);
    }
}

macro_rules! tables {
    ($($name:ident),* $(,)?) => {
        const TABLES: &[(&str, &str)] = &[
            $((stringify!($name), include_str!(concat!("cases/", stringify!($name), ".json")))),*
        ];

        $(#[test]
        fn $name() {
            run_table(stringify!($name), include_str!(concat!("cases/", stringify!($name), ".json")));
        })*
    };
}

tables!(
    scalars,
    maps,
    keyed_lists,
    nested_lists,
    sets,
    atomics,
    atomic_structs,
    deduced,
    preserved,
    embedded,
    nulls,
    numbers,
    names,
    updates,
    takeovers,
    many_managers,
    many_updaters,
    metadata,
    resets,
    subresources,
    upgrades,
    last_applied,
    versions,
    schema_changes,
    repeats,
    refusals,
);

#[test]
fn there_are_as_many_cases_as_is_said_and_each_expects_something() {
    const EXPECTATIONS: [&str; 8] = ["object", "owners", "fields", "times", "changed", "conflicts", "message", "error"];
    let read = |(_, table): &(&str, &str)| serde_json::from_str::<Vec<Value>>(table).expect("the table is JSON");
    let cases: Vec<Value> = TABLES.iter().flat_map(read).collect();
    assert!(cases.len() >= 370, "{} cases", cases.len());
    let mut claims = BTreeMap::new();
    for case in &cases {
        let steps = case["steps"].as_array().expect("a case has steps");
        assert!(steps.iter().any(|step| EXPECTATIONS.iter().any(|name| step.get(name).is_some())), "{}", case["claim"]);
        let twin = claims.insert(case["steps"].to_string(), &case["claim"]);
        assert_eq!(twin, None, "{} takes the same steps", case["claim"]);
    }
}

fn run_case(claim: &str, case: &Value) {
    let mut live = None;
    for (index, step) in case["steps"].as_array().expect("a case has steps").iter().enumerate() {
        let at = format!("{claim}, step {}", index + 1);
        live = run_step(&at, index + 1, live, case, step);
    }
}

fn run_step(at: &str, number: usize, live: Option<Value>, case: &Value, step: &Value) -> Option<Value> {
    let schema = schema_of(step.get("schema").or_else(|| case.get("schema")));
    let now = time(number);
    let ctx = context(step, &schema, &now);
    let (reset, known) = (strings(step, "reset"), strings(step, "known"));
    let ctx = ApplyContext { reset_fields: &reset, known_versions: &known, ..ctx };
    let outcome = write(live.as_ref(), step, &ctx);
    match outcome {
        Ok((object, changed)) => {
            assert!(step.get("conflicts").is_none() && step.get("error").is_none(), "{at}: succeeded: {object}");
            check(at, step, &object, changed);
            again(at, &object, step, &ctx);
            Some(object)
        }
        Err(error) => {
            check_refusal(at, step, &error);
            live
        }
    }
}

fn context<'a>(step: &'a Value, schema: &'a Schema, now: &'a str) -> ApplyContext<'a> {
    ApplyContext {
        manager: step["by"].as_str().unwrap_or("alice"),
        api_version: step["version"].as_str().unwrap_or("v1"),
        subresource: step["subresource"].as_str(),
        now,
        force: step["force"].as_bool().unwrap_or(false),
        schema,
        reset_fields: &[],
        known_versions: &[],
    }
}

fn write(live: Option<&Value>, step: &Value, ctx: &ApplyContext<'_>) -> Result<(Value, bool), Error> {
    if let Some(stored) = step.get("stored") {
        return Ok((complete(stored, ctx), true));
    }
    if let Some(patch) = step.get("apply") {
        let patch = complete(patch, ctx);
        return apply(live, &patch, ctx).map(|applied| (applied.object, applied.changed));
    }
    let ApplyContext { manager, api_version, subresource, now, force: _, schema, reset_fields, known_versions } = *ctx;
    let ctx_update = UpdateContext { manager, api_version, subresource, now, schema, reset_fields, known_versions };
    let new = complete(step.get("update").expect("a step applies or updates"), ctx);
    update(live, &new, &ctx_update).map(|object| (object, true))
}

/// The second time, an apply does nothing.
fn again(at: &str, live: &Value, step: &Value, ctx: &ApplyContext<'_>) {
    if step.get("apply").is_none() {
        return;
    }
    let ctx = ApplyContext { now: "2026-12-31T00:00:00Z", ..*ctx };
    let (object, changed) = write(Some(live), step, &ctx).unwrap_or_else(|error| panic!("{at}, again: {error}"));
    assert!(!changed, "{at}, again: changed {live} to {object}");
    assert_eq!(&object, live, "{at}, again");
}

fn check(at: &str, step: &Value, object: &Value, changed: bool) {
    if let Some(expected) = step.get("object") {
        assert_eq!(&content(object), expected, "{at}: object");
    }
    if let Some(expected) = step.get("owners") {
        assert_eq!(&owners(object), expected, "{at}: owners");
    }
    if let Some(expected) = step.get("fields").and_then(Value::as_object) {
        let found = named(object, |entry| entry.fields.to_fields_v1().to_string());
        for (owner, fields) in expected {
            assert_eq!(&found[owner], fields, "{at}: fields of {owner}");
        }
    }
    if let Some(expected) = step.get("times") {
        assert_eq!(&times(object), expected, "{at}: times");
    }
    if let Some(expected) = step.get("changed") {
        assert_eq!(&json!(changed), expected, "{at}: changed");
    }
}

fn check_refusal(at: &str, step: &Value, error: &Error) {
    match (step.get("conflicts"), step.get("error"), error) {
        (Some(expected), _, Error::Conflicts(conflicts)) => {
            let found: Vec<_> =
                conflicts.iter().map(|conflict| format!("{} {}", conflict.manager, conflict.path)).collect();
            assert_eq!(&json!(found), expected, "{at}: conflicts");
            if let Some(message) = step.get("message") {
                assert_eq!(&json!(error.to_string()), message, "{at}: message");
            }
        }
        (_, Some(expected), error) => {
            assert_eq!(&json!(error.to_string()), expected, "{at}: error");
        }
        _ => panic!("{at}: {error}"),
    }
}

fn time(step: usize) -> String {
    format!("2026-01-01T00:{step:02}:00Z")
}

fn schema_of(name: Option<&Value>) -> Schema {
    let schemas: Value = serde_json::from_str(SCHEMA).expect("the schemas are JSON");
    match name {
        None => Schema::from_openapi(&schemas["v1"]),
        Some(Value::String(name)) if name == "deduced" => Schema::deduced(),
        Some(Value::String(name)) => Schema::from_openapi(&schemas[name]),
        Some(schema) => Schema::from_openapi(schema),
    }
}

fn strings<'a>(step: &'a Value, key: &str) -> Vec<&'a str> {
    step.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A whole object from what a case says of it.
fn complete(content: &Value, ctx: &ApplyContext<'_>) -> Value {
    let mut object = content.clone();
    let Some(fields) = object.as_object_mut() else {
        return object;
    };
    fields.entry("apiVersion").or_insert_with(|| json!(ctx.api_version));
    fields.entry("kind").or_insert_with(|| json!("Demo"));
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("name".to_owned(), json!("demo"));
    }
    object
}

/// What a case says of a whole object.
fn content(object: &Value) -> Value {
    let mut object = object.clone();
    let fields = object.as_object_mut().expect("an object");
    fields.remove("apiVersion");
    fields.remove("kind");
    let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut).expect("metadata");
    metadata.remove("name");
    metadata.remove("managedFields");
    if metadata.is_empty() {
        fields.remove("metadata");
    }
    object
}

fn managed(object: &Value) -> ManagedFields {
    ManagedFields::decode(&object["metadata"]["managedFields"]).expect("what is written can be read")
}

fn named<T: Into<Value>>(object: &Value, show: impl Fn(&essaim_structured_merge::Entry) -> T) -> Value {
    let managed = managed(object);
    let entries = managed.entries().iter().map(|entry| {
        let updater = if entry.operation == Operation::Update { "*" } else { "" };
        let subresource = entry.subresource.as_ref().map(|name| format!("+{name}")).unwrap_or_default();
        (format!("{updater}{}{subresource}", entry.manager), show(entry).into())
    });
    let unique: BTreeMap<String, Value> = entries.collect();
    Value::Object(unique.into_iter().collect::<Map<_, _>>())
}

fn owners(object: &Value) -> Value {
    named(object, |entry| entry.fields.paths().iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// The step in which each owner last changed something.
fn times(object: &Value) -> Value {
    named(object, |entry| {
        let minute =
            entry.time.as_deref().and_then(|time| time.get(14..16)).and_then(|minute| minute.parse::<u64>().ok());
        minute.map_or(Value::Null, Value::from)
    })
}
