//! Who gets in, and what the others are told.

use http::{Method, StatusCode, header};

use crate::site::{ALICE, BOB, HTML, Site};

const LAB: &str = "/user/alice/lab/api/status";

#[tokio::test]
async fn a_token_opens_the_own_server() {
    let site = Site::start().await;
    for token in ["token token-of-alice", "Bearer token-of-alice"] {
        let answer = site.get(LAB, &[("authorization", token)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()["uri"], LAB);
    }
}

#[tokio::test]
async fn a_session_opens_the_own_server_for_twelve_hours() {
    let site = Site::start().await;
    let cookie = site.cookie_of("alice").await;
    assert_eq!(site.get(LAB, &[("cookie", &cookie)]).await.status, StatusCode::OK);
    site.pass(12 * 3_600 - 1);
    assert_eq!(site.get(LAB, &[("cookie", &cookie)]).await.status, StatusCode::OK);
    site.pass(1);
    assert_eq!(site.get(LAB, &[("cookie", &cookie)]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_session_cookie_is_kept_from_scripts_and_other_sites() {
    let site = Site::start().await;
    let answer = site.post("/login", &[], "token=token-of-alice").await;
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("essaim-session="));
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=43200; Secure"), "{cookie}");
}

#[tokio::test]
async fn without_proof_programs_get_401_and_people_the_login_page() {
    let site = Site::start().await;
    for headers in [&[][..], &[("authorization", "token wrong")], &[("cookie", "essaim-session=a.b")]] {
        let answer = site.get(LAB, headers).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["reason"], "Unauthorized");
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
    }
    let answer = site.get("/user/alice/lab/lab?reset=1", &[HTML]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers[header::LOCATION], "/login?next=/user/alice/lab/lab%3Freset%3D1");
    let posted = site.post(LAB, &[HTML], "").await;
    assert_eq!(posted.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_server_of_somebody_else_and_one_that_does_not_exist_look_the_same() {
    let site = Site::start().await;
    let (existing, absent) =
        (site.get("/user/alice/lab/", &[BOB]).await, site.get("/user/alice/nothing/", &[BOB]).await);
    let nobody = site.get("/user/nobody/lab/", &[BOB]).await;
    assert_eq!(existing.status, StatusCode::FORBIDDEN);
    for other in [absent, nobody] {
        assert_eq!((other.status, &other.text), (existing.status, &existing.text));
    }
    let cookie = site.cookie_of("bob").await;
    assert_eq!(site.get("/user/alice/lab/", &[("cookie", &cookie)]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn whoever_was_given_the_right_gets_in() {
    let site = Site::start().await;
    let teacher = ("authorization", "token token-of-teacher");
    assert_eq!(site.get(LAB, &[teacher]).await.status, StatusCode::OK);
    assert_eq!(site.get("/user/bob/secret/", &[teacher]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_notebooks_own_token_does_not_spoil_a_session() {
    let site = Site::start().await;
    let cookie = site.cookie_of("alice").await;
    let headers = [("cookie", cookie.as_str()), ("authorization", "token for-uid-alice-lab")];
    assert_eq!(site.get(LAB, &headers).await.status, StatusCode::OK);
    assert_eq!(site.get(LAB, &headers[1..]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn answers_of_the_api_are_remembered() {
    let site = Site::start().await;
    for _ in 0..20 {
        assert_eq!(site.get(LAB, &[ALICE]).await.status, StatusCode::OK);
    }
    assert_eq!(site.api.reviews(), 2);
}

#[tokio::test]
async fn pages_of_other_sites_cannot_use_a_session() {
    let site = Site::start().await;
    let cookie = site.cookie_of("alice").await;
    let cookie = ("cookie", cookie.as_str());
    let own = format!("http://{}", site.address);
    let put =
        async |headers: &[(&str, &str)]| site.call(Method::PUT, LAB, headers, axum::body::Body::empty()).await.status;
    assert_eq!(put(&[cookie, ("origin", "https://evil.example")]).await, StatusCode::FORBIDDEN);
    assert_eq!(put(&[cookie, ("sec-fetch-site", "cross-site")]).await, StatusCode::FORBIDDEN);
    assert_eq!(put(&[cookie, ("origin", &own)]).await, StatusCode::OK);
    assert_eq!(put(&[ALICE, ("origin", "https://evil.example")]).await, StatusCode::OK);
    for path in ["/login", "/logout", "/servers/alice/lab/start"] {
        let answer = site.post(path, &[cookie, ("origin", "https://evil.example")], "token=token-of-alice").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
    }
}

#[tokio::test]
async fn the_first_login_makes_the_namespace_and_later_ones_do_not_mind() {
    let site = Site::start().await;
    site.cookie_of("alice").await;
    site.cookie_of("alice").await;
    site.cookie_of("system:admin").await;
    assert_eq!(site.api.namespaces(), ["alice"]);
    let refused = site.post("/login", &[], "token=token-of-kube-system").await;
    assert_eq!((refused.status, refused.json()["reason"].clone()), (StatusCode::FORBIDDEN, "ReservedLogin".into()));
    assert_eq!(site.api.namespaces(), ["alice"]);
}

#[tokio::test]
async fn login_leads_back_but_never_elsewhere_and_logout_ends_it() {
    let site = Site::start().await;
    let back = site.post("/login", &[], "token=token-of-alice&next=/user/alice/lab/lab%3Fx%3D1").await;
    assert_eq!(back.headers[header::LOCATION], "/user/alice/lab/lab?x=1");
    let elsewhere = site.post("/login", &[], "token=token-of-alice&next=//evil.example").await;
    assert_eq!(elsewhere.headers[header::LOCATION], "/");
    let wrong = site.post("/login", &[], "token=nonsense").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(!wrong.headers.contains_key(header::SET_COOKIE));
    let out = site.post("/logout", &[], "").await;
    assert_eq!((out.status, &out.headers[header::LOCATION]), (StatusCode::SEE_OTHER, &"/login".parse().unwrap()));
    assert!(out.headers[header::SET_COOKIE].to_str().unwrap().starts_with("essaim-session=; "));
}
