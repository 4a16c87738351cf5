//! Paths that are about the server itself: `/version`, health, and the list of paths.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::wire::{output, query::Query};

/// The version of Kubernetes whose behaviour clients may expect.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0+essaim", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, platform()),
    })
}

/// The machine, in the words of Go.
fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// One check behind `/readyz`: its name, and whether it holds.
pub(crate) type Check = (&'static str, bool);

/// Answers `/healthz`, `/livez` and `/readyz`, and a single check below them; nothing for other paths.
pub(crate) fn health(path: &str, query: &Query, ready: &[Check]) -> Option<Response> {
    let (probe, single) = match path.trim_start_matches('/').split_once('/') {
        Some((probe, single)) => (probe, Some(single)),
        None => (path.trim_start_matches('/'), None),
    };
    let mut checks: Vec<Check> = vec![("ping", true)];
    match probe {
        "healthz" | "readyz" => checks.extend(ready),
        "livez" => {}
        _ => return None,
    }
    if let Some(single) = single {
        let (_, holds) = checks.iter().find(|(name, _)| *name == single)?;
        return Some(if *holds { output::text(StatusCode::OK, "ok") } else { failed("not ready\n".into()) });
    }
    let healthy = checks.iter().all(|(_, holds)| *holds);
    if healthy && !query.flag("verbose") {
        return Some(output::text(StatusCode::OK, "ok"));
    }
    let line = |(name, holds): &Check| if *holds { format!("[+]{name} ok\n") } else { format!("[-]{name} failed\n") };
    let lines = checks.iter().map(line).collect::<String>();
    if healthy {
        return Some(output::text(StatusCode::OK, format!("{lines}{probe} check passed\n")));
    }
    Some(failed(format!("{lines}{probe} check failed\n")))
}

fn failed(text: String) -> Response {
    output::text(StatusCode::INTERNAL_SERVER_ERROR, text)
}

/// A document that whoever reads it may keep for an hour, as Kubernetes lets them keep the keys of service accounts.
pub(crate) fn for_an_hour(media_type: &'static str, document: &Value) -> Response {
    let mut response = output::bytes(StatusCode::OK, media_type, document.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

/// `/`: where one can go from here.
pub(crate) fn root() -> Value {
    json!({"paths": [
        "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v3", "/openid/v1/jwks",
        "/readyz", "/version",
    ]})
}

#[cfg(test)]
mod tests {
    use super::health;
    use crate::wire::query::Query;

    #[test]
    fn readiness_depends_on_its_checks_and_liveness_does_not() {
        let plain = Query::default();
        let status = |path: &str, ready: bool| {
            health(path, &plain, &[("bootstrap", ready)]).map(|answer| answer.status().as_u16())
        };
        assert_eq!(status("/readyz", true), Some(200));
        assert_eq!(status("/readyz", false), Some(500));
        assert_eq!(status("/readyz/bootstrap", false), Some(500));
        assert_eq!(status("/readyz/ping", false), Some(200));
        assert_eq!(status("/livez", false), Some(200));
        assert_eq!(status("/readyz/other", true), None);
        assert_eq!(status("/other", true), None);
    }
}
