//! CustomResourceDefinitions with random schemas and rules, and objects of them.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use super::values::{any_json, changed, edits, key, text};

/// A definition and the objects that are tried once it is there.
#[derive(Clone, Debug)]
pub(super) struct Defined {
    pub(super) definition: Value,
    /// Whose parts are random.
    pub(super) objects: Vec<Value>,
    /// Of objects that nearly fit.
    pub(super) seeds: Vec<u64>,
}

/// The definition without what the refusal names, so that the rest of it can be tried.
pub(super) fn mended(mut definition: Value, refusal: &str) -> Value {
    let Some(version) = definition.pointer_mut("/spec/versions/0") else { return definition };
    for field in named(refusal) {
        let path = parts(field.strip_prefix("spec.versions[0].").unwrap_or_default());
        match path.as_slice() {
            ["schema", "openAPIV3Schema", rest @ ..] => {
                version.pointer_mut("/schema/openAPIV3Schema").is_some_and(|schema| drop_at(schema, rest))
            }
            path => drop_at(version, path),
        };
    }
    definition
}

/// The same of an object.
pub(super) fn mended_object(mut object: Value, refusal: &str) -> Value {
    for field in named(refusal) {
        drop_at(&mut object, &parts(&field));
    }
    object
}

/// The fields that a refusal is about.
fn named(refusal: &str) -> Vec<String> {
    let status = serde_json::from_str::<Value>(refusal).unwrap_or_default();
    let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    causes.iter().filter_map(|cause| cause["field"].as_str().map(str::to_owned)).collect()
}

fn parts(field: &str) -> Vec<&str> {
    field.split(['.', '[', ']']).filter(|name| !name.is_empty()).collect()
}

/// An object for the schema of a definition, of the right types for the most part.
pub(super) fn example(definition: &Value, seed: u64) -> Value {
    let mut seed = seed;
    let mut object = fitting_value(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut seed);
    object["apiVersion"] = "fuzz.test/v1".into();
    object["kind"] = "Thing".into();
    object["metadata"] = json!({"name": "one"});
    object
}

fn fitting_value(schema: &Value, seed: &mut u64) -> Value {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let choice = usize::try_from(*seed >> 40).unwrap_or_default();
    let pick = |from: &[Value]| from[choice % from.len()].clone();
    let texts = [
        "",
        "a",
        "2020-01-01T00:00:00Z",
        "1h",
        "1Gi",
        "10.0.0.1",
        "é\u{301}",
        "ZA==",
        "x,y,z",
        "{\"a\": 1}",
        "9223372036854775808",
    ];
    let most = if choice % 16 == 0 { 40 } else { 3 };
    match schema["type"].as_str().unwrap_or_default() {
        "string" => pick(&texts.map(Value::from)),
        "integer" => pick(&[0, 1, -1, 3, i64::MAX, i64::MIN].map(Value::from)),
        "number" => pick(&[0.0, 1.5, -1e300, 1e300, 5e-324].map(Value::from)),
        "boolean" => (choice % 2 == 0).into(),
        "array" => (0..choice % most).map(|_| fitting_value(&schema["items"], seed)).collect(),
        "object" => {
            let named = schema["properties"].as_object().into_iter().flatten();
            let mut fields =
                named.map(|(name, field)| (name.clone(), fitting_value(field, seed))).collect::<Map<_, _>>();
            if schema["additionalProperties"].is_object() {
                let further = (0..choice % most)
                    .map(|index| (format!("k{index}"), fitting_value(&schema["additionalProperties"], seed)));
                fields.extend(further);
            }
            fields.into()
        }
        _ => pick(&[json!({"a": 1}), json!("x"), json!(1), json!([1, "a", null])]),
    }
}

/// Removes what lies at the end of the path, or where the path leaves the value.
fn drop_at(value: &mut Value, path: &[&str]) -> bool {
    let Some((name, rest)) = path.split_first() else { return false };
    let index = name.parse::<usize>().ok();
    let below = match (&mut *value, index) {
        (Value::Array(items), Some(index)) => items.get_mut(index),
        (value, _) => value.get_mut(*name),
    };
    let Some(below) = below else { return false };
    if !drop_at(below, rest) {
        match (value, index) {
            (Value::Array(items), Some(index)) => drop(items.remove(index)),
            (value, _) => drop(value.as_object_mut().and_then(|fields| fields.remove(*name))),
        }
    }
    true
}

