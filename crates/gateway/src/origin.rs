//! Does a request come from a page of this site? Browsers say so; programs say nothing and carry no cookie by accident.

use http::{HeaderMap, Method, Uri, header};

/// The host that the client asked for, as it wrote it.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    // HTTP/2 and absolute request targets name it in the URI, and RFC 9112 lets that win.
    let in_uri = uri.authority().map(http::uri::Authority::as_str);
    in_uri.or_else(|| headers.get(header::HOST)?.to_str().ok())
}

/// False if a browser says that another site's page made the request.
///
/// Guarantees: every browser that sends a cookie with a POST or a WebSocket also sends `Origin`, so a foreign page is
/// always recognised. A request with neither header comes from a program, which chose to send the cookie.
pub(crate) fn is_same(headers: &HeaderMap, host: Option<&str>) -> bool {
    let fetched_from = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    if fetched_from.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Some((scheme, authority)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    host.is_some_and(|host| {
        without_default_port(scheme, authority).eq_ignore_ascii_case(without_default_port(scheme, host))
    })
}

/// True for methods that only read.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    authority.strip_suffix(port).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(origin: Option<&str>, site: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        if let Some(site) = site {
            headers.insert("sec-fetch-site", site.parse().unwrap());
        }
        headers
    }

    #[test]
    fn pages_of_this_site_and_programs_are_the_same_origin() {
        for (origin, site, host) in [
            (None, None, "hub.example"),
            (Some("https://hub.example"), Some("same-origin"), "hub.example"),
            (Some("https://HUB.example"), None, "hub.example:443"),
            (Some("http://localhost:8000"), None, "localhost:8000"),
            (None, Some("none"), "hub.example"),
        ] {
            assert!(is_same(&from(origin, site), Some(host)), "{origin:?} {site:?}");
        }
    }

    #[test]
    fn other_pages_are_not() {
        for (origin, site) in [
            (Some("https://evil.example"), None),
            (Some("null"), None),
            (Some("https://hub.example.evil.example"), None),
            (Some("https://hub.example:8443"), None),
            (Some("https://hub.example"), Some("cross-site")),
            (None, Some("same-site")),
        ] {
            assert!(!is_same(&from(origin, site), Some("hub.example")), "{origin:?} {site:?}");
        }
        assert!(!is_same(&from(Some("https://hub.example"), None), None));
    }
}
