//! Bodies as clients send them, and as they should not.

use http::{HeaderMap, HeaderValue, header};
use k8s_pb::{
    api::{
        authorization::v1 as authorization,
        core::v1::{ConfigMap, Namespace, NamespaceCondition, NamespaceStatus},
    },
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, Time},
        runtime::{TypeMeta, Unknown},
    },
};
use prost::Message as _;
use serde_json::json;

use super::{delete_options, object, patch};
use crate::{registry::Patch, wire::query::Query};

fn typed(media_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))])
}

#[test]
fn no_content_type_means_json() {
    let document = object(&HeaderMap::new(), br#"{"a": 1, "b": 1.5}"#).unwrap();
    assert_eq!(document.value, json!({"a": 1, "b": 1.5}));
}

#[test]
fn whole_numbers_are_integers_however_they_are_written() {
    for (text, read) in [
        ("1.0", json!(1)),
        ("2e3", json!(2000)),
        ("-0.0", json!(0)),
        ("-0", json!(0)),
        ("-5.00", json!(-5)),
        ("1.5", json!(1.5)),
        ("9007199254740993", json!(9_007_199_254_740_993_i64)),
        ("-9223372036854775808.0", json!(i64::MIN)),
        ("9223372036854775807", json!(i64::MAX)),
        ("9223372036854775808", json!(9_223_372_036_854_775_808.0)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615.0)),
        ("1e300", json!(1e300)),
    ] {
        let document = object(&HeaderMap::new(), format!("[{text}]").as_bytes()).unwrap();
        assert_eq!(document.value[0], read, "{text}");
    }
    let yaml = object(&typed("application/yaml"), b"a: 1.0\nb: 1.5\nc: '1.0'\n").unwrap();
    assert_eq!(yaml.value, json!({"a": 1, "b": 1.5, "c": "1.0"}));
    let Ok(Patch::Json(operations)) =
        patch(&typed("application/json-patch+json"), br#"[{"op":"add","path":"/a","value":3.0}]"#, false)
    else {
        panic!("no patch")
    };
    assert_eq!(serde_json::to_value(operations).unwrap()[0]["value"], json!(3));
}

#[test]
fn keys_that_stand_twice_are_reported_with_their_paths() {
    let body = br#"{"spec": {"image": "a", "list": [{"x": 1, "x": 2}], "image": "b"}}"#;
    for media_type in ["application/json; charset=utf-8", "application/yaml"] {
        let document = object(&typed(media_type), body).unwrap();
        assert_eq!(document.duplicates, ["spec.list[0].x", "spec.image"], "{media_type}");
        assert_eq!(document.value["spec"]["image"], "b");
    }
}

#[test]
fn yaml_is_read_but_not_several_documents_or_bombs() {
    let yaml = |text: &str| object(&typed("application/yaml"), text.as_bytes());
    assert_eq!(yaml("a: [1, x, true, null]\nb:\n  c: 1\n  c: 2\n").unwrap().duplicates, ["b.c"]);
    assert_eq!(yaml("---\na: 1\n---\nb: 2\n").unwrap_err().code, 400);
    let bomb = (1..30).fold("a0: &a0 [x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
    assert_eq!(yaml(&bomb).unwrap_err().code, 400);
}

#[test]
fn hostile_json_is_refused() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [deep.as_str(), "", "{", "{} {}", "{\"a\": 1e999}", "\u{feff}{}"] {
        assert_eq!(object(&HeaderMap::new(), body.as_bytes()).unwrap_err().code, 400, "{body:.20}");
    }
    assert_eq!(object(&typed("application/cbor"), b"{}").unwrap_err().code, 415);
}

#[test]
fn patches_are_told_apart_by_media_type() {
    let merge = patch(&typed("application/merge-patch+json"), b"{\"a\": null}", false);
    assert!(matches!(merge, Ok(Patch::Merge(_))));
    let apply = patch(&typed("application/apply-patch+yaml"), b"{\"a\": 1}", false);
    assert!(matches!(apply, Ok(Patch::Apply(_))));
    assert!(matches!(patch(&typed("application/apply-patch+yaml"), b"a: 1", false), Ok(Patch::Apply(_))));
    let error = patch(&typed("application/strategic-merge-patch+json"), b"{}", false).unwrap_err();
    assert_eq!(error.code, 415);
    assert!(
        error
            .message
            .contains("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")
    );
    assert!(patch(&typed("application/strategic-merge-patch+json"), b"{}", true).is_ok());
    let long = format!("[{}]", vec![r#"{"op":"test","path":"/a","value":1}"#; 10_001].join(","));
    assert_eq!(patch(&typed("application/json-patch+json"), long.as_bytes(), false).unwrap_err().code, 413);
}

#[test]
fn delete_options_come_from_the_body_or_the_query() {
    let query = |text: &str| Query::parse(&format!("/x?{text}").parse().unwrap()).unwrap();
    let body =
        br#"{"kind":"DeleteOptions","propagationPolicy":"Foreground","preconditions":{"uid":"u"},"dryRun":["All"]}"#;
    let read = |body: &[u8], parameters: &str| {
        delete_options(&HeaderMap::new(), body, &query(parameters), &["example.dev/v1".to_owned()])
    };
    let options = read(body, "").unwrap();
    assert_eq!((options.propagation_policy.as_deref(), options.uid.as_deref()), (Some("Foreground"), Some("u")));
    assert!(options.dry_run);
    let options = read(b"", "propagationPolicy=Orphan&dryRun=All").unwrap();
    assert_eq!(options.propagation_policy.as_deref(), Some("Orphan"));
    assert!(options.dry_run);
    for general in ["", "v1", "meta.k8s.io/v1", "example.dev/v1"] {
        let body = format!(r#"{{"kind":"DeleteOptions","apiVersion":{general:?},"orphanDependents":true}}"#);
        assert_eq!(read(body.as_bytes(), "").unwrap().propagation_policy.as_deref(), Some("Orphan"), "{general}");
    }
}

#[test]
fn delete_options_that_are_not_understood_delete_nothing() {
    let query = |text: &str| Query::parse(&format!("/x?{text}").parse().unwrap()).unwrap();
    for (body, code) in [
        (r#"{"dryRun":"All"}"#, 400),
        (r#"{"dryRun":[1]}"#, 400),
        (r#"{"preconditions":{"uid":5}}"#, 400),
        (r#"{"preconditions":"uid"}"#, 400),
        (r#"{"preconditions":{"resourceVersion":5}}"#, 400),
        (r#"{"propagationPolicy":7}"#, 400),
        (r#"{"orphanDependents":"true"}"#, 400),
        (r#"{"gracePeriodSeconds":"now"}"#, 400),
        ("[]", 400),
        ("null", 400),
        (r#"{"kind":"Pod"}"#, 400),
        (r#"{"kind":7}"#, 400),
        (r#"{"apiVersion":"nope/v9","kind":"DeleteOptions"}"#, 400),
        (r#"{"propagationPolicy":"Never"}"#, 422),
        (r#"{"dryRun":["All","Some"]}"#, 422),
        (r#"{"propagationPolicy":"Background","orphanDependents":true}"#, 422),
    ] {
        let read = delete_options(&HeaderMap::new(), body.as_bytes(), &query(""), &[]);
        assert_eq!(read.map_err(|error| error.code).err(), Some(code), "{body}");
    }
    let both = query("propagationPolicy=Background&orphanDependents=true");
    assert_eq!(delete_options(&HeaderMap::new(), b"", &both, &[]).unwrap_err().code, 422);
}

fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let type_meta = Some(TypeMeta { api_version: Some(api_version.into()), kind: Some(kind.into()) });
    let unknown = Unknown { type_meta, raw: Some(raw.to_vec()), ..Unknown::default() };
    [b"k8s\0".as_slice(), &unknown.encode_to_vec()].concat()
}

#[test]
fn deeply_nested_bodies_are_refused_or_read_and_never_overflow_the_stack() {
    for levels in [60, 120, 1_000, 100_000] {
        for text in ["- ", "? ", "[", "{a: "] {
            let read = object(&typed("application/yaml"), text.repeat(levels).as_bytes());
            assert!(read.is_ok() || read.is_err_and(|error| error.code == 400), "{levels} times {text:?}");
        }
    }
}

#[test]
fn protobuf_bodies_become_the_same_json() {
    let metadata = ObjectMeta {
        name: Some("one".into()),
        generate_name: Some(String::new()),
        creation_timestamp: Some(Time::default()),
        ..ObjectMeta::default()
    };
    let map = ConfigMap {
        metadata: Some(metadata),
        data: [("a".into(), "b".into()), ("empty".into(), String::new())].into(),
        binary_data: [("bin".into(), b"\xff\x00".to_vec())].into(),
        ..ConfigMap::default()
    };
    let document =
        object(&typed("application/vnd.kubernetes.protobuf"), &envelope("v1", "ConfigMap", &map.encode_to_vec()));
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"},
        "data": {"a": "b", "empty": ""}, "binaryData": {"bin": "/wA="},
    });
    assert_eq!(document.unwrap().value, expected);
}

#[test]
fn protobuf_namespaces_keep_their_status() {
    let condition = NamespaceCondition {
        r#type: Some("Tested".into()),
        status: Some("True".into()),
        last_transition_time: Some(Time { seconds: Some(1), nanos: None }),
        ..NamespaceCondition::default()
    };
    let status = NamespaceStatus { phase: Some("Active".into()), conditions: vec![condition] };
    let namespace = Namespace { status: Some(status), ..Namespace::default() };
    let body = envelope("v1", "Namespace", &namespace.encode_to_vec());
    let value = object(&typed("application/vnd.kubernetes.protobuf"), &body).unwrap().value;
    let condition = json!({"type": "Tested", "status": "True", "lastTransitionTime": "1970-01-01T00:00:01Z"});
    assert_eq!(value["status"], json!({"phase": "Active", "conditions": [condition]}));
}

#[test]
fn protobuf_reviews_keep_empty_groups() {
    let attributes = authorization::ResourceAttributes {
        verb: Some("list".into()),
        resource: Some("secrets".into()),
        group: Some(String::new()),
        ..authorization::ResourceAttributes::default()
    };
    let spec =
        authorization::SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = authorization::SelfSubjectAccessReview { spec: Some(spec), ..Default::default() };
    let body = envelope("authorization.k8s.io/v1", "SelfSubjectAccessReview", &review.encode_to_vec());
    let value = object(&typed("application/vnd.kubernetes.protobuf"), &body).unwrap().value;
    assert_eq!(value["spec"]["resourceAttributes"], json!({"verb": "list", "resource": "secrets"}));
    let widget = envelope("toys.test/v1", "Widget", &[]);
    assert_eq!(object(&typed("application/vnd.kubernetes.protobuf"), &widget).unwrap_err().code, 415);
    assert_eq!(object(&typed("application/vnd.kubernetes.protobuf"), b"{}").unwrap_err().code, 400);
}
