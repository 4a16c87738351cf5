//! Docker's HTTP API: one call, one answer, each with a limit in time.

mod connector;

use std::{sync::RwLock, time::Duration};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use serde_json::Value;

use self::connector::Http;
use crate::{
    calls::{Calls, Kind},
    failure::Failure,
    url::Url,
};

/// A version of Docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion(pub u16, pub u16);

impl ApiVersion {
    /// Engine 20.10, the oldest that drops capabilities and shows host ports as this crate expects.
    pub(crate) const OLDEST: ApiVersion = ApiVersion(1, 41);
    /// The newest whose answers this crate was written for; a newer engine is asked to speak this one.
    const NEWEST: ApiVersion = ApiVersion(1, 47);

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(ApiVersion(major.parse().ok()?, minor.parse().ok()?))
    }

    /// Whether services can forbid their processes to gain privileges.
    pub(crate) fn knows_no_new_privileges(self) -> bool {
        self >= ApiVersion(1, 44)
    }
}

/// One call.
pub(crate) struct Call {
    pub kind: Kind,
    pub method: Method,
    /// From the slash after the version on, query included; see [`filters`].
    pub path: String,
    pub body: Option<Value>,
}

impl Call {
    pub(crate) fn get(kind: Kind, path: impl Into<String>) -> Self {
        Call { kind, method: Method::GET, path: path.into(), body: None }
    }

    pub(crate) fn post(kind: Kind, path: impl Into<String>, body: Value) -> Self {
        Call { kind, method: Method::POST, path: path.into(), body: Some(body) }
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Call { kind: Kind::Remove, method: Method::DELETE, path: path.into(), body: None }
    }
}

/// A connection to a manager; connections below it are kept and made again as needed.
pub(crate) struct Docker {
    http: Http,
    base: String,
    timeout: Duration,
    /// What both sides speak; forgotten when the manager falls silent, because it may come back as another engine.
    version: RwLock<Option<ApiVersion>>,
    calls: Calls,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    api_version: String,
    #[serde(default, rename = "MinAPIVersion")]
    min_api_version: String,
}

impl Docker {
    pub(crate) fn new(url: &Url, timeout: Duration) -> Self {
        let (http, base) = Http::new(url);
        Docker { http, base, timeout, version: RwLock::new(None), calls: Calls::default() }
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The version that both sides speak.
    pub(crate) async fn version(&self) -> Result<ApiVersion, Failure> {
        let known = self.version.read().map_or(None, |version| *version);
        if let Some(version) = known {
            return Ok(version);
        }
        let answer = self.send(Call::get(Kind::Version, "/version"), "").await?;
        let version = negotiate(&decode(&answer)?)?;
        self.remember(Some(version));
        Ok(version)
    }

    /// Carries out one call and returns the body of a successful answer.
    pub(crate) async fn call(&self, call: Call) -> Result<Bytes, Failure> {
        let ApiVersion(major, minor) = self.version().await?;
        let answer = self.send(call, &format!("/v{major}.{minor}")).await;
        if matches!(answer, Err(Failure::Silence { .. } | Failure::Late { .. })) {
            self.remember(None);
        }
        answer
    }

    fn remember(&self, version: Option<ApiVersion>) {
        if let Ok(mut known) = self.version.write() {
            *known = version;
        }
    }

    async fn send(&self, call: Call, prefix: &str) -> Result<Bytes, Failure> {
        self.calls.count(call.kind);
        let body = call.body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(call.method)
            .uri(format!("{}{prefix}{}", self.base, call.path))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::silence("writing the request", error))?;
        tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .unwrap_or_else(|_| Err(Failure::Late { seconds: self.timeout.as_secs_f32() }))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Failure> {
        let answer =
            self.http.request(request).await.map_err(|error| Failure::silence("sending the request", error))?;
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| Failure::silence("reading the answer", error))?
            .to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        Err(Failure::answer(status.as_u16(), &body))
    }
}

/// Reads a JSON answer.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(answer).map_err(|error| Failure::silence("reading the answer", error))
}

fn negotiate(engine: &Version) -> Result<ApiVersion, Failure> {
    let refused = |message: String| Failure::Answer { status: 400, message };
    let newest = ApiVersion::parse(&engine.api_version).ok_or_else(|| {
        refused(format!("the engine calls its API version {:?}, which is no version", engine.api_version))
    })?;
    if newest < ApiVersion::OLDEST {
        return Err(refused(format!(
            "the engine speaks API {}; essaim needs 1.41 (Engine 20.10) or newer",
            engine.api_version
        )));
    }
    let oldest = ApiVersion::parse(&engine.min_api_version).unwrap_or(ApiVersion::OLDEST);
    Ok(newest.min(ApiVersion::NEWEST).max(oldest))
}

/// The `filters` query that Docker's lists take: for each key the accepted values.
pub(crate) fn filters(filters: &[(&str, &[&str])]) -> String {
    let filters: serde_json::Map<String, Value> =
        filters.iter().map(|(key, values)| ((*key).to_owned(), Value::from(values.to_vec()))).collect();
    format!("?filters={}", percent_encoded(&Value::Object(filters).to_string()))
}

/// A path segment or query value in which every byte that could mean something is escaped.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(newest: &str, oldest: &str) -> Result<ApiVersion, Failure> {
        negotiate(&Version { api_version: newest.to_owned(), min_api_version: oldest.to_owned() })
    }

    #[test]
    fn both_sides_speak_the_newest_version_that_both_know() {
        for (newest, oldest, expected) in [
            ("1.41", "1.12", ApiVersion(1, 41)),
            ("1.44", "1.24", ApiVersion(1, 44)),
            ("1.52", "1.44", ApiVersion(1, 47)),
            ("1.60", "1.50", ApiVersion(1, 50)),
        ] {
            assert_eq!(negotiated(newest, oldest).unwrap(), expected, "{newest}");
        }
    }

    #[test]
    fn an_engine_that_is_too_old_is_refused_by_version() {
        assert!(negotiated("1.40", "1.12").unwrap_err().to_string().contains("speaks API 1.40"));
    }

    #[test]
    fn filters_are_escaped_json() {
        assert_eq!(filters(&[("label", &["a/b=c"])]), "?filters=%7B%22label%22%3A%5B%22a%2Fb%3Dc%22%5D%7D");
    }
}