/// Patterns that every schema may have.
const PATTERNS: &[&str] = &["^a+$", "(a+)+$", "\\d{1,3}", "(?i)x", "\\p{Greek}", "", "(a|b|c){0,500}"];
/// Patterns that cannot be read, or not by every engine, or cost too much.
const ODD_PATTERNS: &[&str] = &["[", "(?=x)", "a{1000}{1000}"];
/// Formats of texts.
const FORMATS: &[&str] = &[
    "date-time",
    "date",
    "duration",
    "byte",
    "ipv4",
    "ipv6",
    "cidr",
    "uuid",
    "uri",
    "email",
    "hostname",
    "mac",
    "isbn",
    "creditcard",
];
/// Formats of numbers, and words that are none.
const ODD_FORMATS: &[&str] =
    &["int32", "int64", "float", "double", "hexcolor", "rgbcolor", "quantity", "password", "x"];

/// An expression that often compiles, about `self` of any type.
fn rule() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        8 => proptest::sample::select(vec!["dyn(self)", "dyn(oldSelf)", "dyn(self).a", "dyn(self)[0]", "dyn(1)", "dyn('x')", "dyn([])", "dyn({})"])
            .prop_map(str::to_owned),
        4 => proptest::sample::select(vec![
            "self", "oldSelf", "self.a", "self.spec", "self.spec.size", "self[0]", "self['a']", "true", "null", "0", "1", "-1", "1u", "0.0", "1.5e300",
            "9223372036854775807", "-9223372036854775808", "'x'", "''", "b'x'", "[]", "[1, 2]", "{}", "{'a': 1}", "type(self)", "int", "has(self.a)",
            "duration('1h')", "timestamp('2020-01-01T00:00:00Z')", "quantity('1Gi')", "optional.none()", "r'\\d+'", "'''long'''",
            "timestamp('9999-12-31T23:59:59Z')", "duration('-2562047h')", "url('https://x/')", "'é\u{301}'",
        ]).prop_map(str::to_owned),
        1 => text().prop_map(|text| format!("{text:?}")),
    ];
    let expression = leaf.prop_recursive(5, 24, 3, |inner| {
        let operator = proptest::sample::select(vec!["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"]);
        let function = proptest::sample::select(vec![
            "size", "int", "uint", "double", "string", "bytes", "bool", "duration", "timestamp", "quantity", "isQuantity", "dyn", "type", "!", "-", "url", "isURL",
            "semver", "isSemver",
        ]);
        let method = proptest::sample::select(vec![
            "startsWith", "endsWith", "contains", "matches", "find", "findAll", "split", "replace", "indexOf", "join", "substring", "charAt", "lowerAscii",
            "trim", "isSorted", "sum", "min", "max", "sub", "add", "isGreaterThan", "compareTo", "getFullYear", "getHours", "orValue", "format", "asInteger",
            "sign", "reverse", "flatten", "lastIndexOf", "major", "minor", "patch", "isLessThan",
        ]);
        let macros = proptest::sample::select(vec!["all", "exists", "exists_one", "map", "filter", "transformList", "bind"]);
        prop_oneof![
            4 => (inner.clone(), operator, inner.clone()).prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            3 => (function, inner.clone()).prop_map(|(name, a)| format!("{name}({a})")),
            3 => (inner.clone(), method, vec(inner.clone(), 0..3)).prop_map(|(a, name, list)| format!("{a}.{name}({})", list.join(", "))),
            3 => (inner.clone(), macros, inner.clone()).prop_map(|(a, name, b)| format!("{a}.{name}(x, {b})")),
            1 => (inner.clone(), macros_of_two(), inner.clone()).prop_map(|(a, name, b)| format!("{a}.{name}(i, x, {b})")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            2 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            1 => (inner.clone(), key()).prop_map(|(a, name)| format!("{a}.?{name}")),
            1 => vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            1 => (inner.clone(), inner).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
        ]
    });
    let noise = prop_oneof![
        any::<String>(),
        "[()\\[\\]{}.,'\"!&|?:a-z0-9 ]{0,40}",
        proptest::sample::select(vec!["(", "[", "!", "-", "{1:", "self.", "a?", "[1,"])
            .prop_map(|piece| piece.repeat(3_000)),
        proptest::sample::select(vec!["1+", "true&&", "self.all(x,", "'a'+"])
            .prop_map(|piece| format!("{}1", piece.repeat(300))),
    ];
    // What is dynamic passes the type checker, and a comparison is what a rule must be.
    let question = (expression.clone(), proptest::sample::select(vec!["==", "!=", "<", "in"]), expression.clone())
        .prop_map(|(a, operator, b)| format!("dyn({a}) {operator} dyn({b})"));
    let simple = proptest::sample::select(vec![
        "self == oldSelf",
        "self == self",
        "dyn(self).size() > 0",
        "dyn(self).all(x, x == x)",
        "dyn(self).exists(x, dyn(self)[x] == x)",
        "string(dyn(self)) != ''",
        "dyn(self).matches('(a|b)*c')",
        "dyn(self) + dyn(self) == dyn(self)",
        "dyn(self) * 9223372036854775807 > 0",
        "-dyn(self) < 0",
        "dyn(self) / 0 == 1",
        "dyn(self) % 0 == 1",
        "int(dyn(self)) == 1",
        "duration(dyn(self)) > duration('0s')",
        "timestamp(dyn(self)) + duration('9999h') > timestamp('2000-01-01T00:00:00Z')",
        "dyn(self).map(x, [x, x, x]).size() > 1",
        "dyn(self).map(x, dyn(self).map(y, dyn(self).map(z, [x, y, z]))).size() > 1",
        "quantity(dyn(self)).add(1).isGreaterThan(quantity('1'))",
        "dyn(self).all(i, x, i == x)",
        "dyn(self).transformList(i, x, [i, x]).size() > 0",
        "dyn(self).transformMap(i, x, i != x, [x, x]) != {}",
        "dyn(self).transformMapEntry(i, x, {x: i}) != {}",
        "semver(dyn(self), true).isLessThan(semver('1.0.0'))",
        "isSemver(dyn(self))",
        "dyn(self).substring(1) == ''",
        "dyn(self).charAt(1) == ''",
        "dyn(self).split('').join('') == dyn(self)",
        "dyn(self).replace('', 'x') != ''",
        "dyn(self).findAll('.').size() >= 0",
        "has(dyn(self).a) || !has(dyn(self).a)",
        "dyn(self)[-1] == 1",
        "dyn(self)[9223372036854775807] == 1",
    ]);
    prop_oneof![6 => simple.prop_map(str::to_owned), 4 => question, 1 => expression, 1 => noise]
}

