//! Rules, as users of Kubernetes write them.

use serde_json::{Value, json};

use super::stack;
use crate::{FieldError, Structural};

mod types;

fn schema(rules: &Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": rules, "properties": {
        "memory": {"type": "string"}, "limit": {"type": "string"}, "replicas": {"type": "integer"}, "ratio": {"type": "number"},
        "max-size": {"type": "integer"}, "in": {"type": "string"}, "size": {"x-kubernetes-int-or-string": true},
        "start": {"type": "string", "format": "date-time"}, "timeout": {"type": "string", "format": "duration"},
        "names": {"type": "array", "items": {"type": "string"}}, "numbers": {"type": "array", "items": {"type": "integer"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "mounts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {
            "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "path": {"type": "string"}}}},
    }}}})
}

fn compiled(rules: &Value) -> Structural {
    Structural::compile(&schema(rules)).unwrap_or_else(|errors| panic!("{rules}: {}", texts(&errors).join("; ")))
}

fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn holds(rule: &str, spec: &Value) -> bool {
    let errors = compiled(&json!([{"rule": rule, "message": "no"}])).validate(&json!({"spec": spec}), None);
    assert!(errors.iter().all(|error| error.detail == "no"), "{rule}: {:?}", texts(&errors));
    errors.is_empty()
}

