//! What is believed of an answer, and what is not.

use serde_json::{Value, json};

use super::Question;

const TO: &str = "garage.test/v2";

fn gate(name: &str) -> Value {
    json!({
        "apiVersion": "garage.test/v1", "kind": "Gate", "spec": {"old": name},
        "metadata": {
            "name": name, "namespace": "ns", "uid": format!("uid-{name}"), "generation": 3,
            "labels": {"Odd Label": "as it was stored"}, "annotations": {"a": "b"},
        },
    })
}

fn question() -> Question {
    Question::new(vec![gate("a"), gate("b")], TO)
}

/// An answer as it should be.
fn answer(question: &Question) -> Value {
    let converted = question.objects.iter().map(|object| {
        let mut object = object.clone();
        object["apiVersion"] = TO.into();
        object["spec"] = json!({"new": object["spec"]["old"]});
        object
    });
    let converted: Vec<_> = converted.collect();
    let response = json!({"uid": question.uid, "result": {"status": "Success"}, "convertedObjects": converted});
    json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response})
}

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let question = question();
    let mut answer = answer(&question);
    change(&mut answer);
    let message = question.read(answer).unwrap_err();
    let words = message.strip_prefix("conversion webhook for garage.test/v1, Kind=Gate ");
    words.expect("it says who failed").replace(&question.uid, "UID")
}

#[test]
fn a_question_names_the_version_and_the_objects() {
    let (question, other) = (question(), question());
    let body = question.body();
    assert_eq!(body["request"]["desiredAPIVersion"], TO);
    assert_eq!(body["request"]["objects"], json!([gate("a"), gate("b")]));
    assert_ne!(body["request"]["uid"], other.body()["request"]["uid"]);
}

#[test]
fn an_honest_answer_gives_the_objects_in_their_order() {
    let question = question();
    let converted = question.read(answer(&question)).unwrap();
    assert_eq!(converted[1]["spec"], json!({"new": "b"}));
    assert_eq!(converted[0]["metadata"], gate("a")["metadata"]);
}

#[test]
fn an_answer_must_be_one_to_the_question() {
    let cases: [(&str, Value, &str); 9] = [
        (
            "/apiVersion",
            json!("apiextensions.k8s.io/v1beta1"),
            "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1beta1, Kind=ConversionReview",
        ),
        ("/response", json!(null), "failed: no response provided"),
        ("/response/uid", json!("x"), r#"failed: expected response.uid="UID", got "x""#),
        ("/response/result", json!({}), "failed: response.result.status was '', not 'Success'"),
        ("/response/result", json!({"status": "Failure", "message": "broken"}), "failed: broken"),
        ("/response/result/status", json!("Maybe"), "failed: response.result.status was 'Maybe', not 'Success'"),
        ("/response/convertedObjects", json!(null), "returned 0 objects, expected 2"),
        ("/response/convertedObjects", json!("x"), "failed: response.convertedObjects is no list"),
        (
            "/response/convertedObjects/1",
            json!(7),
            "returned invalid converted object at index 1: invalid groupVersion (expected garage.test/v2, received )",
        ),
    ];
    for (path, value, words) in cases {
        assert_eq!(refused(|answer| *answer.pointer_mut(path).unwrap() = value), words, "{path}");
    }
}

#[test]
fn an_object_must_stay_the_one_that_it_was() {
    let at = "/response/convertedObjects/1";
    for (path, value, words) in [
        ("/apiVersion", "garage.test/v1", "invalid groupVersion (expected garage.test/v2, received garage.test/v1)"),
        ("/kind", "Door", "invalid kind (expected Gate, received Door)"),
        ("/metadata/name", "c", "must have the same name: b != c"),
        ("/metadata/namespace", "other", "must have the same namespace: ns != other"),
        ("/metadata/uid", "uid-c", "must have the same UID: uid-b != uid-c"),
    ] {
        let message = refused(|answer| *answer.pointer_mut(&format!("{at}{path}")).unwrap() = value.into());
        assert_eq!(message, format!("returned invalid converted object at index 1: {words}"));
    }
}

#[test]
fn of_metadata_only_labels_and_annotations_count() {
    let question = question();
    let mut given = answer(&question);
    let metadata = &mut given["response"]["convertedObjects"][0]["metadata"];
    metadata["generation"] = 9.into();
    metadata["finalizers"] = json!(["x/y"]);
    metadata["labels"] = json!({});
    metadata["annotations"] = json!({"c": "d"});
    let converted = question.read(given).unwrap();
    let mut wanted = gate("a")["metadata"].clone();
    wanted.as_object_mut().unwrap().remove("labels");
    wanted["annotations"] = json!({"c": "d"});
    assert_eq!(converted[0]["metadata"], wanted);
}

#[test]
fn labels_and_annotations_that_are_new_must_be_valid() {
    let path = "/response/convertedObjects/0/metadata";
    for (value, words) in [
        (
            json!({"name": "a", "namespace": "ns", "uid": "uid-a", "labels": {"x": 1}}),
            "metadata.labels must be a map of strings",
        ),
        (
            json!({"name": "a", "namespace": "ns", "uid": "uid-a", "labels": {"a b": "x"}}),
            "metadata.labels: Invalid value",
        ),
        (
            json!({"name": "a", "namespace": "ns", "uid": "uid-a", "annotations": {"": "x"}}),
            "metadata.annotations: Invalid value",
        ),
    ] {
        let message = refused(|answer| *answer.pointer_mut(path).unwrap() = value);
        assert!(message.starts_with(&format!("returned invalid metadata in object at index 0: {words}")), "{message}");
    }
}
