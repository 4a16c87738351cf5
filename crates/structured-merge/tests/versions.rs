//! Owners in versions of different form: `hostPort` of the first is `host` and `port` of the second, `replicas` is `size`.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]
#![expect(clippy::needless_pass_by_value, reason = "a table reads better without borrows")]

use essaim_structured_merge::{
    ApplyContext, Error, ManagedFields, Schema, UpdateContext, Versions, apply_across, update_across,
};
use serde_json::{Value, json};

const V1: &str = "garage.test/v1";
const V2: &str = "garage.test/v2";

/// Both versions, and whether anybody can convert between them.
struct Both {
    first: Schema,
    second: Schema,
    works: bool,
}

impl Both {
    fn new() -> Self {
        let schema = |fields: Value| {
            Schema::from_openapi(
                &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}),
            )
        };
        let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
        let first = schema(json!({"hostPort": text, "replicas": number, "color": text}));
        let second = schema(json!({"host": text, "port": number, "size": number, "color": text}));
        Self { first, second, works: true }
    }

    fn form(&self, version: &str) -> &Schema {
        if version == V1 { &self.first } else { &self.second }
    }

    fn apply(
        &self,
        live: Option<&Value>,
        manager: &str,
        version: &str,
        spec: Value,
        force: bool,
    ) -> Result<Value, Error> {
        let context = ApplyContext {
            manager,
            api_version: version,
            subresource: None,
            now: "2026-01-01T00:00:00Z",
            force,
            schema: self.form(version),
            reset_fields: &[],
            known_versions: &[V1, V2],
        };
        let live = live.map(|live| convert(live, version));
        apply_across(live.as_ref(), &object(version, &spec), &context, self).map(|applied| applied.object)
    }

    fn update(&self, live: &Value, manager: &str, version: &str, change: impl Fn(&mut Value)) -> Result<Value, Error> {
        let context = UpdateContext {
            manager,
            api_version: version,
            subresource: None,
            now: "2026-01-01T00:00:00Z",
            schema: self.form(version),
            reset_fields: &[],
            known_versions: &[V1, V2],
        };
        let live = convert(live, version);
        let mut new = live.clone();
        change(&mut new["spec"]);
        update_across(Some(&live), &new, &context, self)
    }
}

impl Versions for Both {
    fn schema(&self, version: &str) -> Option<&Schema> {
        Some(self.form(version))
    }

    fn convert(&self, object: &Value, version: &str) -> Result<Option<Value>, Error> {
        assert_eq!(object["metadata"].get("managedFields"), None);
        Ok(self.works.then(|| convert(object, version)))
    }
}

fn convert(object: &Value, version: &str) -> Value {
    let mut converted = object.clone();
    if object["apiVersion"] == version {
        return converted;
    }
    converted["apiVersion"] = version.into();
    // A removal is looked at in each version: what is left meanwhile may be without a spec.
    let Some(spec) = converted.get_mut("spec").and_then(Value::as_object_mut) else { return converted };
    let mut rename = |from: &str, to: &str| spec.remove(from).map(|value| spec.insert(to.into(), value));
    if version == V2 {
        rename("replicas", "size");
        if let Some(Value::String(both)) = spec.remove("hostPort") {
            let (host, port) = both.split_once(':').expect("host and port");
            spec.insert("host".into(), host.into());
            spec.insert("port".into(), port.parse::<u16>().expect("a number").into());
        }
        return converted;
    }
    rename("size", "replicas");
    if let (Some(host), Some(port)) = (spec.remove("host"), spec.remove("port")) {
        spec.insert("hostPort".into(), format!("{}:{port}", host.as_str().expect("a text")).into());
    }
    converted
}

fn object(version: &str, spec: &Value) -> Value {
    json!({"apiVersion": version, "kind": "Gate", "metadata": {"name": "a"}, "spec": spec})
}

/// Each owner with its version and its fields.
fn owners(object: &Value) -> Vec<String> {
    let managed = ManagedFields::decode(&object["metadata"]["managedFields"]).expect("owners");
    let owner = managed.entries().iter().map(|entry| {
        let version = entry.api_version.trim_start_matches("garage.test/");
        let fields: Vec<_> = entry.fields.paths().iter().map(|path| path.to_string().replace(".spec.", "")).collect();
        format!("{} {version} {}", entry.manager, fields.join(" "))
    });
    owner.collect()
}

