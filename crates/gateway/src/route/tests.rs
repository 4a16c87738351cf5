//! Which status gives which state.

use serde_json::{Value, json};

use super::*;

fn route(spec: &Value, status: &Value) -> Route {
    let object = json!({
        "apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServer",
        "metadata": {"namespace": "alice", "name": "lab", "uid": "u-1", "generation": 4},
        "spec": spec, "status": status,
    });
    let (key, route) = from_object(serde_json::from_value(object).unwrap(), Reach::Host).unwrap();
    assert_eq!(key, Key { namespace: "alice".to_owned(), name: "lab".to_owned() });
    route
}

fn condition(kind: &str, status: &str, reason: &str, seen: i64) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": format!("about {reason}"),
           "observedGeneration": seen, "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn status(conditions: &[Value]) -> Value {
    json!({"conditions": conditions, "addresses": {"host": "192.0.2.1:30001", "overlay": "10.0.0.9:8888"}})
}

#[test]
fn a_ready_server_is_reached_where_the_gateway_is() {
    let ready = status(&[condition("Ready", "True", "Serving", 4)]);
    assert_eq!(route(&json!({}), &ready).state, State::Up("192.0.2.1:30001".parse().unwrap()));
    let body = Body::deserialize(json!({"status": ready})).unwrap();
    assert_eq!(decide(&body, false, Some(4), Reach::Overlay).0, State::Up("10.0.0.9:8888".parse().unwrap()));
}

#[test]
fn a_server_nobody_can_look_at_is_still_tried() {
    for why in ["NotAnswering", "NodeUnreachable", "SwarmUnreachable"] {
        let route = route(&json!({}), &status(&[condition("Ready", "Unknown", why, 4)]));
        assert!(matches!(route.state, State::Up(_)), "{why}");
        assert_eq!(route.report.reason, why);
    }
}

#[test]
fn each_reason_has_its_state() {
    for (why, expected) in [
        ("Starting", State::Starting),
        ("NoMachineFits", State::Starting),
        ("ImageUnavailable", State::Failed),
        ("ContainerFailed", State::Failed),
        ("SwarmOff", State::Unreachable),
        ("NeverHeardOf", State::Unknown),
    ] {
        let route = route(&json!({}), &status(&[condition("Ready", "False", why, 4)]));
        assert_eq!(route.state, expected, "{why}");
        assert_eq!(route.report, report(why, &format!("about {why}")));
    }
}

#[test]
fn a_server_without_a_status_is_starting() {
    assert_eq!(route(&json!({}), &json!({})).state, State::Starting);
}

#[test]
fn a_server_that_waits_for_a_machine_says_so() {
    let both =
        status(&[condition("Ready", "False", "Creating", 4), condition("Scheduled", "False", "NoMachineFits", 4)]);
    assert_eq!(route(&json!({}), &both).report.reason, "NoMachineFits");
}

#[test]
fn a_suspended_server_is_not_reached_even_while_it_stops() {
    let stopping = status(&[condition("Ready", "True", "Serving", 4)]);
    let route = route(&json!({"suspend": true}), &stopping);
    assert_eq!((route.state, route.report.reason.as_str()), (State::Suspended, "Stopping"));
}

#[test]
fn the_reason_of_a_suspension_is_kept() {
    let stopped = status(&[condition("Suspended", "True", "ShutDownInJupyter", 4)]);
    assert_eq!(route(&json!({"suspend": true}), &stopped).report.reason, "ShutDownInJupyter");
    assert_eq!(route(&json!({}), &stopped).state, State::Suspended);
}

#[test]
fn a_server_that_was_asked_to_start_again_is_starting_before_the_status_says_so() {
    let stopped = status(&[condition("Suspended", "True", "SuspendedByRequest", 3)]);
    assert_eq!(route(&json!({"suspend": false}), &stopped).state, State::Starting);
}

#[test]
fn ready_without_an_address_for_us_is_unreachable() {
    let mut other = status(&[condition("Ready", "True", "Serving", 4)]);
    other["addresses"]["host"] = json!("nonsense with spaces");
    assert_eq!(route(&json!({}), &other).state, State::Unreachable);
    other["addresses"] = json!({"overlay": "10.0.0.9:8888"});
    assert_eq!(route(&json!({}), &other).state, State::Unreachable);
}

#[test]
fn an_odd_object_does_not_hide_the_others() {
    assert_eq!(route(&json!({}), &json!({"conditions": "none"})).state, State::Unknown);
}

#[test]
fn long_messages_are_cut_between_letters() {
    assert_eq!(report("Refused", &"é".repeat(2_000)).message.len(), MAX_MESSAGE);
}
