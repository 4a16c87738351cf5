//! Over the network: TLS, client certificates, both versions of HTTP, an orderly end.

use std::{sync::Arc, time::Duration};

use essaim_apiserver::tls;
use futures::TryStreamExt as _;
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;
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

/// A refusal that comes before the body was read must not break the connection under the client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_a_large_body_in_vain_learns_why() {
    let fixture = Fixture::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = tls::Endpoint { names: Vec::new(), url: format!("https://{address}") };
    let tls = tls::ensure(fixture.data.path(), &endpoint, clock()()).unwrap();
    let pem = std::fs::read(fixture.data.path().join("tls/ca.crt")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let shutdown = CancellationToken::new();
    let asking = async {
        for size in [5_000, 200_000, 2_900_000] {
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let mut stream = connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
            // Twice on one connection: the first answer must leave it usable.
            for _ in 0..2 {
                let head = format!("POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&vec![b' '; size]).await.unwrap();
                stream.flush().await.unwrap();
                let mut answer = vec![0; 4096];
                let length = stream.read(&mut answer).await.unwrap();
                let answer = String::from_utf8_lossy(&answer[..length]);
                assert!(answer.starts_with("HTTP/1.1 401 "), "{size} bytes: {answer}");
            }
        }
        shutdown.cancel();
    };
    let serving = fixture.server.serve(listener, tls, shutdown.clone());
    let (served, ()) =
        tokio::time::timeout(Duration::from_mins(1), async { tokio::join!(serving, asking) }).await.unwrap();
    served.unwrap();
}