#[test]
fn the_functions_that_users_of_kubernetes_know_are_there() {
    let spec = json!({
        "memory": "2Gi", "limit": "4Gi", "replicas": 3, "ratio": 1, "max-size": 7, "in": "x", "size": 5, "start": "2026-03-01T10:00:00Z",
        "timeout": "1h30m", "names": ["a", "bb", "ccc"], "numbers": [1, 2, 3], "labels": {"a.b/c": "d"}, "mounts": [{"name": "home"}],
    });
    for rule in [
        "self.replicas > 2 && self.replicas in [1, 3]",
        "self.ratio == 1.0",
        "self.max__dash__size == 7 && self.__in__ == 'x'",
        "type(self.size) == int ? self.size == 5 : false",
        "quantity(self.memory).isLessThan(quantity(self.limit))",
        "quantity(self.limit).isGreaterThan(quantity('500m')) && quantity('2Gi').compareTo(quantity('2147483648')) == 0",
        "isQuantity('1e3') && !isQuantity('x') && quantity('50k').asInteger() == 50000 && quantity('1').add(quantity('1')).sign() == 1",
        "quantity('1500m').isInteger() == false && quantity('1500m').asApproximateFloat() > 1.4 && quantity('3').sub(1) == quantity('2')",
        "self.memory.matches('^[0-9]+(Mi|Gi)$') && matches(self.memory, '^2')",
        "self.names.all(n, n.size() <= 3) && self.names.exists(n, n == 'bb') && self.names.exists_one(n, n.startsWith('c'))",
        "self.names.map(n, n + '!') == ['a!', 'bb!', 'ccc!'] && self.names.filter(n, size(n) > 1).size() == 2",
        "self.names.map(n, n.size() > 1, n.upperAscii()) == ['BB', 'CCC']",
        "self.names.join(',') == 'a,bb,ccc' && 'a,b'.split(',') == ['a', 'b'] && 'Abc'.lowerAscii() == 'abc'",
        "'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3 && 'hello'.replace('l', 'L', 1) == 'heLlo' && 'hello'.contains('ell')",
        "'hello'.substring(1, 3) == 'el' && ' x '.trim() == 'x' && 'hello'.endsWith('lo') && 'abc'.charAt(1) == 'b'",
        "'abc 123'.find('[0-9]+') == '123' && 'a1b2'.findAll('[0-9]') == ['1', '2']",
        "'%s has %d'.format(['x', 3]) == 'x has 3'",
        "self.numbers.isSorted() && self.numbers.sum() == 6 && self.numbers.min() == 1 && self.numbers.max() == 3 && self.numbers.indexOf(2) == 1",
        "has(self.labels) && 'a.b/c' in self.labels && self.labels['a.b/c'] == 'd' && !has(self.mounts[0].path)",
        "self.labels.all(key, key.startsWith('a'))",
        "self.start < timestamp('2027-01-01T00:00:00Z') && self.start.getFullYear() == 2026",
        "self.timeout > duration('1h') && self.timeout == duration('90m')",
        "self.mounts.all(m, self.mounts.exists_one(o, o.name == m.name))",
        "isIP('10.0.0.1') && !isIP('x') && isURL('https://a.fr')",
        "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0/08') && !isIP('::ffff:1.2.3.4') && isIP('fd00::1')",
        "ip('10.0.0.1').family() == 4 && ip('fd00::1').family() == 6 && ip('127.0.0.1').isLoopback() && string(ip('::0001')) == '::1'",
        "ip.isCanonical('::1') && !ip.isCanonical('::01') && ip('0.0.0.0').isUnspecified() && ip('10.0.0.1') == ip('10.0.0.1')",
        "ip('169.254.0.1').isLinkLocalUnicast() && ip('224.0.0.1').isLinkLocalMulticast() && ip('10.1.2.3').isGlobalUnicast()",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3') && cidr('::/0').prefixLength() == 0",
        "cidr('10.0.0.0/8').containsIP('10.9.9.9') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1')) && !cidr('0.0.0.0/0').containsIP('::1')",
        "cidr('10.0.0.0/8').containsCIDR('10.9.0.0/16') && !cidr('10.0.0.0/8').containsCIDR(cidr('10.0.0.0/7')) && string(cidr('10.0.0.0/8')) == '10.0.0.0/8'",
        "url('https://u@a.fr:8443/x%20y?q=1&q=2').getHost() == 'a.fr:8443' && url('https://a.fr:8443/').getPort() == '8443'",
        "url('HTTPS://[::1]:80/a').getHostname() == '::1' && url('https://a.fr').getScheme() == 'https' && url('/x/y?z').getEscapedPath() == '/x/y'",
        "url('https://a.fr/?q=1&q=a+b%21').getQuery()['q'] == ['1', 'a b!'] && isURL('/path') && !isURL('a.fr') && !isURL('https://a b') && !isURL('https://a:b/')",
        "!format.dns1123Label().validate('abc').hasValue() && format.dns1123Label().validate('Abc').value().size() == 1",
        "format.named('labelValue').value().validate('a b').hasValue() && !format.named('nothing').hasValue()",
        "!format.dns1123LabelPrefix().validate('abc-').hasValue() && !format.qualifiedName().validate('a.b/C_d').hasValue() && format.uuid().validate('x').hasValue()",
        "sets.contains(self.numbers, [3, 1]) && sets.equivalent(self.numbers, [3, 2, 1, 1]) && !sets.intersects(self.numbers, [7])",
        "'a1b2'.findAll('[0-9]', 1) == ['1']",
        "self.?memory.orValue('1Gi') == '2Gi' && !optional.none().hasValue()",
        "self.?memory.optMap(m, m + 'B').orValue('') == '2GiB' && !self.?nothing.optMap(m, m).hasValue()",
        "self.?memory.optFlatMap(m, optional.of(m.size())).value() == 3",
        "self.numbers.all(i, n, n == i + 1) && self.names.exists(i, n, i == 1 && n == 'bb') && self.names.existsOne(i, n, n.size() == i + 1 && i > 1)",
        "self.labels.all(k, v, k == 'a.b/c' && v == 'd') && !self.labels.exists(k, v, k == v) && self.labels.exists_one(k, v, v == 'd')",
        "!self.names.all(i, n, i < 2) && self.mounts.all(i, m, m.name == 'home' && i == 0) && [].all(i, v, false) && !{}.exists(k, v, true)",
        "self.names.transformList(i, n, string(i) + n) == ['0a', '1bb', '2ccc'] && self.names.transformList(i, n, i > 0, n) == ['bb', 'ccc']",
        "self.names.transformMap(i, n, n.size()) == {0: 1, 1: 2, 2: 3} && self.labels.transformMap(k, v, v + '!') == {'a.b/c': 'd!'}",
        "self.names.transformMap(i, n, i == 1, n) == {1: 'bb'} && self.names.transformMapEntry(i, n, {n: i}) == {'a': 0, 'bb': 1, 'ccc': 2}",
        "self.names.transformMapEntry(i, n, i < 1, {n: i}) == {'a': 0} && [1, 2].all(i, a, [3, 4].all(j, b, b > a && i + j < 3))",
        "{'b': 1, 'a': 2}.transformList(k, v, k) == ['a', 'b'] && 'x' in self.names.transformMapEntry(i, n, {'x' + string(i): n}) == false",
        "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3 && semver('1.0.0') == semver('1.0.0')",
        "isSemver('1.0.0-rc.1+b') && !isSemver('v1.0') && isSemver('v1.0', true) && semver('v1.0', true) == semver('1.0.0') && !isSemver('x', true)",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0').isGreaterThan(semver('1.0.0-rc')) && semver('1.0.0').compareTo(semver('0.9.9')) == 1",
    ] {
        assert!(holds(rule, &spec), "{rule}");
    }
    assert!(!holds("self.replicas > 5", &spec));
}

