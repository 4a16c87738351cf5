//! What is counted, and how much room it takes at most.

use std::time::Duration;

use http::{HeaderMap, Method, Uri};

use super::{Answered, Labels, Lumped as _, MOST, Metrics};
use crate::{
    catalogue::{Catalogue, ResourceName},
    wire::{path, query::Query},
};

fn labels(method: &Method, uri: &str, catalogue: &Catalogue) -> Labels {
    let uri: Uri = uri.parse().unwrap();
    let (target, query) = (path::parse(uri.path()).unwrap(), Query::parse(&uri).unwrap());
    Labels::of(&target, method, &HeaderMap::new(), &query, catalogue)
}

const REQUESTS: &str = "apiserver_request_total{";
const DURATIONS: &str = "apiserver_request_duration_seconds_count{";

/// How many lines of the document begin so.
fn series(metrics: &Metrics, name: &str) -> usize {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &metrics.registry).unwrap();
    text.lines().filter(|line| line.starts_with(name)).count()
}

#[test]
fn nothing_that_clients_can_choose_makes_series_without_end() {
    let (metrics, catalogue) = (Metrics::new(), Catalogue::new());
    let odd = Method::from_bytes(b"BREW").unwrap();
    for number in 0..500 {
        for uri in [
            format!("/apis/g{number}.test/v{number}/namespaces/n{number}/things{number}"),
            format!("/api/v1/namespaces/n{number}/configmaps/m{number}/part{number}?dryRun=d{number}"),
            format!("/where/ever{number}"),
            format!("/metrics{number}"),
            format!("/apis/g{number}.test"),
        ] {
            for method in [&Method::GET, &Method::POST, &Method::PATCH, &odd] {
                metrics.answered(&labels(method, &uri, &catalogue), 404, Duration::ZERO);
            }
        }
    }
    let (requests, durations) = (series(&metrics, REQUESTS), series(&metrics, DURATIONS));
    assert!((10..=20).contains(&requests), "{requests}");
    assert_eq!(requests, durations);
}

#[test]
fn kinds_that_come_and_go_share_one_series_when_there_are_too_many() {
    let metrics = Metrics::new();
    let about = |number: usize| Labels::about(ResourceName::new("toys.test", "v1", &format!("things{number}")));
    for number in 0..MOST + 500 {
        metrics.answered(&about(number), 200, Duration::ZERO);
    }
    assert_eq!((series(&metrics, REQUESTS), series(&metrics, DURATIONS)), (MOST + 1, MOST + 1));
    let known = Answered { labels: about(0), code: 200 };
    metrics.answered(&about(0), 200, Duration::ZERO);
    let count = |labels: &Answered| metrics.requests.with(labels, prometheus_client::metrics::counter::Counter::get);
    assert_eq!((count(&known), count(&known.other())), (2, 500));
}

#[test]
fn requests_are_told_apart_in_the_words_of_kubernetes() {
    let catalogue = Catalogue::new();
    let shown = |method: Method, uri: &str| format!("{:?}", labels(&method, uri, &catalogue));
    for (method, uri, words) in [
        (Method::GET, "/api/v1/configmaps", ["\"LIST\"", "\"configmaps\"", "\"cluster\""]),
        (Method::GET, "/api/v1/namespaces/a/configmaps?watch=1", ["\"WATCH\"", "\"configmaps\"", "\"namespace\""]),
        (Method::GET, "/api/v1/namespaces/a/configmaps/b", ["\"GET\"", "\"configmaps\"", "\"resource\""]),
        (Method::POST, "/api/v1/namespaces/a/serviceaccounts/b/token", ["\"POST\"", "\"token\"", "\"resource\""]),
        (Method::DELETE, "/api/v1/namespaces/a/secrets", ["\"DELETECOLLECTION\"", "\"secrets\"", "\"namespace\""]),
        (Method::PUT, "/api/v1/namespaces/a/secrets/b?dryRun=All", ["\"PUT\"", "dry_run: true", "\"resource\""]),
        (Method::GET, "/readyz/store", ["\"GET\"", "\"/readyz\"", "\"\""]),
        (Method::GET, "/nowhere", ["\"GET\"", "\"other\"", "\"\""]),
        (Method::GET, "/apis/none.test/v1/things", ["\"LIST\"", "\"other\"", "\"cluster\""]),
    ] {
        let shown = shown(method, uri);
        assert!(words.iter().all(|word| shown.contains(word)), "{uri}: {shown}");
    }
}
