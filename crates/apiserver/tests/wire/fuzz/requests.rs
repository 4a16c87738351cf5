//! Hostile requests: methods, paths, queries, headers and bodies.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::values::{
    any_json, changed, continue_token, damaged, edits, key, managed_fields, object, protobuf, text, yaml,
};

/// A request that may be sent, as far as HTTP is concerned.
#[derive(Clone)]
pub(super) struct Hostile {
    pub(super) method: String,
    pub(super) path: String,
    /// Names and values, before they are encoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl std::fmt::Debug for Hostile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, path, query, headers, body } = self;
        write!(f, "{method} {path} {query:?} {headers:?} b\"{}\"", body.escape_ascii())
    }
}

impl Hostile {
    fn new(method: &str, path: impl Into<String>) -> Self {
        let (method, path) = (method.to_owned(), path.into());
        Self { method, path, query: Vec::new(), headers: Vec::new(), body: Vec::new() }
    }

    fn with(mut self, media_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.headers.push(("content-type", media_type.into()));
        self.body = body.into();
        self
    }

    fn asking(mut self, query: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        self.query.extend(query.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// The address as it stands in the head of the request.
    pub(super) fn uri(&self) -> String {
        let pairs = self.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        format!("{}?{}", self.path, pairs.collect::<Vec<_>>().join("&"))
    }
}

fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"];

const SEGMENTS: [&str; 36] = [
    "api",
    "apis",
    "v1",
    "v2",
    "namespaces",
    "default",
    "none",
    "widgets",
    "one",
    "status",
    "scale",
    "finalize",
    "toys.test",
    "secrets",
    "configmaps",
    "events",
    "apiextensions.k8s.io",
    "customresourcedefinitions",
    "widgets.toys.test",
    "openapi",
    "v3",
    "version",
    "readyz",
    "livez",
    "ping",
    "..",
    ".",
    "%2e%2e",
    "%2F",
    "%00",
    "%ff",
    "%",
    "%zz",
    "%C3%A9",
    "",
    "rbac.authorization.k8s.io",
];

const PARAMETERS: [&str; 22] = [
    "watch",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "labelSelector",
    "fieldSelector",
    "timeoutSeconds",
    "dryRun",
    "fieldManager",
    "force",
    "fieldValidation",
    "pretty",
    "propagationPolicy",
    "gracePeriodSeconds",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "includeObject",
    "orphanDependents",
    "verbose",
    "exclude",
    "hash",
];

const ARGUMENTS: [&str; 24] = [
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "500",
    "18446744073709551615",
    "Exact",
    "NotOlderThan",
    "All",
    "Strict",
    "Warn",
    "Ignore",
    "Object",
    "None",
    "Metadata",
    "Background",
    "metadata.name=one",
    "a in (b)",
    "\u{0}",
    "",
    "é",
    "x",
];

fn parameter() -> impl Strategy<Value = (String, String)> {
    let name = prop_oneof![9 => proptest::sample::select(&PARAMETERS[..]).prop_map(str::to_owned), 1 => text()];
    let value = prop_oneof![6 => proptest::sample::select(&ARGUMENTS[..]).prop_map(str::to_owned), 1 => text()];
    (name, value)
}

/// Any path with any method. What would delete only tries to, since later requests need what is there.
pub(super) fn anywhere() -> impl Strategy<Value = Hostile> {
    let segment = prop_oneof![
        12 => proptest::sample::select(&SEGMENTS[..]).prop_map(str::to_owned),
        1 => text().prop_map(|text| encoded(&text)),
        1 => any::<String>(),
    ];
    let made_up = vec(segment.clone(), 0..9).prop_map(|segments| format!("/{}", segments.join("/")));
    let roots = vec![
        "/api/v1/namespaces/default",
        "/apis/toys.test/v1/namespaces/default/widgets",
        "/apis/toys.test/v1",
        "/openapi/v3/apis",
    ];
    let below = (proptest::sample::select(roots), vec(segment, 0..4))
        .prop_map(|(root, segments)| format!("{root}/{}", segments.join("/")));
    let path = prop_oneof![below, made_up];
    let body = prop_oneof![2 => Just(Vec::new()), 1 => any_json().prop_map(|value| value.to_string().into_bytes())];
    (proptest::sample::select(&METHODS[..]), path, vec(parameter(), 0..5), body).prop_map(
        |(method, path, query, body)| {
            let first = (method == "DELETE").then_some(("dryRun", "All"));
            let mut request = Hostile::new(method, path).asking(first).asking(query);
            request.body = body;
            request
        },
    )
}

/// An object that is created or replaced, in one of the formats.
pub(super) fn body() -> impl Strategy<Value = Hostile> {
    let types = vec![
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json;charset=utf-8",
        "text/yaml",
        "",
        "application/x-www-form-urlencoded",
        "application/apply-patch+yaml",
        "é",
    ];
    let json = object().prop_map(|(path, value)| (path, "application/json", value.to_string().into_bytes()));
    let as_yaml = object()
        .prop_map(|(path, value)| (path, "application/yaml", serde_yaml::to_string(&value).unwrap().into_bytes()));
    let odd_yaml = (object(), yaml()).prop_map(|((path, _), text)| (path, "application/yaml", text.into_bytes()));
    let config_maps = "/api/v1/namespaces/default/configmaps";
    let binary = protobuf().prop_map(move |bytes| (config_maps, "application/vnd.kubernetes.protobuf", bytes));
    let bytes = (object(), proptest::sample::select(types), any::<Vec<u8>>())
        .prop_map(|((path, _), media_type, bytes)| (path, media_type, bytes));
    let kinds = prop_oneof![4 => json, 2 => as_yaml, 2 => odd_yaml, 3 => binary, 1 => bytes];
    let damaged = kinds.prop_flat_map(|(path, media_type, bytes)| (Just(path), Just(media_type), damaged(Just(bytes))));
    let options = vec(parameter(), 0..2);
    (damaged, any::<bool>(), options).prop_map(|((path, media_type, bytes), create, options)| {
        let (method, path) = if create { ("POST", path.to_owned()) } else { ("PUT", format!("{path}/one")) };
        Hostile::new(method, path).with(media_type, bytes).asking(options)
    })
}

/// `DeleteOptions` that would delete if they were not wrong; on what another request makes again.
pub(super) fn deletion() -> impl Strategy<Value = Hostile> {
    let options = json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"], "propagationPolicy": "Foreground", "gracePeriodSeconds": 0,
        "preconditions": {"uid": "x", "resourceVersion": "1"}, "orphanDependents": null,
    });
    let changed = edits(4).prop_map(move |edits| changed(options.clone(), edits).to_string().into_bytes());
    let json = damaged(changed).prop_map(|body| ("application/json", body));
    let binary = protobuf().prop_map(|body| ("application/vnd.kubernetes.protobuf", body));
    (prop_oneof![json, binary], vec(parameter(), 0..2)).prop_map(|((media_type, body), query)| {
        Hostile::new("DELETE", "/api/v1/namespaces/default/configmaps/one").with(media_type, body).asking(query)
    })
}