fn macros_of_two() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["all", "exists", "existsOne", "transformList", "transformMap", "transformMapEntry"])
}

fn rules() -> impl Strategy<Value = Value> {
    let odd = proptest::option::weighted(0.05, any_json());
    let one = (rule(), proptest::option::weighted(0.2, rule()), odd).prop_map(|(rule, message, odd)| {
        let mut one = json!({"rule": rule});
        if let Some(message) = message {
            one["messageExpression"] = message.into();
        }
        if let Some(odd) = odd {
            let place = ["optionalOldSelf", "fieldPath", "reason", "message"][odd.to_string().len() % 4];
            one[place] = if place == "fieldPath" { ".spec.a['b']".into() } else { odd };
        }
        one
    });
    vec(one, 1..2).prop_map(Value::from)
}

/// A keyword and its argument; most of them where they belong.
fn keyword() -> impl Strategy<Value = (String, Value)> {
    let number = prop_oneof![
        (-2..5_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from)
    ];
    let count = proptest::sample::select(vec![
        "maxLength",
        "minLength",
        "maxItems",
        "minItems",
        "maxProperties",
        "minProperties",
    ]);
    let pattern = proptest::sample::select([PATTERNS, ODD_PATTERNS].concat());
    let format = proptest::sample::select([FORMATS, ODD_FORMATS].concat());
    let flag = proptest::sample::select(vec![
        "nullable",
        "uniqueItems",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    ]);
    prop_oneof![
        4 => rules().prop_map(|rules| ("x-kubernetes-validations".into(), rules)),
        2 => (count, -1..5_i64).prop_map(|(name, count)| (name.into(), count.into())),
        1 => (proptest::sample::select(vec!["maximum", "minimum", "multipleOf"]), number).prop_map(|(name, value)| (name.into(), value)),
        1 => pattern.prop_map(|pattern| ("pattern".into(), pattern.into())),
        1 => format.prop_map(|format| ("format".into(), format.into())),
        1 => vec(any_json(), 0..3).prop_map(|values| ("enum".into(), values.into())),
        2 => any_json().prop_map(|value| ("default".into(), value)),
        1 => (flag, any::<bool>()).prop_map(|(name, flag)| (name.into(), flag.into())),
        1 => vec(key(), 0..3).prop_map(|names| ("required".into(), names.into())),
        1 => proptest::sample::select(vec!["atomic", "set", "map", "x"]).prop_map(|kind| ("x-kubernetes-list-type".into(), kind.into())),
        1 => proptest::sample::select(vec!["atomic", "granular", "x"]).prop_map(|kind| ("x-kubernetes-map-type".into(), kind.into())),
        1 => vec(key(), 0..2).prop_map(|names| ("x-kubernetes-list-map-keys".into(), names.into())),
        1 => (proptest::sample::select(vec!["allOf", "anyOf", "oneOf", "not"]), any_json()).prop_map(|(name, value)| (name.into(), value)),
        1 => (key(), any_json()),
    ]
}

