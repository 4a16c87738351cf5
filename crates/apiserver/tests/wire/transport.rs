//! Over the network: TLS, client certificates, both versions of HTTP, an orderly end.

use std::time::Duration;

use essaim_apiserver::tls;
use futures::TryStreamExt as _;
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{Fixture, clock, resource, widget};

#[tokio::test]
async fn the_admin_kubeconfig_works_and_the_end_is_orderly() {
    let fixture = Fixture::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let tls = tls::ensure(fixture.data.path(), &tls::Endpoint { names: Vec::new(), url }, clock()()).unwrap();
    let kubeconfig = Kubeconfig::read_from(fixture.data.path().join("admin.kubeconfig")).unwrap();
    let shutdown = CancellationToken::new();
    let serving = fixture.server.serve(listener, tls, shutdown.clone());
    let using = async {
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let widgets = Api::default_namespaced_with(Client::try_from(config).unwrap(), &resource());
        widgets.create(&PostParams::default(), &widget("one", "red")).await.unwrap();
        assert_eq!(widgets.list(&ListParams::default()).await.unwrap().items.len(), 1);
        let watch = widgets.watch(&WatchParams::default(), "0").await.unwrap();
        shutdown.cancel();
        watch.try_collect::<Vec<_>>().await.unwrap()
    };
    let (served, events) =
        tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(serving, using) }).await.unwrap();
    served.unwrap();
    assert!(!events.is_empty());
}