fn operation() -> impl Strategy<Value = Value> {
    let pointers = vec![
        "",
        "/",
        "/spec",
        "/spec/tags",
        "/spec/tags/-",
        "/spec/tags/0",
        "/spec/tags/99999999999999999999",
        "/spec/tags/01",
        "/metadata",
        "/metadata/labels/a~1b",
        "/metadata/labels/a~2",
        "/metadata/resourceVersion",
        "/metadata/managedFields",
        "/metadata/name",
        "/kind",
        "/data",
        "/data/a",
        "/rules",
        "/rules/0/verbs",
        "spec",
        "/status/conditions/-",
        "/metadata/finalizers",
        "/metadata/ownerReferences",
    ];
    let pointer = prop_oneof![
        9 => proptest::sample::select(pointers).prop_map(str::to_owned),
        1 => key().prop_map(|key| format!("/metadata/{key}")),
    ];
    let op = proptest::sample::select(vec!["add", "remove", "replace", "move", "copy", "test", "grow"]);
    (op, pointer.clone(), pointer, any_json())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}))
}

/// All patch types against objects that are there.
pub(super) fn patch() -> impl Strategy<Value = Hostile> {
    let json = prop_oneof![9 => vec(operation(), 0..6).prop_map(Value::from), 1 => any_json()];
    let json = json.prop_map(|value| ("application/json-patch+json", None, value.to_string()));
    let whole =
        |media_type: &'static str| object().prop_map(move |(path, value)| (media_type, Some(path), value.to_string()));
    let loose = (proptest::sample::select(vec!["merge", "strategic-merge"]), any_json()).prop_map(|(kind, value)| {
        let media_type =
            if kind == "merge" { "application/merge-patch+json" } else { "application/strategic-merge-patch+json" };
        (media_type, None, json!({"metadata": value, "spec": value, "data": value, "rules": value}).to_string())
    });
    let apply_yaml = yaml().prop_map(|text| ("application/apply-patch+yaml", None, text));
    let kinds = prop_oneof![
        3 => json,
        2 => whole("application/merge-patch+json"),
        2 => whole("application/strategic-merge-patch+json"),
        4 => whole("application/apply-patch+yaml"),
        2 => loose,
        1 => apply_yaml,
    ];
    let standing = vec![
        "/apis/toys.test/v1/namespaces/default/widgets",
        "/api/v1/namespaces/default/configmaps",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
    ];
    let part = prop_oneof![6 => Just(""), 1 => Just("/status"), 1 => Just("/scale")];
    let manager =
        prop_oneof![9 => proptest::sample::select(vec!["one", "other", "third"]).prop_map(str::to_owned), 1 => text()];
    (kinds, proptest::sample::select(standing), part, manager, any::<bool>(), vec(parameter(), 0..2)).prop_map(
        |((media_type, path, body), standing, part, manager, force, query)| {
            let mut request =
                Hostile::new("PATCH", format!("{}/one{part}", path.unwrap_or(standing))).with(media_type, body);
            request = request.asking([("fieldManager", manager)]);
            if media_type.contains("apply") && force {
                request = request.asking([("force", "true")]);
            }
            request.asking(query)
        },
    )
}

