//! What the check of types refuses, and what it must not.

use serde_json::{Value, json};

use crate::Structural;

/// The forms that definitions of other projects have.
const SCHEMA: &str = r#"{"type": "object", "properties": {
        "metadata": {"type": "object"},
        "spec": {"type": "object", "properties": {
            "name": {"type": "string", "maxLength": 63}, "mode": {"type": "string", "enum": ["A", "B"]}, "replicas": {"type": "integer"},
            "minimum": {"type": "integer", "format": "int32"}, "ratio": {"type": "number"}, "enabled": {"type": "boolean"},
            "port": {"x-kubernetes-int-or-string": true}, "note": {"type": "string", "nullable": true},
            "since": {"type": "string", "format": "date-time"}, "every": {"type": "string", "format": "duration"},
            "secret": {"type": "string", "format": "byte"}, "uri": {"type": "string", "format": "uri"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "any": {"x-kubernetes-preserve-unknown-fields": true},
            "half": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "string"}}},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "limits": {"type": "object", "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true}},
            "groups": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            "hosts": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            "weights": {"type": "array", "items": {"type": "integer"}},
            "rows": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
            "ref": {"type": "object", "properties": {"kind": {"type": "string"}, "group": {"type": "string"}, "name": {"type": "string"}, "port": {"type": "integer"}}},
            "other": {"type": "object", "properties": {"kind": {"type": "string"}}},
            "listeners": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "protocol": {"type": "string"}, "port": {"type": "integer"}, "hostname": {"type": "string"},
                "tls": {"type": "object", "properties": {"mode": {"type": "string"}, "certificates": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}}}}}}
        }},
        "status": {"type": "object", "properties": {"conditions": {"type": "array", "items": {"type": "object", "properties": {"type": {"type": "string"}, "status": {"type": "string"}}}}}}
    }}"#;

fn schema(rules: &Value) -> Value {
    let mut schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    schema["x-kubernetes-validations"] = rules.clone();
    schema
}