/// The keywords that belong to a type.
fn fitting(kind: &'static str) -> BoxedStrategy<(String, Value)> {
    let counted = |names: Vec<&'static str>| {
        (proptest::sample::select(names), 0..5_i64).prop_map(|(name, count)| (name.to_owned(), Value::from(count)))
    };
    let own = match kind {
        "string" => {
            let pattern = proptest::sample::select(PATTERNS);
            let format = proptest::sample::select(FORMATS);
            prop_oneof![
                counted(vec!["maxLength", "minLength"]),
                pattern.prop_map(|pattern| ("pattern".to_owned(), Value::from(pattern))),
                format.prop_map(|format| ("format".to_owned(), Value::from(format))),
                text().prop_map(|text| ("default".to_owned(), Value::from(text))),
                vec(text().prop_map(Value::from), 1..3).prop_map(|values| ("enum".to_owned(), Value::from(values))),
            ]
            .boxed()
        }
        "integer" | "number" => prop_oneof![
            (proptest::sample::select(vec!["maximum", "minimum", "multipleOf"]), 1..i64::MAX)
                .prop_map(|(name, value)| (name.to_owned(), Value::from(value))),
            (0..9_i64).prop_map(|value| ("default".to_owned(), Value::from(value))),
            proptest::sample::select(vec!["int32", "int64", "float", "double"])
                .prop_map(|format| ("format".to_owned(), Value::from(format))),
        ]
        .boxed(),
        "array" => prop_oneof![
            counted(vec!["maxItems", "minItems"]),
            proptest::sample::select(vec!["atomic", "set"])
                .prop_map(|kind| ("x-kubernetes-list-type".to_owned(), Value::from(kind))),
            Just(("default".to_owned(), json!([]))),
        ]
        .boxed(),
        "object" => prop_oneof![
            counted(vec!["maxProperties", "minProperties"]),
            Just(("x-kubernetes-map-type".to_owned(), Value::from("atomic"))),
            Just(("x-kubernetes-preserve-unknown-fields".to_owned(), Value::from(true))),
            Just(("default".to_owned(), json!({}))),
        ]
        .boxed(),
        _ => Just(("default".to_owned(), Value::from(true))).boxed(),
    };
    let nullable = any::<bool>().prop_map(|flag| ("nullable".to_owned(), Value::from(flag)));
    let rules = rules().prop_map(|rules| ("x-kubernetes-validations".to_owned(), rules));
    prop_oneof![40 => own, 4 => nullable, 12 => rules, 1 => keyword()].boxed()
}

fn decorated(kind: &'static str) -> impl Strategy<Value = Map<String, Value>> {
    vec(fitting(kind), 0..2).prop_map(move |keywords| {
        let mut schema = Map::from_iter(keywords);
        schema.insert("type".into(), kind.into());
        schema
    })
}

fn with(mut schema: Map<String, Value>, name: &str, value: Value) -> Value {
    schema.insert(name.into(), value);
    Value::Object(schema)
}