/// Writes that bring `managedFields` along, and applies that have to merge with what was kept of them.
pub(super) fn managed() -> impl Strategy<Value = Hostile> {
    let path = "/apis/toys.test/v1/namespaces/default/widgets/one";
    let widget = |fields: &Value| {
        json!({
            "apiVersion": "toys.test/v1", "kind": "Widget", "metadata": {"name": "one", "managedFields": fields}, "spec": {"color": "red", "tags": ["x"]},
        })
    };
    let patched = managed_fields().prop_map(move |fields| {
        Hostile::new("PATCH", path)
            .with("application/merge-patch+json", json!({"metadata": {"managedFields": fields}}).to_string())
    });
    let replaced = managed_fields()
        .prop_map(move |fields| Hostile::new("PUT", path).with("application/json", widget(&fields).to_string()));
    let applied = (edits(3), proptest::sample::select(vec!["one", "other", ""])).prop_map(move |(edits, manager)| {
        let mut value = changed(json!({"color": "blue", "size": 2, "tags": ["x", "z"]}), edits);
        value = json!({"apiVersion": "toys.test/v1", "kind": "Widget", "spec": value});
        let request = Hostile::new("PATCH", path).with("application/apply-patch+yaml", value.to_string());
        request.asking([("fieldManager", manager), ("force", "true")])
    });
    prop_oneof![patched, replaced, applied]
}

