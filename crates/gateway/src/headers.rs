//! Which headers pass, in both directions, and which the gateway sets itself.
//!
//! Invariants: nothing that identifies the caller to us reaches a notebook server; nothing that says who the caller is,
//! or where the request came from, is believed from outside; connection headers end here (RFC 9110, 7.6.1).

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::cookies;

const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers by which proxies tell applications who the user is, or who asked; only the gateway may.
const IDENTITY: [&str; 6] = ["authorization", "forwarded", "remote-user", "x-real-ip", "x-webauth-user", "x-user"];
const IDENTITY_PREFIXES: [&str; 5] = ["x-forwarded-", "x-auth-request-", "x-remote-", "x-essaim-", "impersonate-"];

/// Would let a notebook put a script of its own between the browser and all pages of this site, for good.
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What the gateway itself says to a notebook server.
pub(crate) struct Said<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) proto: &'static str,
    pub(crate) host: Option<&'a str>,
    pub(crate) token: &'a str,
    pub(crate) upgrade: bool,
}

/// True if the request asks to become a WebSocket. Other upgrades are not offered: `h2c` would hide requests from us.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    upgrade && listed(headers, &header::CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
}

/// The headers of a request as the notebook server gets them.
pub(crate) fn to_upstream(mut headers: HeaderMap, said: &Said<'_>) -> HeaderMap {
    // With both, only the encoding counts; hyper frames the body anew from what remains.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    remove_hop_by_hop(&mut headers);
    remove_identity(&mut headers);
    // hyper has asked the client for the body itself.
    headers.remove(header::EXPECT);
    filter_cookies(&mut headers);

    insert(&mut headers, FORWARDED_FOR, &said.peer.to_canonical().to_string());
    insert(&mut headers, FORWARDED_PROTO, said.proto);
    if let Some(host) = said.host {
        insert(&mut headers, FORWARDED_HOST, host);
        insert(&mut headers, header::HOST, host);
    }
    insert(&mut headers, header::AUTHORIZATION, &format!("token {}", said.token));
    if said.upgrade {
        insert_upgrade(&mut headers);
    }
    headers
}

/// The headers of a response as the client gets them.
pub(crate) fn to_client(mut headers: HeaderMap, upgrade: bool) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    headers.remove(SERVICE_WORKER_ALLOWED);
    if headers.get_all(header::SET_COOKIE).iter().any(|cookie| cookies::sets_session(cookie.as_bytes())) {
        let others: Vec<HeaderValue> = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter(|cookie| !cookies::sets_session(cookie.as_bytes()))
            .cloned()
            .collect();
        headers.remove(header::SET_COOKIE);
        for cookie in others {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    if upgrade {
        insert_upgrade(&mut headers);
    }
    headers
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<String> = listed(headers, &header::CONNECTION).map(str::to_owned).collect();
    for name in named {
        headers.remove(name.as_str());
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn remove_identity(headers: &mut HeaderMap) {
    let ours = |name: &str| {
        // Applications behind CGI or WSGI take an underscore for a hyphen.
        let name = name.replace('_', "-");
        IDENTITY.contains(&name.as_str()) || IDENTITY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let names: Vec<HeaderName> = headers.keys().filter(|name| ours(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// HTTP/2 clients may send several `Cookie` headers; HTTP/1 allows one.
fn filter_cookies(headers: &mut HeaderMap) {
    let kept: Vec<String> =
        headers.get_all(header::COOKIE).iter().filter_map(|value| cookies::without_session(&latin1(value))).collect();
    headers.remove(header::COOKIE);
    let joined: Vec<u8> = kept.join("; ").chars().filter_map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    if let Some(value) = HeaderValue::from_bytes(&joined).ok().filter(|value| !value.is_empty()) {
        headers.insert(header::COOKIE, value);
    }
}

/// Header bytes as text, one letter per byte, so that bytes beyond ASCII survive the way there and back.
fn latin1(value: &HeaderValue) -> String {
    value.as_bytes().iter().map(|byte| char::from(*byte)).collect()
}

fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn insert_upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// A value that is no header value is left out; that can only be a host with odd bytes.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn forwarded(pairs: &[(&'static str, &'static str)], upgrade: bool) -> HeaderMap {
        let peer = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        to_upstream(map(pairs), &Said { peer, proto: "https", host: Some("hub.example"), token: "t0", upgrade })
    }

    #[test]
    fn what_says_who_the_caller_is_comes_from_us_alone() {
        let headers = forwarded(
            &[
                ("authorization", "token secret"),
                ("cookie", "essaim-session=x; _xsrf=1"),
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-user", "root"),
                ("x-auth-request-email", "root@example"),
                ("forwarded", "for=203.0.113.9"),
                ("remote-user", "root"),
                ("x_forwarded_user", "root"),
                ("accept", "text/html"),
            ],
            false,
        );
        let expected = map(&[
            ("accept", "text/html"),
            ("authorization", "token t0"),
            ("cookie", "_xsrf=1"),
            ("host", "hub.example"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "hub.example"),
            ("x-forwarded-proto", "https"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn connection_headers_end_here() {
        let headers = forwarded(
            &[
                ("connection", "close, X-Hop"),
                ("x-hop", "1"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
                ("expect", "100-continue"),
                ("x-end", "1"),
            ],
            false,
        );
        for gone in ["connection", "x-hop", "te", "upgrade", "expect"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert!(headers.contains_key("x-end"));
    }

    #[test]
    fn naming_our_headers_as_connection_options_does_not_remove_them() {
        let headers = forwarded(&[("connection", "authorization, x-forwarded-for, host")], false);
        assert_eq!(headers["authorization"], "token t0");
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
    }

    #[test]
    fn a_websocket_stays_one_and_other_upgrades_do_not() {
        let asked = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")]);
        assert!(is_websocket(&asked));
        assert!(!is_websocket(&map(&[("connection", "upgrade"), ("upgrade", "h2c")])));
        assert!(!is_websocket(&map(&[("upgrade", "websocket")])));
        let headers = forwarded(
            &[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", "v1.kernel")],
            true,
        );
        assert_eq!(headers["upgrade"], "websocket");
        assert_eq!(headers["sec-websocket-protocol"], "v1.kernel");
    }

    #[test]
    fn several_cookie_headers_become_one() {
        let mut headers = map(&[("cookie", "a=1")]);
        headers.append("cookie", HeaderValue::from_static("essaim-session=x"));
        headers.append("cookie", HeaderValue::from_bytes(b"b=\xe9").unwrap());
        filter_cookies(&mut headers);
        assert_eq!(headers["cookie"].as_bytes(), b"a=1; b=\xe9");
    }

    #[test]
    fn a_notebook_server_sets_its_cookies_but_not_ours() {
        let mut headers =
            map(&[("set-cookie", "_xsrf=1"), ("location", "/user/a/b/lab"), ("connection", "keep-alive")]);
        headers.append("set-cookie", HeaderValue::from_static("essaim-session=evil; Path=/"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        headers.insert("service-worker-allowed", HeaderValue::from_static("/"));
        let passed = to_client(headers, false);
        let cookies: Vec<_> = passed.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["_xsrf=1", "b=2"]);
        assert_eq!(passed["location"], "/user/a/b/lab");
        assert!(!passed.contains_key("connection") && !passed.contains_key("service-worker-allowed"));
    }
}
