//! Login with a token, logout, and the list of one's servers.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use jiff::SignedDuration;
use serde::Deserialize;

use crate::access::Right;
use crate::answer::{Asker, Refusal, respond};
use crate::auth::authenticate;
use crate::cookies;
use crate::gateway::Shared;
use crate::origin;
use crate::pages;

const MAX_NEXT: usize = 2_048;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    #[serde(default)]
    token: String,
    #[serde(default)]
    next: String,
}

/// `GET /login`
pub(crate) async fn form(Query(wanted): Query<Wanted>) -> Response {
    pages::login(StatusCode::OK, local(&wanted.next), None)
}

/// `POST /login`
pub(crate) async fn login(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    Form(given): Form<Credentials>,
) -> Response {
    let next = local(&given.next);
    match open_session(&shared, &uri, &headers, given.token.trim()).await {
        Ok(Some(cookie)) => see_other(next, Some(cookie)),
        Ok(None) => pages::login(StatusCode::UNAUTHORIZED, next, Some("This token is not valid.")),
        Err(refusal) => respond(refusal, &Asker::of_form(&headers)),
    }
}

/// `POST /logout`
pub(crate) async fn logout(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    if !origin::is_same(&headers, origin::host(&uri, &headers)) {
        return respond(Refusal::CrossOrigin, &Asker::of_form(&headers));
    }
    see_other("/login", cookie(&shared, "", 0))
}

/// `GET /`: the servers in the caller's own namespace.
pub(crate) async fn servers(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let listed = async {
        let caller = authenticate(&shared, &headers).await?;
        let login = &caller.identity.login;
        if !shared.access.may(&caller.identity, Right::to_list(login)).await? {
            return Ok(pages::servers(login, &[]));
        }
        let servers = shared.routes.of_namespace(login).ok_or(Refusal::NotLoaded)?;
        Ok(pages::servers(login, &servers))
    };
    listed.await.unwrap_or_else(|refusal| respond(refusal, &Asker::of(&method, &uri, &headers)))
}

/// The cookie of a new session; `None` if the token is not valid.
async fn open_session(
    shared: &Shared,
    uri: &Uri,
    headers: &HeaderMap,
    token: &str,
) -> Result<Option<HeaderValue>, Refusal> {
    if !origin::is_same(headers, origin::host(uri, headers)) {
        return Err(Refusal::CrossOrigin);
    }
    let Some(identity) = shared.access.identify(token).await? else {
        return Ok(None);
    };
    shared.access.ensure_namespace(&identity.login).await?;
    let lifetime = SignedDuration::try_from(shared.options.limits.session).unwrap_or(SignedDuration::ZERO);
    let expiry = (shared.options.clock)().saturating_add(lifetime).unwrap_or(jiff::Timestamp::MIN);
    let value = shared.sessions.sign(&identity, expiry)?;
    tracing::info!(login = identity.login, "logged in");
    Ok(cookie(shared, &value, lifetime.as_secs()))
}

fn cookie(shared: &Shared, value: &str, max_age: i64) -> Option<HeaderValue> {
    let secure = if shared.options.secure_cookies { "; Secure" } else { "" };
    let name = cookies::SESSION;
    HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}")).ok()
}

/// Sends the browser on with a GET.
fn see_other(target: &str, cookie: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(target).unwrap_or(HeaderValue::from_static("/")));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cookie) = cookie {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// The target if it stays on this site, else the start page: a link to our login must not lead elsewhere.
fn local(next: &str) -> &str {
    let visible = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let on_this_site = next.starts_with('/') && !next.starts_with("//");
    if visible && on_this_site && next.len() <= MAX_NEXT { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_leads_only_to_pages_of_this_site() {
        for next in ["/", "/user/alice/lab/tree/a%20b?x=1#c", "/login"] {
            assert_eq!(local(next), next);
        }
        let long = format!("/{}", "a".repeat(MAX_NEXT));
        for next in [
            "",
            "user",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/a\r\nb",
            "/é",
            &long,
        ] {
            assert_eq!(local(next), "/", "{next:?}");
        }
    }
}