fn schema() -> impl Strategy<Value = Value> {
    let free = json!({"x-kubernetes-preserve-unknown-fields": true});
    let keyed = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "a": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        }},
    });
    let scalars = proptest::sample::select(vec!["string", "integer", "number", "boolean"]);
    let leaf = prop_oneof![
        8 => scalars.prop_flat_map(decorated).prop_map(Value::Object),
        1 => Just(free),
        1 => Just(json!({"x-kubernetes-int-or-string": true})),
        1 => Just(json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true})),
        2 => Just(keyed),
    ];
    leaf.prop_recursive(4, 12, 3, move |inner| {
        let names = proptest::sample::select(vec!["a", "b", "spec", "size", "name", "items", "x-y", "self", "in", "é"]);
        let fields = vec((names, inner.clone()), 0..4);
        let fields = fields.prop_map(|fields| fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect());
        prop_oneof![
            2 => (decorated("object"), fields).prop_map(|(schema, fields)| with(schema, "properties", Value::Object(fields))),
            1 => (decorated("array"), inner.clone()).prop_map(|(schema, items)| with(schema, "items", items)),
            1 => (decorated("object"), inner).prop_map(|(schema, values)| with(schema, "additionalProperties", values)),
        ]
    })
}

/// Paths of columns, of selectable fields, of the scale.
fn json_path() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        ".spec",
        ".a",
        ".metadata",
        ".name",
        "[0]",
        "[*]",
        "[-1:]",
        "[::-1]",
        "['a']",
        "..",
        ".*",
        "[?(@.a==1)]",
        "[?(",
        "{",
        "}",
        "[1:9999999999999]",
        "\\.",
        "[0,1]",
        "$",
        "@",
        "é",
    ]);
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// A kind of the group `fuzz.test`, with this schema below the root that every definition has.
fn definition() -> impl Strategy<Value = Value> {
    let columns =
        vec((json_path(), proptest::sample::select(vec!["string", "integer", "date", "number", "boolean"])), 0..3);
    let extras =
        (columns, proptest::option::of(json_path()), proptest::option::of(json_path()), proptest::option::of(rules()));
    (schema(), schema(), schema(), extras, edits(2), proptest::bool::weighted(0.1)).prop_map(|(spec, status, other, extras, edits, wrong)| {
        let (columns, scale, selectable, rules) = extras;
        let mut root = json!({"type": "object", "properties": {"spec": spec, "status": status, "a": other}});
        if let Some(rules) = rules {
            root["x-kubernetes-validations"] = rules;
        }
        let columns = columns.iter().map(|(path, kind)| json!({"name": "c", "type": kind, "jsonPath": path})).collect::<Vec<_>>();
        let mut version = json!({
            "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": root},
            "subresources": {"status": {}}, "additionalPrinterColumns": columns,
        });
        if let Some(path) = scale {
            version["subresources"]["scale"] = json!({"specReplicasPath": ".spec.size", "statusReplicasPath": path, "labelSelectorPath": path});
        }
        if let Some(path) = selectable {
            version["selectableFields"] = json!([{"jsonPath": path}]);
        }
        let spec = json!({
            "group": "fuzz.test", "scope": "Namespaced", "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [version],
        });
        let spec = if wrong { changed(spec, edits) } else { spec };
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.fuzz.test"}, "spec": spec,
        })
    })
}

pub(super) fn defined() -> impl Strategy<Value = Defined> {
    let field = proptest::sample::select(vec!["a", "b", "spec", "status", "size", "name", "items"]);
    let part = any_json().prop_recursive(3, 12, 3, move |inner| {
        let fields = vec((field.clone(), inner.clone()), 0..4)
            .prop_map(|pairs| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        prop_oneof![2 => fields.prop_map(Value::Object), 1 => vec(inner, 0..3).prop_map(Value::from)]
    });
    let object = (part.clone(), part.clone(), part).prop_map(|(spec, status, other)| {
        json!({"apiVersion": "fuzz.test/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": spec, "status": status, "a": other})
    });
    (definition(), vec(object, 1..3), vec(any::<u64>(), 1..4)).prop_map(|(definition, objects, seeds)| Defined {
        definition,
        objects,
        seeds,
    })
}
