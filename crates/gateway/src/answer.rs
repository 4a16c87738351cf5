//! Answers that are not a notebook's: the same facts as a page for people and as JSON for programs.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::json;

use crate::error::{Error, chain};
use crate::pages;
use crate::route::{Key, Report, Route, State};

/// Names the reason of a 502, 503 or 504 to programs.
const ESSAIM_REASON: HeaderName = HeaderName::from_static("essaim-reason");

/// Why a request was not forwarded.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nobody we know.
    Unauthenticated,
    /// May not, or there is nothing: the answer is the same, so that nobody learns what others have.
    Forbidden,
    /// Another site's page made the request.
    CrossOrigin,
    /// The caller may use it, but there is no such server or page.
    NotFound,
    /// The path may mean several things.
    BadPath(&'static str),
    /// The routes are not loaded yet.
    NotLoaded,
    /// The bound on WebSockets is reached.
    TooManyTunnels,
    /// The API did not answer a question.
    Api(Error),
    /// The server is not up, or only perhaps and it was tried in vain.
    NotUp(Key, Arc<Route>),
    /// The server is up, as far as is known, and did not answer.
    Upstream { status: StatusCode, cause: &'static str },
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

/// How an answer should look: decided from the request before it is consumed.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    page: bool,
    target: String,
}

impl Asker {
    pub(crate) fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let page = reads && !headers.contains_key(header::UPGRADE) && accepts_pages(headers);
        let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        Self { page, target }
    }

    /// For our own forms: their answer is a page too, and after a login the form cannot be repeated.
    pub(crate) fn of_form(headers: &HeaderMap) -> Self {
        Self { page: accepts_pages(headers), target: "/".to_owned() }
    }
}

fn accepts_pages(headers: &HeaderMap) -> bool {
    let accepts = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains("text/html"));
    headers.get_all(header::ACCEPT).iter().any(accepts)
}

/// What is said, whatever the form.
pub(crate) struct Notice {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// Seconds after which asking again makes sense.
    pub(crate) retry_after: Option<u16>,
    /// The page reloads itself.
    pub(crate) refresh: bool,
    /// The server that a button on the page starts again.
    pub(crate) start: Option<Key>,
}

/// The response for a refusal.
pub(crate) fn respond(refusal: Refusal, asker: &Asker) -> Response {
    if matches!(refusal, Refusal::Unauthenticated) && asker.page {
        let next: String = percent_encode(&asker.target);
        return Redirect::to(&format!("/login?next={next}")).into_response();
    }
    let unauthenticated = matches!(refusal, Refusal::Unauthenticated);
    let notice = notice(refusal);
    let mut response = if asker.page { pages::notice(&notice) } else { as_json(&notice) };
    let headers = response.headers_mut();
    if unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"essaim\""));
    }
    if let Some(seconds) = notice.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if notice.status.is_server_error()
        && let Ok(reason) = HeaderValue::from_str(&notice.reason)
    {
        headers.insert(ESSAIM_REASON, reason);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn as_json(notice: &Notice) -> Response {
    let body = json!({"code": notice.status.as_u16(), "reason": notice.reason, "message": notice.message});
    (notice.status, Json(body)).into_response()
}

fn notice(refusal: Refusal) -> Notice {
    match refusal {
        Refusal::Unauthenticated => plain(
            StatusCode::UNAUTHORIZED,
            "Login needed",
            "Unauthorized",
            "Send a valid token as “Authorization: Bearer …”, or log in at /login.",
        ),
        Refusal::Forbidden => plain(
            StatusCode::FORBIDDEN,
            "Not allowed",
            "Forbidden",
            "There is no notebook server here that you may use.",
        ),
        Refusal::CrossOrigin => plain(
            StatusCode::FORBIDDEN,
            "Not allowed",
            "CrossOrigin",
            "The request came from a page of another site. Open the page here and try again.",
        ),
        Refusal::NotFound => plain(StatusCode::NOT_FOUND, "Not found", "NotFound", "There is nothing at this address."),
        Refusal::BadPath(why) => plain(StatusCode::BAD_REQUEST, "Unclear address", "BadRequest", why),
        Refusal::NotLoaded => again(
            1,
            plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "One moment",
                "GatewayStarting",
                "The gateway has just started and does not know the notebook servers yet.",
            ),
        ),
        Refusal::TooManyTunnels => again(
            10,
            plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many connections",
                "TooManyConnections",
                "The gateway holds as many WebSockets as it may.",
            ),
        ),
        Refusal::Api(error) => of_error(&error),
        Refusal::NotUp(key, route) => of_route(key, &route),
        Refusal::Upstream { status, cause } => {
            again(5, plain(status, "The notebook server does not answer", "NotAnswering", cause))
        }
    }
}

fn of_error(error: &Error) -> Notice {
    match error {
        Error::ReservedLogin { .. } => plain(
            StatusCode::FORBIDDEN,
            "Not allowed",
            "ReservedLogin",
            "Your login is a reserved name here. Ask operations staff.",
        ),
        Error::SessionTooLarge { .. } => plain(
            StatusCode::FORBIDDEN,
            "Not allowed",
            "TooManyGroups",
            "Your account is in too many groups for a session. Ask operations staff.",
        ),
        error => {
            tracing::warn!(error = chain(error), "cannot answer a request");
            again(
                5,
                plain(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "One moment",
                    "ApiUnavailable",
                    "The platform cannot check your rights just now.",
                ),
            )
        }
    }
}

fn of_route(key: Key, route: &Route) -> Notice {
    let Report { reason, message } = route.report.clone();
    let notice = |title, retry_after| Notice {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title,
        reason,
        message,
        retry_after,
        refresh: false,
        start: None,
    };
    match &route.state {
        State::Starting => Notice { refresh: true, ..notice("The notebook server is starting", Some(2)) },
        State::Suspended => Notice { start: Some(key), ..notice("The notebook server is stopped", None) },
        State::Failed => notice("The notebook server cannot run", None),
        State::Unreachable | State::Up(_) => notice("The notebook server cannot be reached", Some(10)),
        State::Deleting => notice("The notebook server is being deleted", None),
        State::Unknown => notice("The state of the notebook server is unknown", Some(10)),
    }
}

fn plain(status: StatusCode, title: &'static str, reason: &str, message: &str) -> Notice {
    Notice {
        status,
        title,
        reason: reason.to_owned(),
        message: message.to_owned(),
        retry_after: None,
        refresh: false,
        start: None,
    }
}

fn again(seconds: u16, notice: Notice) -> Notice {
    Notice { retry_after: Some(seconds), ..notice }
}

/// Encodes a local target as one value of a query.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
                encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_survives_in_a_query() {
        assert_eq!(percent_encode("/user/a/b/lab?x=1&y=é"), "/user/a/b/lab%3Fx%3D1%26y%3D%C3%A9");
    }

    #[test]
    fn pages_are_for_browsers_that_read() {
        let html = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"))]);
        let uri = Uri::from_static("/user/a/b/?x=1");
        assert!(Asker::of(&Method::GET, &uri, &html).page);
        assert_eq!(Asker::of(&Method::GET, &uri, &html).target, "/user/a/b/?x=1");
        assert!(!Asker::of(&Method::POST, &uri, &html).page);
        assert!(!Asker::of(&Method::GET, &uri, &HeaderMap::new()).page);
    }
}