fn check(rule: &str) -> Result<Structural, String> {
    let compiled = Structural::compile(&schema(&json!([{"rule": rule, "message": "no"}])));
    compiled.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// Rules in the manner of well-known definitions, and others that hold for some object. None may be refused.
#[test]
fn rules_that_can_hold_are_accepted() {
    for rule in [
        // Gateways and routes.
        "self.spec.listeners.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
        "self.spec.listeners.all(l, (l.protocol == 'HTTPS' && has(l.tls)) ? (l.tls.mode == '' || l.tls.mode == 'Terminate') : true)",
        "self.spec.listeners.all(l, l.protocol in ['TCP', 'UDP'] ? (!has(l.hostname) || l.hostname == '') : true)",
        "self.spec.listeners.all(a, self.spec.listeners.exists_one(b, b.name == a.name))",
        "self.spec.listeners.all(l1, !has(l1.port) || self.spec.listeners.exists_one(l2, l1.port == l2.port && (has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) && !has(l2.hostname))))",
        "self.spec.listeners.exists(l, l.tls.mode == 'Terminate' ? size(l.tls.certificates) > 0 : false)",
        "(size(self.spec.ref.group) == 0 && self.spec.ref.kind == 'Service') ? has(self.spec.ref.port) : true",
        "has(self.spec.ref) || !has(self.spec.other)",
        "self.spec.hosts.all(h, !h.contains('*') || (h.startsWith('*.') && h.size() > 2 && h.indexOf('*', 1) == -1))",
        // Certificates.
        "self.spec.every > duration('5m') && self.spec.every < duration('8760h')",
        "[has(self.spec.name), has(self.spec.uri), has(self.spec.secret)].exists_one(x, x)",
        "[has(self.spec.name), has(self.spec.uri)].filter(x, x == true).size() == 1",
        "self.spec.secret.size() > 0 && self.spec.secret == b'abc'",
        // Clusters and machines.
        "!has(oldSelf.spec.name) || has(self.spec.name)",
        "self.spec.replicas >= oldSelf.spec.replicas",
        "self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "self.kind == 'Cluster' && self.apiVersion.startsWith('v1')",
        "self.spec.replicas in [1, 3, 5] && self.spec.replicas % 2 == 1",
        "self.spec.minimum <= self.spec.replicas && -self.spec.minimum < 0",
        "self.status.conditions.filter(c, c.type == 'Ready').all(c, c.status in ['True', 'False'])",
        // Pools of nodes.
        "self.spec.limits.all(x, type(self.spec.limits[x]) == string ? isQuantity(self.spec.limits[x]) : true)",
        "!('cpu' in self.spec.limits) || quantity(string(self.spec.limits['cpu'])).isGreaterThan(quantity('1'))",
        "self.spec.labels.all(k, !(k in ['a/b', 'c/d']) && self.spec.labels[k].size() < 64)",
        "self.spec.labels.all(k, k.find('^([^/]+)').endsWith('example.com') == false)",
        "self.spec.groups.all(k, self.spec.groups[k].all(v, v != k))",
        "duration(self.spec.name) >= duration('0s') || self.spec.name == 'Never'",
        "self.spec.every.getMinutes() + self.spec.since.getHours() > 1 && self.spec.since.getDayOfWeek('Europe/Paris') < 5",
        // What is anything.
        "self.spec.port == 80 || self.spec.port == '80'",
        "type(self.spec.port) == int ? self.spec.port > 0 : self.spec.port.matches('^[a-z]+$')",
        "self.spec.port + 1 > 2 && self.spec.port * 2 == 4 && 'a' + self.spec.port == 'a1'",
        "self.spec.free.some.thing > 1 && self.spec.free['x'][0].y && self.spec.free.all(k, k != 'z')",
        "self.spec.any == 'x' || self.spec.any == 1 || self.spec.any.z || self.spec.any[0] || size(self.spec.any) > 1",
        "self.spec.half.known == 'x' && self.spec.half.unknown == 7",
        "self.spec.template.metadata.labels['a'] == 'b' && self.spec.template.kind == 'Pod' && self.spec.template.spec.containers.size() > 0",
        "dyn(self.spec.name) == 1 || dyn(self.spec.replicas) == 'x' || self.spec.replicas == dyn('1')",
        "[1, 'a', true].exists(x, x == 'a') && {'a': 1, 'b': 'c'}['b'] == 'c'",
        "self.spec.note == null || self.spec.note != 'x' && null != self.spec.replicas",
        // Numbers.
        "self.spec.ratio > 1 && self.spec.ratio * 2.0 <= 10.0 && self.spec.replicas < 2.5 && self.spec.ratio == 1.0",
        "double(self.spec.replicas) / self.spec.ratio > 1.0 && int(self.spec.ratio) + self.spec.replicas > 2",
        "uint(self.spec.replicas) > 1u && self.spec.weights.sum() == 100 && self.spec.weights.min() >= 0",
        "self.spec.weights.map(w, w * 2).all(w, w % 2 == 0) && self.spec.rows.all(r, r.sum() > 0) && self.spec.rows[0][1] == 1",
        "self.spec.weights.map(w, double(w)).sum() < 1.5 && self.spec.weights.map(w, w > 1, string(w)).join(',') != ''",
        // Times, texts, lists.
        "self.spec.since + self.spec.every > timestamp('2026-01-01T00:00:00Z') && self.spec.since - self.spec.since == duration('0s')",
        "self.spec.name + '-' + self.spec.mode == 'a-A' && self.spec.name < self.spec.mode && self.spec.enabled != false",
        "self.spec.hosts + ['x'] != self.spec.hosts && ['x'] + [] == ['x'] && [] + self.spec.weights == self.spec.weights",
        "self.spec.hosts == ['a'] && self.spec.labels == {'a': 'b'} && self.spec.labels != {} && [] == self.spec.weights",
        "self.spec.name.split('.').all(p, p.size() < 10) && self.spec.name.split('.')[0] == 'a' && self.spec.hosts.indexOf('a') == 0",
        "sets.contains(self.spec.hosts, ['a']) && sets.intersects(self.spec.weights, [1]) && self.spec.hosts.isSorted()",
        "'%s: %d of %s'.format([self.spec.name, self.spec.replicas, self.spec.hosts]) != '' && 'x'.format([]) == 'x'",
        "self.spec.ref == self.spec.ref && (self.spec.enabled ? self.spec.ref : self.spec.other).kind == 'x'",
        "url(self.spec.uri).getScheme() == 'https' && url(self.spec.uri).getQuery()['a'][0] == 'b' && isURL(self.spec.uri)",
        "cidr('10.0.0.0/8').containsIP(self.spec.name) && ip(self.spec.name).family() == 4 && cidr('10.0.0.0/8').containsIP(cidr('10.0.0.0/8').ip())",
        "!format.dns1123Label().validate(self.spec.name).hasValue() && format.named('uri').hasValue()",
        "semver(self.spec.name).isLessThan(semver('2.0.0')) && semver(self.spec.name, self.spec.enabled).major() < 3",
        "quantity(self.spec.name).add(1).sub(quantity('1')).isInteger() && quantity('1').sign() == 1",
        // What may be absent.
        "self.spec.?name.orValue('') == '' && self.?spec.?ref.?kind.orValue('x') == 'x' && self.spec.?ref.kind.hasValue()",
        "self.spec.labels[?'a'].orValue('b') == 'b' && self.spec.hosts[?0].hasValue() && self.spec.?hosts[0].orValue('') == ''",
        "self.spec.?replicas.optMap(r, r + 1).orValue(0) < 5 && optional.of(1).or(optional.none()).value() == 1",
        "self.spec.?weights.orValue([]).sum() < 9 && self.spec.?labels.orValue({}).all(k, k != '')",
        // Loops with two variables.
        "self.spec.hosts.all(i, h, i == 0 || h != self.spec.hosts[i - 1]) && self.spec.labels.exists(k, v, k == v)",
        "self.spec.listeners.transformMapEntry(i, l, {l.name: l.port})['a'] > 1 && self.spec.weights.transformList(i, w, w * i).sum() > 0",
        "self.spec.labels.transformMap(k, v, v.size() > 1, v + '!').all(k, v, v.endsWith('!'))",
        // Names that are shadowed.
        "self.spec.weights.all(self, self > 0) && self.spec.hosts.all(ip, ip.startsWith('a')) && self.spec.hosts.all(format, format != '')",
    ] {
        if let Err(words) = check(rule) {
            panic!("{rule}: {words}");
        }
    }
}

#[test]
fn rules_that_can_hold_for_no_object_are_refused() {
    for (rule, words) in [
        ("self.spec.nme == 'a'", "undefined field 'nme'"),
        ("has(self.spec.ref.nme)", "undefined field 'nme'"),
        ("self.spec.listeners.all(l, l.tls.certificates.all(c, c.nam != ''))", "undefined field 'nam'"),
        ("self.spec.listeners[0].nam == ''", "undefined field 'nam'"),
        ("self.spec.listeners.filter(l, l.port > 1).exists(l, l.nam == '')", "undefined field 'nam'"),
        ("(has(self.spec.ref) ? self.spec.ref : self.spec.ref).nam == ''", "undefined field 'nam'"),
        ("self.spec.?ref.nam.hasValue()", "undefined field 'nam'"),
        ("oldSelf.spec.nme == 'a'", "undefined field 'nme'"),
        ("self.spec.name.first == 'a'", "type 'string' does not support field selection"),
        ("self.spec.hosts.first == 'a'", "type 'list(string)' does not support field selection"),
        ("self.spec.replicas == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("self.spec.name > 1", "found no matching overload for '_>_' applied to '(string, int)'"),
        ("self.spec.name + 1 == 'a1'", "found no matching overload for '_+_' applied to '(string, int)'"),
        ("self.spec.replicas * 1.5 > 2.0", "found no matching overload for '_*_' applied to '(int, double)'"),
        ("self.spec.ratio % 2.0 == 0.0", "found no matching overload for '_%_' applied to '(double, double)'"),
        ("self.spec.name - 'a' == ''", "found no matching overload for '_-_' applied to '(string, string)'"),
        ("-self.spec.name == 'a'", "found no matching overload for '-_' applied to '(string)'"),
        ("!self.spec.name", "found no matching overload for '!_' applied to '(string)'"),
        ("self.spec.enabled && self.spec.name", "found no matching overload for '_&&_' applied to '(bool, string)'"),
        ("self.spec.name ? true : false", "found no matching overload for '_?_:_' applied to '(string, bool, bool)'"),
        (
            "(self.spec.enabled ? 1 : 'a') == 1",
            "found no matching overload for '_?_:_' applied to '(bool, int, string)'",
        ),
        ("self.spec.replicas in ['a']", "found no matching overload for '@in' applied to '(int, list(string))'"),
        ("'a' in self.spec.name", "found no matching overload for '@in' applied to '(string, string)'"),
        ("1 in self.spec.labels", "found no matching overload for '@in' applied to '(int, map(string, string))'"),
        ("self.spec.hosts['a'] == 'a'", "found no matching overload for '_[_]' applied to '(list(string), string)'"),
        ("self.spec.labels[1] == 'a'", "found no matching overload for '_[_]' applied to '(map(string, string), int)'"),
        ("self.spec.replicas[0] == 1", "found no matching overload for '_[_]' applied to '(int, int)'"),
        ("self.spec.hosts.all(h, h)", "found no matching overload for '_&&_' applied to '(bool, string)'"),
        ("self.spec.hosts.exists_one(h, h)", "found no matching overload for '_?_:_' applied to '(string, int, int)'"),
        ("self.spec.hosts.all(h, h > 1)", "found no matching overload for '_>_' applied to '(string, int)'"),
        ("self.spec.hosts.all(i, h, h > 1)", "found no matching overload for '_>_' applied to '(string, int)'"),
        ("self.spec.hosts.all(i, h, i == 'a')", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("self.spec.labels.all(k, k > 1)", "found no matching overload for '_>_' applied to '(string, int)'"),
        (
            "self.spec.hosts.map(h, h.size()).exists(h, h == 'a')",
            "found no matching overload for '_==_' applied to '(int, string)'",
        ),
        ("self.spec.replicas.all(r, r > 1)", "expression of type 'int' cannot be range of a comprehension"),
        ("self.spec.replicas.startsWith('a')", "found no matching overload for 'startsWith' applied to 'int.(string)'"),
        ("self.spec.name.startsWith(1)", "found no matching overload for 'startsWith' applied to 'string.(int)'"),
        (
            "startsWith(self.spec.name, 'a')",
            "found no matching overload for 'startsWith' applied to '(string, string)'",
        ),
        ("self.spec.name.startsWith()", "found no matching overload for 'startsWith' applied to 'string.()'"),
        ("size(self.spec.replicas) > 1", "found no matching overload for 'size' applied to '(int)'"),
        ("self.spec.weights.join(',') == ''", "found no matching overload for 'join' applied to 'list(int).(string)'"),
        (
            "self.spec.since > '2026-01-01T00:00:00Z'",
            "found no matching overload for '_>_' applied to '(timestamp, string)'",
        ),
        ("self.spec.every == '5m'", "found no matching overload for '_==_' applied to '(duration, string)'"),
        ("quantity(self.spec.replicas).sign() == 1", "found no matching overload for 'quantity' applied to '(int)'"),
        ("quantity('1').isLessThan('2')", "applied to 'kubernetes.Quantity.(string)'"),
        ("semver('1.0.0').isLessThan(quantity('1'))", "applied to 'kubernetes.Semver.(kubernetes.Quantity)'"),
        ("ip.isCanonical(1)", "found no matching overload for 'ip.isCanonical' applied to '(int)'"),
        (
            "sets.contains(self.spec.name, [1])",
            "found no matching overload for 'sets.contains' applied to '(string, list(int))'",
        ),
        (
            "self.spec.?replicas.orValue('a') == 'a'",
            "found no matching overload for 'orValue' applied to 'optional_type(int).(string)'",
        ),
        ("self.spec.?replicas > 1", "found no matching overload for '_>_' applied to '(optional_type(int), int)'"),
        ("self.spec.name", "cel expression must evaluate to a bool"),
        ("self.spec.?enabled", "cel expression must evaluate to a bool"),
        ("self.spec.hosts.filter(h, h != '')", "cel expression must evaluate to a bool"),
    ] {
        let found = check(rule).expect_err(rule);
        assert!(found.contains(words), "{rule}: {found}");
        assert!(found.starts_with("x-kubernetes-validations[0].rule: Invalid value: "), "{found}");
    }
}

#[test]
fn a_message_is_a_text() {
    let with =
        |expression: &str| Structural::compile(&schema(&json!([{"rule": "true", "messageExpression": expression}])));
    for expression in ["'a'", "self.spec.name", "self.spec.any", "string(self.spec.replicas)", "self.spec.hosts[0]"] {
        assert!(with(expression).is_ok(), "{expression}");
    }
    for expression in
        ["1", "self.spec.replicas", "self.spec.hosts", "self.spec.nme", "self.spec.name + 1", "self.spec.enabled"]
    {
        let errors = with(expression).expect_err(expression);
        assert!(errors[0].to_string().starts_with("x-kubernetes-validations[0].messageExpression: "), "{}", errors[0]);
    }
}
