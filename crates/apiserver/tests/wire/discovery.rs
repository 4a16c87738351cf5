//! Discovery, OpenAPI and the paths about the server.

use axum::body::Body;
use essaim_apiserver::{ApiServer, Options};
use serde_json::json;

use crate::support::{Fixture, clock, get, json_of, send};

#[tokio::test]
async fn both_dialects_of_discovery_name_the_toy_kind() {
    let fixture = Fixture::start().await;
    let (_, resources) = get(fixture.router(), "/apis/toys.test/v1/").await;
    let names =
        resources["resources"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(names, ["widgets", "widgets/status", "widgets/scale"]);
    assert_eq!(get(fixture.router(), "/api/").await.1["versions"], json!(["v1"]));
    assert_eq!(get(fixture.router(), "/apis/none").await.0, 404);

    let media_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let response = send(fixture.router(), "GET", "/apis", &[("accept", media_type)], Body::empty()).await;
    assert_eq!(response.headers()["content-type"], media_type);
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    let (_, groups) = json_of(response).await;
    let toys =
        groups["items"].as_array().unwrap().iter().find(|group| group["metadata"]["name"] == "toys.test").unwrap();
    assert_eq!(toys["versions"][0]["resources"][0]["responseKind"]["kind"], "Widget");
    let again =
        send(fixture.router(), "GET", "/apis", &[("accept", media_type), ("if-none-match", &tag)], Body::empty()).await;
    assert_eq!(again.status(), 304);
}

#[tokio::test]
async fn openapi_documents_are_found_by_hash_and_declare_field_validation() {
    let fixture = Fixture::start().await;
    let (_, index) = get(fixture.router(), "/openapi/v3").await;
    let address = index["paths"]["apis/toys.test/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    let response = send(fixture.router(), "GET", &address, &[], Body::empty()).await;
    assert!(response.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let (_, document) = json_of(response).await;
    let patch = &document["paths"]["/apis/toys.test/v1/namespaces/{namespace}/widgets/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Widget");
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    let outdated = send(fixture.router(), "GET", "/openapi/v3/apis/toys.test/v1?hash=00", &[], Body::empty()).await;
    assert_eq!((outdated.status().as_u16(), outdated.headers()["location"].to_str().unwrap()), (301, address.as_str()));
    assert_eq!(get(fixture.router(), "/openapi/v2").await.0, 404);
    let protobuf = [("accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")];
    assert_eq!(send(fixture.router(), "GET", "/openapi/v2?timeout=32s", &protobuf, Body::empty()).await.status(), 200);
}

#[tokio::test]
async fn the_server_says_what_it_is_and_how_it_feels() {
    let fixture = Fixture::start().await;
    assert!(get(fixture.router(), "/version").await.1["gitVersion"].as_str().unwrap().starts_with("v1.33."));
    for path in ["/healthz", "/livez", "/readyz", "/readyz/ping"] {
        assert_eq!(
            send(fixture.server.router(), "GET", path, &[], Body::empty()).await.status(),
            200,
            "{path} is open to all"
        );
    }
    assert_eq!(send(fixture.server.router(), "GET", "/version", &[], Body::empty()).await.status(), 401);
}

#[tokio::test]
async fn a_server_whose_store_has_stopped_is_alive_and_not_ready() {
    let data = tempfile::tempdir().unwrap();
    let store = essaim_store::Embedded::open(data.path().join("store.redb"), essaim_store::Options::default()).unwrap();
    let server = ApiServer::start(store.clone(), Options::new(clock())).await.unwrap();
    store.close();
    let status = async |path| send(server.router(), "GET", path, &[], Body::empty()).await.status();
    for (path, expected) in [("/livez", 200), ("/readyz", 500), ("/readyz/store", 500), ("/readyz/bootstrap", 200)] {
        assert_eq!(status(path).await, expected, "{path}");
    }
}