#[test]
fn an_apply_conflicts_with_an_owner_in_another_version() {
    let both = Both::new();
    let live = both.apply(None, "ann", V1, json!({"hostPort": "h:1", "replicas": 2}), false).expect("new");
    let Err(Error::Conflicts(conflicts)) = both.apply(Some(&live), "bob", V2, json!({"host": "i"}), false) else {
        panic!("bob changes what ann owns");
    };
    let texts: Vec<_> = conflicts.iter().map(|one| one.path.to_string()).collect();
    assert_eq!(texts, [".spec.hostPort"], "in the words of the owner");
    let taken = both.apply(Some(&live), "bob", V2, json!({"host": "i"}), true).expect("forced");
    assert_eq!(taken["spec"], json!({"host": "i", "port": 1, "size": 2}));
    assert_eq!(owners(&taken), ["ann v1 replicas", "bob v2 host"]);
}

#[test]
fn the_same_value_in_another_version_is_owned_together() {
    let both = Both::new();
    let live = both.apply(None, "ann", V1, json!({"hostPort": "h:1"}), false).expect("new");
    let shared = both.apply(Some(&live), "bob", V2, json!({"host": "h", "port": 1}), false).expect("no conflict");
    assert_eq!(owners(&shared), ["ann v1 hostPort", "bob v2 host port"]);
}

#[test]
fn who_applies_in_another_version_gives_up_what_is_no_longer_said() {
    let both = Both::new();
    let live =
        both.apply(None, "ann", V1, json!({"hostPort": "h:1", "replicas": 2, "color": "red"}), false).expect("new");
    let moved = both.apply(Some(&live), "ann", V2, json!({"host": "h", "port": 1}), false).expect("moved");
    assert_eq!(moved["spec"], json!({"host": "h", "port": 1}));
    assert_eq!(owners(&moved), ["ann v2 host port"]);
}

#[test]
fn what_others_own_in_their_version_stays_when_its_applier_lets_go() {
    let both = Both::new();
    let live = both.apply(None, "ann", V1, json!({"hostPort": "h:1", "replicas": 2}), false).expect("new");
    let shared = both.apply(Some(&live), "bob", V2, json!({"size": 2}), false).expect("no conflict");
    let left = both.apply(Some(&shared), "ann", V1, json!({"hostPort": "h:1"}), false).expect("less");
    assert_eq!(left["spec"], json!({"hostPort": "h:1", "replicas": 2}), "bob owns the size");
    let gone = both.apply(Some(&left), "bob", V2, json!({"color": "red"}), false).expect("other");
    assert_eq!(gone["spec"], json!({"host": "h", "port": 1, "color": "red"}), "ann owns host and port");
    assert_eq!(owners(&gone), ["ann v1 hostPort", "bob v2 color"]);
}

#[test]
fn an_update_takes_over_what_it_changes_in_every_version() {
    let both = Both::new();
    let live = both.apply(None, "ann", V1, json!({"hostPort": "h:1", "replicas": 2}), false).expect("new");
    let changed = both.update(&live, "bob", V2, |spec| spec["port"] = 3.into()).expect("updated");
    assert_eq!(owners(&changed), ["ann v1 replicas", "bob v2 port"]);
    let same = both.update(&changed, "eve", V1, |_| ()).expect("nothing");
    assert_eq!(owners(&same), ["ann v1 replicas", "bob v2 port"]);
}

#[test]
fn without_conversion_updates_go_on_and_applies_do_not() {
    let mut both = Both::new();
    let live = both.apply(None, "ann", V1, json!({"hostPort": "h:1"}), false).expect("new");
    both.works = false;
    let changed = both.update(&live, "bob", V2, |spec| spec["port"] = 3.into()).expect("updated");
    assert_eq!(owners(&changed), ["ann v1 hostPort", "bob v2 port"]);
    let refused = both.apply(Some(&live), "ann", V2, json!({"host": "h"}), true);
    assert_eq!(refused, Err(Error::Unconverted(V1.into())));
}

#[test]
fn who_owns_a_whole_in_another_version_is_seen_in_it() {
    let both = Both::new();
    let empty = both.apply(None, "ann", V1, json!({}), false).expect("new");
    let filled = both.apply(Some(&empty), "bob", V2, json!({"color": "red"}), false).expect("nobody owned the color");
    assert_eq!(filled["spec"], json!({"color": "red"}));
    assert_eq!(owners(&filled), ["ann v1 .spec", "bob v2 color"]);
}
