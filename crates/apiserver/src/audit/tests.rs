//! What is noted, and what is not.

use http::Method;

use super::{cut, is_quiet_path};

#[test]
fn health_and_discovery_are_quiet_and_objects_are_not() {
    for quiet in [
        "/healthz",
        "/readyz/bootstrap",
        "/api",
        "/api/v1/",
        "/apis/g",
        "/apis/g/v1",
        "/version",
        "/openapi/v3/apis/g/v1",
    ] {
        assert!(is_quiet_path(&Method::GET, quiet), "{quiet}");
    }
    for noted in ["/", "/api/v1/secrets", "/apis/g/v1/things", "/version/x", "/essaim/v1/reconciles", "/healthy"] {
        assert!(!is_quiet_path(&Method::GET, noted), "{noted}");
    }
    assert!(!is_quiet_path(&Method::POST, "/api"));
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!((cut("añb", 2).as_str(), cut("añb", 3).as_str(), cut("añb", 9).as_str()), ("a", "añ", "añb"));
}