#[test]
fn a_broken_rule_gives_its_message_reason_and_path() {
    let at = |rule: Value| {
        texts(&compiled(&json!([rule])).validate(&json!({"spec": {"replicas": 9, "memory": "1Gi"}}), None))
    };
    assert_eq!(
        at(json!({"rule": "self.replicas < 5"})),
        [r#"spec: Invalid value: "object": failed rule: self.replicas < 5"#]
    );
    assert_eq!(
        at(json!({"rule": "self.replicas < 5", "message": "too many", "fieldPath": ".replicas"})),
        [r#"spec.replicas: Invalid value: "object": too many"#]
    );
    assert_eq!(
        at(
            json!({"rule": "self.replicas < 5", "messageExpression": "'%d is more than 4'.format([self.replicas])", "reason": "FieldValueForbidden"})
        ),
        ["spec: Forbidden: 9 is more than 4"]
    );
    assert_eq!(
        at(json!({"rule": "self.replicas < 5", "message": "plain", "messageExpression": "self.limit + '!'"})),
        [r#"spec: Invalid value: "object": plain"#],
        "a message that cannot be computed gives way to the fixed one"
    );
    assert_eq!(
        at(json!({"rule": "self.limit == '1'"})),
        [r#"spec: Invalid value: "object": no such key: limit evaluating rule: self.limit == '1'"#]
    );
}

#[test]
fn transition_rules_hold_for_updates_of_what_can_be_found_again() {
    let immutable = compiled(&json!([{"rule": "self.memory == oldSelf.memory", "message": "memory is immutable"}]));
    let (old, new) = (json!({"spec": {"memory": "1Gi"}}), json!({"spec": {"memory": "2Gi"}}));
    assert_eq!(immutable.validate(&new, None), []);
    assert_eq!(immutable.validate(&old, Some(&old)), []);
    assert_eq!(texts(&immutable.validate(&new, Some(&old))), [r#"spec: Invalid value: "object": memory is immutable"#]);

    let optional = compiled(
        &json!([{"rule": "oldSelf.hasValue() || self.replicas == 0", "optionalOldSelf": true, "message": "starts at 0"}]),
    );
    assert_eq!(optional.validate(&json!({"spec": {"replicas": 1}}), None).len(), 1);
    assert_eq!(optional.validate(&json!({"spec": {"replicas": 1}}), Some(&json!({"spec": {"replicas": 0}}))), []);

    let mut keyed = schema(&json!([]));
    keyed["properties"]["spec"]["properties"]["mounts"]["items"]["x-kubernetes-validations"] =
        json!([{"rule": "!has(oldSelf.path) || self.path == oldSelf.path", "message": "a path stays"}]);
    let keyed = Structural::compile(&keyed).expect("accepted");
    let old = json!({"spec": {"mounts": [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b"}]}});
    let new = json!({"spec": {"mounts": [{"name": "c", "path": "/c"}, {"name": "b", "path": "/other"}, {"name": "a", "path": "/a"}]}});
    assert_eq!(texts(&keyed.validate(&new, Some(&old))), [r#"spec.mounts[1]: Invalid value: "object": a path stays"#]);
}

#[test]
fn an_unchanged_value_that_breaks_a_new_rule_is_tolerated() {
    let rules = compiled(&json!([{"rule": "self.replicas < 5", "message": "too many"}]));
    let old = json!({"metadata": {"name": "a"}, "spec": {"replicas": 9}});
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(rules.validate(&new, Some(&old)), []);
    new["spec"]["memory"] = json!("1Gi");
    assert_eq!(rules.validate(&new, Some(&old)).len(), 1);
}

#[test]
fn the_root_sees_the_name_and_nothing_else_of_metadata() {
    let mut root = schema(&json!([]));
    root["x-kubernetes-validations"] = json!([{"rule": "self.metadata.name.size() < 4 && !has(self.metadata.labels) && self.kind == 'A'", "message": "name too long"}]);
    let root = Structural::compile(&root).expect("accepted");
    let named = |name: &str| json!({"kind": "A", "metadata": {"name": name, "labels": {"a": "b"}}});
    assert_eq!(root.validate(&named("abc"), None), []);
    assert_eq!(texts(&root.validate(&named("abcd"), None)), [r#"<nil>: Invalid value: "object": name too long"#]);
}

#[test]
fn rules_that_cannot_work_are_refused_with_the_schema() {
    for (rule, words) in [
        (json!({"rule": "self.replicas >"}), "compilation failed"),
        (json!({"rule": "self.replica > 1"}), "undefined field 'replica'"),
        (json!({"rule": "self.mounts.all(m, m.nam == 'a')"}), "undefined field 'nam'"),
        (json!({"rule": "self.names.all(i, n.m, true)"}), "argument must be a simple name"),
        (json!({"rule": "self.names.all(i, i, true)"}), "different names"),
        (json!({"rule": "self.mounts.all(i, m, m.nam == 'a')"}), "undefined field 'nam'"),
        (json!({"rule": "other > 1"}), "undeclared reference to 'other'"),
        (json!({"rule": "launch(self)"}), "undeclared reference to 'launch'"),
        (json!({"rule": "self.memory.matches('(')"}), "compilation failed"),
        (json!({"rule": "self.memory.format([1]) == ''"}), "literal template"),
        (json!({"rule": ""}), "rule is not specified"),
        (json!({"rule": "true", "reason": "Sad"}), "supported values"),
        (json!({"rule": "true", "fieldPath": ".nothing"}), "does not refer to a valid field"),
        (json!({"rule": "true", "optionalOldSelf": true}), "oldSelf is not used"),
        (json!({"rule": "(".repeat(1000)}), "nests too deeply"),
        (json!({"rule": "!".repeat(1000)}), "nests too deeply"),
        (json!({"rule": "1+".repeat(1000) + "1 > 0"}), "nests too deeply"),
        (json!({"rule": "a".repeat(10_000)}), "longer than"),
    ] {
        let errors = Structural::compile(&schema(&json!([rule]))).expect_err("refused");
        let text = texts(&errors).join("; ");
        assert!(text.contains(words), "{words}: {text}");
    }
    let mut uncorrelatable = schema(&json!([]));
    uncorrelatable["properties"]["spec"]["properties"]["names"]["items"]["x-kubernetes-validations"] =
        json!([{"rule": "self == oldSelf"}]);
    assert!(Structural::compile(&uncorrelatable).is_err());
}

#[test]
fn ordinary_rules_need_half_a_thread() {
    let sum = format!("self.replicas{} > 0", " + 1".repeat(stack::ORDINARY_DEPTH - 4));
    let loops = "[1, 2].all(a, a > 0)".to_owned();
    for rule in [sum, loops] {
        let schema = compiled(&json!([{"rule": rule}]));
        assert!(!schema.root().has_deep_rules, "{rule}");
        let evaluate = move || schema.validate(&json!({"spec": {"replicas": 1}}), None);
        // An overflow ends the process, and so the test.
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(evaluate).unwrap();
        assert_eq!(thread.join().unwrap(), []);
    }
}

#[test]
fn expensive_rules_end() {
    let names: Vec<String> = (0..3000).map(|index| format!("name-{index}")).collect();
    let object = json!({"spec": {"names": names}});
    let cubed = "self.names.all(a, self.names.all(b, self.names.all(c, a != b || b != c || a == c)))";
    let errors = compiled(&json!([{"rule": cubed}])).validate(&object, None);
    assert!(texts(&errors)[0].contains("cost limit exceeded"), "{:?}", texts(&errors));

    let doubling = |times: usize| json!([{"rule": format!("[self.memory]{}[0].size() > 0", ".map(x, x + x + x + x)".repeat(times))}]);
    assert!(Structural::compile(&schema(&doubling(40))).is_err());
    let errors = compiled(&doubling(12)).validate(&json!({"spec": {"memory": "x"}}), None);
    assert!(texts(&errors)[0].contains("too large"), "{:?}", texts(&errors));

    let deepest = format!("self.replicas{} > 0", " + 1".repeat(90));
    assert_eq!(compiled(&json!([{"rule": deepest}])).validate(&json!({"spec": {"replicas": 1}}), None), []);
    let many = vec!["self.replicas > 0"; 90].join(" && ");
    assert_eq!(compiled(&json!([{"rule": many}])).validate(&json!({"spec": {"replicas": 1}}), None), []);

    let large = "x".repeat(1 << 19);
    let squared = "self.memory.replace('', self.memory).size() > 0";
    let errors = compiled(&json!([{"rule": squared}])).validate(&json!({"spec": {"memory": large}}), None);
    assert!(texts(&errors)[0].contains("too large"), "{:?}", texts(&errors));
}

#[test]
fn sets_and_maps_have_no_order() {
    let keyed = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "in": {"type": "integer", "default": 1}, "path": {"type": "string"}}});
    let schema = |rule: &str| {
        json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": rule}], "properties": {
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "in"], "items": keyed},
            "plain": {"type": "array", "items": {"type": "string"}},
        }}}})
    };
    let one =
        json!({"set": ["x", "y"], "plain": ["x", "y"], "map": [{"name": "a", "path": "1"}, {"name": "b", "in": 2}]});
    let two =
        json!({"set": ["y", "x"], "plain": ["y", "x"], "map": [{"name": "b", "in": 2}, {"name": "a", "path": "1"}]});
    let other = json!({"set": ["y", "z"], "plain": ["x"], "map": [{"name": "b", "in": 2}, {"name": "a", "path": "2"}]});
    for (rule, new, old, holds) in [
        ("self.set == oldSelf.set", &two, &one, true),
        ("self.map == oldSelf.map", &two, &one, true),
        ("self.plain == oldSelf.plain", &two, &one, false),
        ("self.set == oldSelf.set", &other, &one, false),
        ("self.map == oldSelf.map", &other, &one, false),
        ("self.set != oldSelf.set && self.map != oldSelf.map", &other, &one, true),
        ("self.set == ['x', 'y'] && ['y', 'x'] == self.set && self.set != ['x']", &two, &one, true),
        ("self.set + oldSelf.set == ['x', 'y', 'z'] && (self.set + ['a', 'a']).size() == 3", &other, &one, true),
        ("(self.map + oldSelf.map).size() == 2 && (self.map + oldSelf.map)[1].path == '1'", &other, &one, true),
        ("self.plain + oldSelf.plain == ['x', 'x', 'y']", &other, &one, true),
        ("self.set[0] == 'y' && 'x' in self.set && size(self.set) == 2 && self.set.join('') == 'yx'", &two, &one, true),
        (
            "self.set.map(s, s + '!') == ['y!', 'x!'] && self.set.all(s, s in oldSelf.set) && type(self.set) == list",
            &two,
            &one,
            true,
        ),
        ("self.map.exists_one(m, m.name == 'a' && m.path == '1') && self.set.isSorted() == false", &two, &one, true),
    ] {
        let compiled =
            Structural::compile(&schema(rule)).unwrap_or_else(|errors| panic!("{rule}: {}", texts(&errors).join("; ")));
        let errors = compiled.validate(&json!({"spec": new}), Some(&json!({"spec": old})));
        assert_eq!(errors.is_empty(), holds, "{rule}: {:?}", texts(&errors));
    }
}