/// Selectors, tokens and revisions of lists and watches.
pub(super) fn selection() -> impl Strategy<Value = Hostile> {
    let word = prop_oneof![
        8 => proptest::sample::select(vec![
            "a", "b.c/d", "=", "==", "!=", " in ", " notin ", "(", ")", ",", "!", ">", "<", " ", "metadata.name", "metadata.namespace", "spec.color",
            "status.x", "one", "\\", "\\,", "\\=", "1", "é", "\u{0}", "(((((((", "type", "involvedObject.name",
        ]).prop_map(str::to_owned),
        1 => text(),
    ];
    let selector = vec(word, 0..10).prop_map(|words| words.concat());
    let revision = prop_oneof![
        40 => proptest::sample::select(vec!["", "0", "1", "2", "-1", "x", "1.0", " 1", "0x1", "18446744073709551616", "é"]).prop_map(str::to_owned),
        20 => (1..20_u64).prop_map(|revision| revision.to_string()),
        // A moment to come is waited for.
        1 => proptest::sample::select(vec!["9223372036854775807", "18446744073709551615", "99999999"]).prop_map(str::to_owned),
    ];
    let paths = vec![
        "/apis/toys.test/v1/namespaces/default/widgets",
        "/apis/toys.test/v1/widgets",
        "/api/v1/configmaps",
        "/api/v1/namespaces/default/events",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    ];
    let chosen = (
        proptest::option::of(selector.clone()),
        proptest::option::of(selector),
        proptest::option::of(revision),
        proptest::option::of(continue_token()),
    );
    let further = vec(parameter(), 0..3);
    (proptest::sample::select(paths), chosen, further).prop_map(|(path, (labels, fields, revision, token), further)| {
        Hostile::new("GET", path)
            .asking(labels.map(|text| ("labelSelector", text)))
            .asking(fields.map(|text| ("fieldSelector", text)))
            .asking(revision.map(|text| ("resourceVersion", text)))
            .asking(token.map(|text| ("continue", text)))
            .asking(further)
    })
}

/// What the answer should look like, and other headers that are read.
pub(super) fn accepting() -> impl Strategy<Value = Hostile> {
    let piece = prop_oneof![
        8 => proptest::sample::select(vec![
            "application/json", "application/yaml", "*/*", "application/*", "text/html", "application/vnd.kubernetes.protobuf", ";as=Table", ";v=v1",
            ";v=v1beta1", ";v=v2", ";g=meta.k8s.io", ";as=PartialObjectMetadata", ";as=PartialObjectMetadataList", ";as=APIGroupDiscoveryList",
            ";g=apidiscovery.k8s.io", ",", ";q=0.5", ";q=nan", ";q=-1", ";q=1e99", ";q=", ";stream=watch", ";", "=", " ", "é",
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        ]).prop_map(str::to_owned),
        1 => text(),
    ];
    let accept = vec(piece, 0..10).prop_map(|pieces| pieces.concat());
    let table = Just("application/json;as=Table;v=v1;g=meta.k8s.io".to_owned());
    let other = (
        proptest::sample::select(vec![
            "user-agent",
            "audit-id",
            "if-none-match",
            "authorization",
            "content-type",
            "host",
        ]),
        text(),
    );
    let paths = vec![
        "/apis/toys.test/v1/namespaces/default/widgets",
        "/apis/toys.test/v1/namespaces/default/widgets/one",
        "/api",
        "/apis",
        "/apis/toys.test/v1",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/toys.test/v1",
        "/version",
        "/",
        "/readyz",
        "/api/v1/events",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    ];
    let accept = prop_oneof![3 => accept, 1 => table];
    (proptest::sample::select(paths), accept, proptest::option::of(other), vec(parameter(), 0..3)).prop_map(
        |(path, accept, other, query)| {
            let mut request = Hostile::new("GET", path).asking(query);
            request.headers.push(("accept", accept));
            request.headers.extend(other);
            request
        },
    )
}
