//! The pages: login, list of servers, state of one server. No script, nothing from elsewhere, all text escaped by maud.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use maud::{DOCTYPE, Markup, html};

use crate::answer::Notice;
use crate::route::{Key, Route, State};

/// A page that waits for a server asks again after so many seconds.
const REFRESH_SECONDS: u8 = 2;
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
    header{display:flex;justify-content:space-between;align-items:baseline;border-bottom:1px solid #d0d7de;margin-bottom:1.5rem}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #d0d7de;vertical-align:top}\
    input{font:inherit;padding:.3rem;width:24rem;max-width:100%}button{font:inherit;padding:.3rem .9rem;cursor:pointer}\
    .error{color:#b42318}.quiet{color:#57606a}";

/// `/essaim.css`
pub(crate) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, STYLE).into_response()
}

/// The login form.
pub(crate) fn login(status: StatusCode, next: &str, error: Option<&str>) -> Response {
    let body = html! {
        h1 { "Log in" }
        @if let Some(error) = error { p.error role="alert" { (error) } }
        form method="post" action="/login" {
            p { label { "Token" br; input type="password" name="token" required autofocus autocomplete="off"; } }
            input type="hidden" name="next" value=(next);
            button type="submit" { "Log in" }
        }
    };
    page(status, "Log in", None, false, &body)
}

/// The list of somebody's servers.
pub(crate) fn servers(login: &str, servers: &[(String, Arc<Route>)]) -> Response {
    let body = html! {
        h1 { "Notebook servers of " (login) }
        @if servers.is_empty() { p.quiet { "You have no notebook server." } } @else {
            table {
                thead { tr { th { "Name" } th { "State" } th { "Reason" } th { "Message" } th {} } }
                tbody { @for (name, route) in servers { (row(login, name, route)) } }
            }
        }
    };
    page(StatusCode::OK, "Notebook servers", Some(login), false, &body)
}

/// Why there is no notebook to show.
pub(crate) fn notice(notice: &Notice) -> Response {
    let body = html! {
        h1 { (notice.title) }
        p { strong { (notice.reason) } ": " (notice.message) }
        @if let Some(key) = &notice.start { (start_button(key)) }
        @if notice.refresh { p.quiet { "This page looks again by itself." } }
        p { a href="/" { "All my servers" } }
    };
    page(notice.status, notice.title, None, notice.refresh, &body)
}

fn row(namespace: &str, name: &str, route: &Route) -> Markup {
    let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
    html! {
        tr {
            td { a href=(format!("/user/{namespace}/{name}/")) { (name) } }
            td { (route.state.word()) }
            td { (route.report.reason) }
            td { (route.report.message) }
            td { @if route.state == State::Suspended { (start_button(&key)) } }
        }
    }
}

fn start_button(key: &Key) -> Markup {
    html! {
        form method="post" action=(format!("/servers/{}/{}/start", key.namespace, key.name)) {
            button type="submit" { "Start again" }
        }
    }
}

fn page(status: StatusCode, title: &str, login: Option<&str>, refresh: bool, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if refresh { meta http-equiv="refresh" content=(REFRESH_SECONDS); }
                title { (title) " · essaim" }
                link rel="stylesheet" href="/essaim.css";
            }
            body {
                header {
                    p { a href="/" { "essaim" } }
                    @if let Some(login) = login {
                        form method="post" action="/logout" { (login) " " button type="submit" { "Log out" } }
                    }
                }
                main { (body) }
            }
        }
    };
    (status, page_headers(), page.into_string()).into_response()
}

fn page_headers() -> HeaderMap {
    let pairs: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}
